//===- Layout.h - Arithmetic of placements and layouts ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Pure arithmetic: who holds which expert, how many rows there are at worst.
/// No MLIR, so that it is tested alone; passes emit code that says the same.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_DIALECT_LAYOUT_H
#define FUSCO_DIALECT_LAYOUT_H

#include <algorithm>
#include <cstdint>

namespace fusco {

/// The smallest multiple of \p multiple (>= 1) that is at least \p value.
constexpr int64_t alignUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// `block` placement of `experts` on `ranks`: the first experts % ranks ranks
/// hold one expert more than the rest.
struct BlockPlacement {
  int64_t experts;
  int64_t ranks;

  constexpr int64_t expertsPerRank() const { return experts / ranks; }
  /// Ranks that hold expertsPerRank() + 1.
  constexpr int64_t largerRanks() const { return experts % ranks; }
  /// The most that any rank holds.
  constexpr int64_t maxLocalExperts() const {
    return expertsPerRank() + (largerRanks() != 0);
  }
  constexpr int64_t numLocalExperts(int64_t rank) const {
    return expertsPerRank() + (rank < largerRanks());
  }
  /// The first expert of \p rank; experts for rank == ranks.
  constexpr int64_t firstExpert(int64_t rank) const {
    return rank * expertsPerRank() + std::min(rank, largerRanks());
  }
  constexpr int64_t rankOfExpert(int64_t expert) const {
    int64_t inLarger = largerRanks() * (expertsPerRank() + 1);
    if (expert < inLarger)
      return expert / (expertsPerRank() + 1);
    return largerRanks() + (expert - inLarger) / expertsPerRank();
  }
};

/// dispatch_c10: the tensors that a dispatch moves at most.
constexpr int64_t maxPayloads = 4;

/// Columns of the scales of a row of \p hidden elements, one for each \p block
/// of them; packed, four in one.
constexpr int64_t scaleColumns(int64_t hidden, int64_t block, bool isPacked) {
  int64_t scales = alignUp(hidden, block) / block;
  return isPacked ? alignUp(scales, 4) / 4 : scales;
}

/// Rows of the expert-major tensor of a rank at worst, pads included: every
/// assignment of every token lands here. A repeated expert is two assignments,
/// so that a token can send topk rows to one expert.
constexpr int64_t maxExpertMajorRows(BlockPlacement placement,
                                     int64_t maxTokens, int64_t topk,
                                     int64_t align) {
  int64_t rows = placement.ranks * maxTokens * topk;
  return alignUp(rows + (align - 1) * placement.maxLocalExperts(), align);
}

/// Tiles of rows, as fusco.dispatch's `ready` counts them, that a rank has at
/// worst: of \p align rows of expert_major, or where there is a \p capacity
/// (not 0) an expert's slots.
constexpr int64_t maxTiles(BlockPlacement placement, int64_t maxTokens,
                           int64_t topk, int64_t align, int64_t capacity) {
  if (capacity != 0)
    return placement.maxLocalExperts();
  return maxExpertMajorRows(placement, maxTokens, topk, align) / align;
}

} // namespace fusco

#endif // FUSCO_DIALECT_LAYOUT_H
