//===- SharedMemory.h - Buffers and channels of programs --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The shape that programs are built for, the memory that they share, and how a
/// slot of a ring is laid out.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_PASSES_SHAREDMEMORY_H
#define FUSCO_PASSES_SHAREDMEMORY_H

#include "dialect/FuscoDialect.h"
#include "dialect/Layout.h"
#include "dialect/PipeDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace fusco {

/// How the rows of a shuffle travel: the hops of its operation.
struct Route {
  pipe::Unit scaleOut = pipe::Unit::Node, scaleUp = pipe::Unit::Assignment;
  mlir::Type scaleOutWire; ///< element of rows between nodes; null on one node
  Forwarders forwarders = Forwarders::Rail;

  bool operator==(const Route &other) const {
    return scaleOut == other.scaleOut && scaleUp == other.scaleUp &&
           scaleOutWire == other.scaleOutWire && forwarders == other.forwarders;
  }
};

/// One of the tensors that a dispatch moves, on the way: rows of `columns`
/// elements.
struct WireRows {
  int64_t columns;
  mlir::Type element;
  int64_t bytes() const {
    return columns * (element.getIntOrFloatBitWidth() / 8);
  }
};

/// A row of each of the tensors that a dispatch moves, one behind the other, so
/// that they travel as one. Several are aligned to cache lines; one stands as
/// it is.
struct PackedRow {
  explicit PackedRow(llvm::ArrayRef<WireRows> rows);
  /// The type of \p count rows of tensor \p i that stand in packed rows.
  mlir::MemRefType getType(unsigned i, int64_t count) const;

  llvm::SmallVector<WireRows, 2> rows;
  llvm::SmallVector<int64_t, 2> offsets; ///< in bytes
  int64_t bytes = 0;
};

/// What a module's programs do together: which memory there must be.
struct ProgramNeeds {
  bool hasUnfused = false;
  bool dispatchesByRank = false; ///< some dispatch writes once per rank
  bool dispatches = false, combines = false;
  bool combinesByRank = false; ///< some combine sums at the ranks
  /// Some dispatch, or combine, deals units over its node.
  bool dispatchesDealt = false, combinesDealt = false;
  bool hasGroups = false; ///< some shuffle goes by groups of forwarders
  bool hasWeightGradient = false;
  bool hasRowWeights = false, hasReady = false; ///< of some dispatch
  bool hasByColumns = false; ///< some dispatch stores tensors by columns
};

/// How tokens are cut for a pipeline, and how far it runs ahead.
struct Chunking {
  int64_t chunkTokens = 1; ///< tokens of a chunk
  int64_t ringChunks = 1;  ///< slots of a lane
  int64_t stageLag = 1;    ///< chunks that a stage is behind the one before it
};

/// Everything that programs are specialised for.
struct ShuffleShape {
  int64_t nodes = 0, ranksPerNode = 0, experts = 0, topk = 0, maxTokens = 0;
  int64_t hidden = 0, align = 0;
  int64_t capacity = 0;       ///< slots of an expert; 0: expert_major
  bool dropsOverflow = false; ///< what is more than `capacity` has no row
  /// What ids name. Where these are not `experts`, that is what rows are of:
  /// ranks, if rows are rank-major, or physical experts, if there is a table.
  int64_t routedExperts = 0;
  bool isRankMajor = false;
  bool hasTable = false;
  int64_t wireBytesPerRow = 0; ///< of the widest row that travels between nodes
  int64_t numPayloads = 1;     ///< tensors of rows that peers address at most
  int64_t partialBytes = 0;    ///< of an element of the widest partial sums
  int64_t scratchBytes = 0;    ///< of the widest row that is quantised
  int64_t rowWorkers = 1;      ///< who may work on rows at once
  bool hasSteps = false;       ///< programs say where their steps begin
  int64_t unitsPerToken = 1; ///< rows of a token that travel to a node at most
  Chunking chunking;
  ProgramNeeds needs;
  mlir::Location loc; ///< of the first shuffle: where it was learnt

  int64_t numRanks() const { return nodes * ranksPerNode; }
  int64_t maxChunks() const {
    return std::max<int64_t>(1, alignUp(maxTokens, chunking.chunkTokens) /
                                    chunking.chunkTokens);
  }
  /// Rows of a tile, as fusco.dispatch's `ready` counts them.
  int64_t tileRows() const { return capacity ? capacity : align; }
  BlockPlacement placement() const { return {experts, numRanks()}; }
  /// That of what ids name, where there is no table.
  BlockPlacement routedPlacement() const { return {routedExperts, numRanks()}; }
  /// Experts that ranks tell each other the counts of.
  int64_t toldExperts() const { return hasTable ? routedExperts : experts; }
  /// Whether rows are planned by other ids than the router's, which are known
  /// only when all ranks' counts are.
  bool plansOtherIds() const { return hasTable || dropsOverflow; }
  /// Whether ranks tell each other how many units they have for each node.
  bool tellsUnits() const {
    return needs.hasGroups || needs.dispatchesDealt || needs.combinesDealt;
  }
};

/// How a slot of a ring is laid out: a count, descriptors of that many units,
/// then their rows, so that what is used is one contiguous piece. A unit is
/// what a row stands for.
struct SlotLayout {
  int64_t units, topk;
  int64_t bytesPerRow; ///< 0: descriptors only

  static constexpr int64_t alignment = 64; // bytes: a cache line
  int64_t fanoutOffset() const { return alignment; }
  int64_t ranksOffset() const {
    return fanoutOffset() + alignUp(4 * units, alignment);
  }
  int64_t slotsOffset() const { return ranksOffset() + bytesOfTable(); }
  int64_t weightsOffset() const { return slotsOffset() + bytesOfTable(); }
  int64_t rowsOffset() const { return weightsOffset() + bytesOfTable(); }
  int64_t bytes() const {
    return rowsOffset() + alignUp(units * bytesPerRow, alignment);
  }

private:
  int64_t bytesOfTable() const { return alignUp(4 * units * topk, alignment); }
};

/// The slots of the rings.
SlotLayout getRowsLayout(const ShuffleShape &shape);
SlotLayout getAsksLayout(const ShuffleShape &shape);
/// Bytes of the partial sums of a chunk.
int64_t getSumsBytes(const ShuffleShape &shape);

/// A list of units that a rank hands to one that sends them to other nodes: the
/// units' descriptors, and as their rows the table that getListEntryRow says.
SlotLayout getListLayout(const ShuffleShape &shape);
/// Of a unit in a list: its token, and the sender's lane for its node.
PackedRow getListEntryRow(mlir::MLIRContext *context);

/// Words (i32) of a header in an exchange, before its tables, of a list of
/// copies.
constexpr int64_t headerWords = 32;
int64_t getCopyListWords(const ShuffleShape &shape);

/// Names of the buffers and channels of a module.
namespace shared {
// What all ranks tell each other at the start of a program, and their meeting
// at its end. What is exchanged stands twice, since a peer may be a round
// ahead.
constexpr llvm::StringLiteral countsExchanged{"counts_exchanged"},
    outputsReady{"outputs_ready"}, rowsDone{"rows_done"},
    outputsTaken{"outputs_taken"};
constexpr llvm::StringLiteral dispatchHeaders{"dispatch_headers"},
    combineHeaders{"combine_headers"};
// Rows to forwarders, and the copies that a rank is to make itself.
constexpr llvm::StringLiteral rowsOut{"rows_out"}, rowsSent{"rows_sent"},
    rowsForwarded{"rows_forwarded"};
constexpr llvm::StringLiteral copies{"copies"}, copyLists{"copy_lists"};
// Units that are dealt over the ranks of a node, for a dispatch and a combine.
constexpr llvm::StringLiteral rowLists{"row_lists"},
    rowListsTaken{"row_lists_taken"}, askLists{"ask_lists"},
    askListsTaken{"ask_lists_taken"}, places{"places"},
    placesTaken{"places_taken"};
// Combine: asking forwarders for sums, and ranks for partial sums.
constexpr llvm::StringLiteral asks{"asks"}, asksSent{"asks_sent"},
    asksTaken{"asks_taken"}, sums{"sums"}, sumsSent{"sums_sent"},
    sumsTaken{"sums_taken"};
constexpr llvm::StringLiteral requests{"requests"},
    requestsTaken{"requests_taken"}, partials{"partials"},
    partialsTaken{"partials_taken"};
// Gradients of weights: rows to forwarders again, answered by dot products.
constexpr llvm::StringLiteral gradientRowsOut{"gradient_rows_out"},
    gradients{"gradients"}, gradientsSent{"gradients_sent"},
    gradientsTaken{"gradients_taken"};
// Tables of a rank while a program runs.
constexpr llvm::StringLiteral histogram{"histogram"},
    idHistogram{"id_histogram"}, rankIds{"rank_ids"}, chunks{"chunks"},
    replicaStarts{"replica_starts"}, replicas{"replicas"},
    placedCounts{"placed_counts"}, quotas{"quotas"},
    quotasChanged{"quotas_changed"}, loads{"loads"}, numbers{"numbers"},
    plannedIds{"planned_ids"}, unitsExchanged{"units_exchanged"},
    unitHeaders{"unit_headers"}, nodeSlots{"node_slots"},
    nodeCounts{"node_counts"}, rankSlots{"rank_slots"},
    rankCounts{"rank_counts"}, summands{"summands"},
    rankSummands{"rank_summands"}, ownSum{"own_sum"}, listSlots{"list_slots"},
    listCounts{"list_counts"}, nextForwarders{"next_forwarders"},
    dealtCounts{"dealt_counts"}, chunkUnits{"chunk_units"},
    unitMarks{"unit_marks"}, nodeUnits{"node_units"};
// The plan.
constexpr llvm::StringLiteral stats{"stats"}, totals{"totals"},
    starts{"starts"}, bases{"bases"}, rankRows{"rank_rows"},
    addresses{"addresses"}, outputAddresses{"output_addresses"},
    rowWeightAddresses{"row_weight_addresses"},
    readyAddresses{"ready_addresses"}, roomRows{"room_rows"}, fanout{"fanout"},
    ranks{"ranks"}, slots{"slots"}, weights{"weights"}, order{"order"},
    scratch{"scratch"}, dealtFrom{"dealt_from"},
    forwarderUnits{"forwarder_units"}, chunkRows{"chunk_rows"},
    groups{"groups"}, partners{"partners"}, forwarders{"forwarders"};
// The unfused form.
constexpr llvm::StringLiteral unfusedRows{"unfused_rows"},
    unfusedOutputs{"unfused_outputs"}, unfusedCounts{"unfused_counts"},
    sendBases{"send_bases"};
} // namespace shared

/// The table of the addresses of the tensors of rows that belong to \p payload:
/// `addresses`, `addresses_1`, ...
std::string addressesOf(int64_t payload);
/// That of the tensors of tokens: `token_addresses`, `token_addresses_1`, ...
std::string tokenAddressesOf(int64_t x);

/// Whether \p name is one of them.
bool isSharedName(llvm::StringRef name);

/// Declares at the builder's place what the programs of \p shape need.
void declareSharedMemory(mlir::ImplicitLocOpBuilder &builder,
                         const ShuffleShape &shape);

} // namespace fusco

#endif // FUSCO_PASSES_SHAREDMEMORY_H
