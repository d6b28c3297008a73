//===- Reference.h - What shuffles must compute -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The reference interpreter: dispatch, combine and the backward of both, of N
/// ranks in one process, without threads, in plain scalar code. It follows the
/// text of the semantics and knows nothing of plans, passes or targets; every
/// target must give the same bits.
///
/// Terms: a token is a row of a rank's `x`; an assignment is a (token, k) whose
/// expert id is not -1; rank r is local rank r mod ranksPerNode of node
/// r div ranksPerNode.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_REFERENCE_REFERENCE_H
#define FUSCO_TOOLS_REFERENCE_REFERENCE_H

#include "tools/reference/Float.h"
#include "tools/reference/Quantize.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace fusco::reference {

/// A row-major array of rows as raw bytes.
using Bytes = std::vector<uint8_t>;

/// What is equal on all ranks.
struct Shape {
  int nodes = 1;
  int ranksPerNode = 1;
  int64_t experts = 1;   ///< that ids name
  bool hasTable = false; ///< experts are placed by a table, that says which one
                         ///< each physical expert is
  int64_t redundantExperts = 0; ///< physical ones more than experts
  int topk = 1;
  int64_t hidden = 1;         ///< elements of a row
  int64_t alignRows = 1;      ///< segments start at multiples of this
  int64_t capacityRows = 0;   ///< slots of each expert; 0: expert-major
  bool dropsOverflow = false; ///< what an expert has no slot for has no row
  bool isRankMajor = false;   ///< a row per token and destination rank
  bool hasGlobalIds = false;  ///< beside such rows ids stay as they are
  bool hasRowWeights = false; ///< beside rows of experts are their weights
  bool hasReady = false;      ///< rows are counted as they arrive
  ElementType tokenType = ElementType::BF16;  ///< of x
  ElementType rowType = ElementType::BF16;    ///< of dispatch's rows
  ElementType outputType = ElementType::BF16; ///< of what experts return
  bool weighted = true;                       ///< false: every weight is 1.
                                              ///< Rank-major rows are combined
                                              ///< as if it were
  bool hasBias = false, hasResidual = false;  ///< whether combine adds one
  /// Of the partial sums of ranks and of nodes: F32, or BF16.
  ElementType partialType = ElementType::F32;
  /// Of combine's result and of what it adds, where that is another than
  /// tokenType.
  std::optional<ElementType> resultType, summandType;
  /// How what experts return is quantised, with outputType as its type.
  std::optional<Quantization> outputQuantization;
  /// How dispatch's rows are quantised, with rowType as their type.
  std::optional<Quantization> quantization;
  bool isInputQuantized = false;   ///< x is already, with scales beside it, and
                                   ///< both are moved as they are
  bool hasScalesByColumns = false; ///< their memory, not what they are

  /// Whether a dispatch takes the router's weights.
  bool takesWeights() const { return weighted || isRankMajor || hasRowWeights; }
  /// Rows that are counted together as they arrive.
  int64_t tileRows() const {
    return capacityRows != 0 ? capacityRows : alignRows;
  }
  int numRanks() const { return nodes * ranksPerNode; }
  int64_t numPhysicalExperts() const { return experts + redundantExperts; }
  int64_t bytesPerRow(ElementType type) const {
    return hidden * bytesPerElement(type);
  }
  /// Of a row that dispatch leaves, with its scales.
  int64_t bytesPerDispatchedRow() const {
    return bytesPerRow(rowType) +
           (quantization ? quantization->bytesOfScalesPerRow(hidden) : 0);
  }
  /// Likewise of a row that experts return.
  int64_t bytesPerOutputRow() const {
    return bytesPerRow(outputType) +
           (outputQuantization ? outputQuantization->bytesOfScalesPerRow(hidden)
                               : 0);
  }
  ElementType combinedType() const { return resultType.value_or(tokenType); }
  ElementType addedType() const { return summandType.value_or(tokenType); }
  /// Of the gradient of dispatched rows: that of quantised ones is of what they
  /// were.
  ElementType rowGradientType() const {
    return quantization ? tokenType : rowType;
  }

  /// Block placement of physical experts, which without a table are the
  /// experts: ranks in order hold ceil(experts / ranks) of them (the first
  /// experts mod ranks ranks) or floor(experts / ranks), which is 0 if there
  /// are fewer experts than ranks.
  int64_t numLocalExperts(int rank) const;
  int64_t firstExpert(int rank) const;
  int rankOfExpert(int64_t expert) const;
  /// ceil(experts / ranks): what `counts` has room for on every rank.
  int64_t maxLocalExperts() const;
};

/// One rank's arguments.
struct RankInput {
  int64_t tokens = 0;
  std::vector<int64_t> ids;   ///< [tokens, topk], global; -1: not routed
  std::vector<float> weights; ///< [tokens, topk]; empty if not takesWeights()
  Bytes x;                    ///< [tokens, hidden] of tokenType
  Bytes xScales;              ///< its scales [tokens, scaleColumns()], where
                              ///< isInputQuantized
  Bytes bias;                 ///< [1, hidden] of addedType(), and
  Bytes residual;             ///< [tokens, hidden]: what combine adds; empty if
                              ///< the shape has none
};

/// Where an assignment's row lies; rank -1 if the id was -1 or the assignment
/// was dropped, and rank-major for
/// all but the first of a token's assignments to a rank.
struct Slot {
  int rank = -1;
  int64_t row = -1;
};

/// What dispatch gives one rank.
struct RankDispatch {
  /// The expert-major rows [offsets.back(), hidden] of rowType. Per local
  /// expert in ascending id a segment that starts at a multiple of alignRows,
  /// its rows in the order (source rank, token, k); pad rows are zero bytes.
  /// The last segment is padded like the others. With slots, segments of
  /// capacityRows rows of maxLocalExperts() experts follow each other, and what
  /// is behind an expert's rows has no meaning. With quantization a row is
  /// what quantizeRow() makes of the token's, unless it is so already; without,
  /// bits are as they were in x if the types are equal, or else narrow(widen())
  /// of them.
  ///
  /// Rank-major the rows of all tokens that have an assignment to the rank
  /// stand in the order (source rank, token), each once.
  Bytes rows;
  /// Rank-major, beside each row, [offsets.back(), topk]: the token's ids, as
  /// they are with hasGlobalIds, else those of the rank's own experts as their
  /// numbers there from 0, all others -1; and the token's weights. Otherwise,
  /// with hasRowWeights, [offsets.back()] each row's weight, of pads 0.
  std::vector<int64_t> rowIds;
  std::vector<float> rowWeights;
  /// The rows' scales [offsets.back(), scaleColumns()] of scaleElement(); pad
  /// rows are zero bytes. Empty without quantization.
  Bytes scales;
  /// [maxLocalExperts()] assignments per local expert; 0 where the rank has
  /// fewer experts. Rank-major [1], the rows.
  std::vector<int64_t> counts;
  /// [maxLocalExperts() + 1] start row of each local expert's segment; the
  /// entry after the last expert, and all that follow, are the number of rows,
  /// pads counted. Rank-major 0 and the rows.
  std::vector<int64_t> offsets;
  /// With hasReady: 1, and how many rows each tile of tileRows() rows has, up
  /// to offsets.back().
  std::vector<int64_t> ready;
  /// [tokens, topk] this rank's ids, -1 where the assignment was dropped.
  std::vector<int64_t> keptIds;
  /// [tokens, topk] where this rank's own assignments went.
  std::vector<Slot> slots;

  // Traffic that this rank's tokens need at least.
  int64_t rowsUniqueRank = 0; ///< (token, rank) pairs, own rank included
  int64_t rowsUniqueNode = 0; ///< (token, node other than its own) pairs
};

/// The ids of all ranks, \p ids[rank] being [tokens, topk], by which rows are
/// given: with the physical experts that assignments go to in place of experts
/// where there is a table, and -1 in place of all but the first capacityRows
/// assignments of an expert, in the order (source rank, token, k), where slots
/// that overflow drop rows.
std::vector<std::vector<int64_t>>
plannedIdsOf(const Shape &shape, std::vector<std::vector<int64_t>> ids,
             const std::vector<int64_t> &placement);

/// Dispatches \p inputs, one per rank. \p placement says which expert each
/// physical one is; empty where there is no table. Throws std::invalid_argument
/// if a size does not fit the shape, an id is outside [-1, experts), or an
/// expert gets more rows than it has slots and these are not dropped.
std::vector<RankDispatch> dispatch(const Shape &shape,
                                   const std::vector<RankInput> &inputs,
                                   const std::vector<int64_t> &placement = {});

/// Combines the experts' outputs \p y, per rank [at least offsets.back(),
/// hidden] of outputType, with \p scales beside them if they are quantised,
/// into one [tokens, hidden] array of combinedType() per rank:
///
///   - z is a row of y, or what dequantizeRow() makes of it;
///   - within a rank that holds assignments of the token, acc = fma(w, z, acc)
///     over them, k ascending, from +0, in float32 (w = 1 if not weighted);
///   - these sums, rounded to partialType, are added in ascending order of the
///     ranks of a node, and the nodes' sums, rounded to it too, in ascending
///     order of the nodes, each time starting from the first that takes part;
///   - the bias is added, if there is one, and then the residual; a token
///   without
///     an assignment gives +0 before that;
///   - the result is rounded once, see narrow().
///
/// Throws std::invalid_argument if a size does not fit.
std::vector<Bytes> combine(const Shape &shape,
                           const std::vector<RankInput> &inputs,
                           const std::vector<RankDispatch> &dispatched,
                           const std::vector<const uint8_t *> &y,
                           const std::vector<const uint8_t *> &scales = {});

/// combine() for the tokens of one rank, that of \p input and \p slots.
Bytes combineRank(const Shape &shape, const RankInput &input,
                  const std::vector<Slot> &slots,
                  const std::vector<const uint8_t *> &y,
                  const std::vector<const uint8_t *> &scales = {});

/// The backward of dispatch for the tokens of one rank: the gradient
/// [tokens, hidden] of x, of tokenType. It is combine() of \p drows, the
/// gradients of all ranks' rows, of rowGradientType(), as if not weighted, with
/// partial sums of F32 and nothing added.
Bytes dispatchBackward(const Shape &shape, const RankInput &input,
                       const std::vector<Slot> &slots,
                       const std::vector<const uint8_t *> &drows);

/// What the backward of combine gives one rank.
struct CombineGradient {
  /// The gradient [offsets.back(), hidden] of this rank's y, of outputType. The
  /// row of an assignment is its weight times the token's row of dout, narrow()
  /// of the float32 product; if not weighted it is moved as dispatch does. Pad
  /// rows are zero bytes.
  Bytes dy;
  /// The gradient [tokens, topk] of this rank's weights; empty if not weighted.
  /// That of an assignment is the dot product of its token's row of dout with
  /// its row of y, and +0 where there is none. 32 lanes start at +0; lane j
  /// takes acc = fma(dout[h], y[h], acc) for h = j, j + 32, ... ascending; lane
  /// j += lane j + n for j < n, with n = 16, 8, 4, 2, 1; lane 0 is the result,
  /// a NaN with the bits 0x7FFFFFFF.
  std::vector<float> dweights;
};

/// The backward of combine for \p rank. \p dout are the gradients of all ranks'
/// results, of combinedType(); \p y are all ranks' outputs of the experts,
/// which are not read if not weighted.
CombineGradient combineBackward(const Shape &shape, int rank,
                                const std::vector<RankInput> &inputs,
                                const std::vector<RankDispatch> &dispatched,
                                const std::vector<const uint8_t *> &dout,
                                const std::vector<const uint8_t *> &y);

} // namespace fusco::reference

#endif // FUSCO_TOOLS_REFERENCE_REFERENCE_H
