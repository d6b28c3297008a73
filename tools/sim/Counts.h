//===- Counts.h - Rows on the links of every rank ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What a way of moving rows puts on each rank's links, counted from routing.
/// O(tokens * topk) time, O(ranks) memory.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_SIM_COUNTS_H
#define FUSCO_TOOLS_SIM_COUNTS_H

#include "dialect/FuscoDialect.h"
#include "passes/CostModel.h"
#include "tools/sim/Routing.h"
#include "tools/sim/Shape.h"
#include <optional>
#include <vector>

namespace fusco::sim {

/// How rows of a dispatch travel.
struct Way {
  RowPer scaleOut = RowPer::Node;      ///< Assignment or Node
  RowPer scaleUp = RowPer::Assignment; ///< Assignment or Rank
  /// Who forwards; nothing: rows go straight to their ranks.
  std::optional<Forwarders> forwarders = Forwarders::Rail;
};

/// Of each rank, for one dispatch; of a combine the same the other way round.
struct Counts {
  std::vector<int64_t> sent, forwarded; ///< rows to, and from other nodes
  std::vector<int64_t> upSent, upTaken; ///< rows between ranks of a node
  std::vector<int64_t> received;        ///< assignments to its experts
};

Counts countRows(const Shape &shape, const Routing &routing, const Way &way);

int64_t largest(const std::vector<int64_t> &counts);

} // namespace fusco::sim

#endif // FUSCO_TOOLS_SIM_COUNTS_H
