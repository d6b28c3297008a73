//===- Plans.h - Ways to shuffle, and their modelled time -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What libraries do, as phases of the busiest rank's links and memory.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_SIM_PLANS_H
#define FUSCO_TOOLS_SIM_PLANS_H

#include "tools/sim/Counts.h"
#include "tools/sim/Parameters.h"
#include <string>
#include <vector>

namespace fusco::sim {

/// A way to shuffle that is modelled.
struct Plan {
  const char *name, *description;
  Way way;
  /// Rows come to experts' order, and back, by this many permutes in each
  /// direction, over all rows in memory; 0: on the way.
  int permutes;
  /// What comes from other nodes, and what goes on from forwarders, overlap,
  /// and so does everything else; else they follow each other.
  bool isPipelined;
  bool hasHostSync;
  bool isForAblation; ///< another plan without something
};

/// `fusco` with each choice of forwarders, then the others.
const std::vector<Plan> &allPlans();
/// Null if there is none.
const Plan *findPlan(const std::string &name);

struct Phase {
  std::string name;
  double us;
};

/// The modelled time of a plan.
struct Modelled {
  const Plan *plan;
  Counts counts;
  std::vector<Phase> dispatch, combine;       ///< one after the other
  double bytesScaleOut = 0, bytesScaleUp = 0; ///< of all ranks, of a dispatch

  double dispatchUs() const;
  double combineUs() const;
  double us() const { return dispatchUs() + combineUs(); }
};

Modelled model(const Plan &plan, const Shape &shape, const Routing &routing,
               const Parameters &parameters);

} // namespace fusco::sim

#endif // FUSCO_TOOLS_SIM_PLANS_H
