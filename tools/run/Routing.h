//===- Routing.h - Who sends what where -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The routing of a run: from files, drawn so that its loads are like measured
/// models', or an edge case.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_ROUTING_H
#define FUSCO_TOOLS_RUN_ROUTING_H

#include "tools/reference/Reference.h"
#include "tools/run/Options.h"

#include <string>
#include <vector>

namespace fusco::run {

/// One rank's share.
struct RankRouting {
  int64_t tokens = 0;
  std::vector<int64_t> ids; ///< [tokens, topk], -1: not routed
  std::vector<float>
      weights; ///< [tokens, topk]; empty if the library takes none
};

struct Routing {
  std::vector<RankRouting> ranks;
  /// Tables that place experts, which steps take in turn; none where experts
  /// are placed in blocks.
  std::vector<std::vector<int64_t>> placements;
  std::string description; ///< where it comes from
  uint32_t crc32 = 0;      ///< of ids and weights, to compare runs

  /// The table of step \p number; empty if there are none.
  std::vector<int64_t> placementOf(size_t number) const;
  int64_t numTokens() const; ///< of all ranks
};

/// Reads or draws the routing that \p options ask for, \p tokens[r] tokens for
/// rank r: its token i is row (first + i) mod rows of the file, where first is
/// the number of tokens of the ranks before it. Throws Error for a file that
/// does not fit the shape.
Routing makeRouting(const reference::Shape &shape, const Options &options,
                    const std::vector<int64_t> &tokens);

/// The layers of the file of ids in \p path; 1 for one of two dimensions.
int64_t countLayers(const std::string &path);

/// The ids of all ranks by which rows are given: with physical experts in place
/// of experts, by the first table if there is one, and without what is dropped.
std::vector<std::vector<int64_t>> plannedIdsOf(const reference::Shape &shape,
                                               const Routing &routing);

/// (token, k) pairs that have a row.
int64_t countAssignments(const reference::Shape &shape, const Routing &routing);

/// Rows that dispatch leaves on each rank under \p routing, pads counted.
std::vector<int64_t> expertRowsOf(const reference::Shape &shape,
                                  const Routing &routing);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_ROUTING_H
