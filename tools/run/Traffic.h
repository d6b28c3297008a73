//===- Traffic.h - What the plans of a run decided --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The traffic of one dispatch, summed over the ranks.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_TRAFFIC_H
#define FUSCO_TOOLS_RUN_TRAFFIC_H

#include "tools/run/Library.h"
#include "tools/run/Routing.h"

#include <vector>

namespace fusco::run {

/// Loads of the busiest over the mean; 1 where there are none.
struct Imbalance {
  double rankRows = 1; ///< rows of a rank's experts
  double nodeRows = 1; ///< of a node's
  /// Units, pairs of a token and a node other than its own, that a rank sends
  /// there, and that it forwards in its node; over the mean of its node.
  struct Forwarders {
    double tx = 1, rx = 1;
  };
  Forwarders forwarders; ///< as the plans chose them
  Forwarders rail;       ///< if each were the rank of the same local number
};

struct Traffic {
  int64_t bytesScaleOut = 0;  ///< rows written to other nodes
  int64_t bytesScaleUp = 0;   ///< rows written to other ranks of the own node
  int64_t rowsUniqueNode = 0; ///< (token, node other than its own) pairs
  int64_t rowsUniqueRank = 0; ///< (token, rank) pairs, own rank included
  int64_t assignments = 0;    ///< (token, k) pairs that have a row
  int64_t assignmentsDropped = 0; ///< that have none, since slots overflow
  int64_t assignmentsOffNode = 0; ///< those to experts of other nodes
  Imbalance imbalance;
};

/// Sums the plans' own numbers; what a plan does not say is counted in
/// \p routing.
Traffic sumTraffic(const Library &library, const Routing &routing,
                   const std::vector<fusco_plan_info> &plans);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_TRAFFIC_H
