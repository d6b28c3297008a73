//===- Check.h - A library against the reference interpreter ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Runs dispatch, experts and combine, and the backward if the library has it,
/// and compares every bit.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_CHECK_H
#define FUSCO_TOOLS_RUN_CHECK_H

#include "tools/run/Comparison.h"
#include "tools/run/Launch.h"
#include "tools/run/Options.h"
#include "tools/run/ProcessBaseline.h"
#include "tools/run/Routing.h"
#include "tools/run/Timeline.h"

#include <string>
#include <vector>

namespace fusco::run {

/// How often fresh contents are checked on the same contexts and plans.
constexpr int numCheckRounds = 3;

struct CheckResult {
  int64_t rows = 0;     ///< rows compared, pads and all rounds counted
  std::string mismatch; ///< the first difference found; empty if none
  bool hasBackward = false;
  std::vector<fusco_plan_info> plans; ///< by rank, for \p routing itself
  std::optional<Timeline> timeline;   ///< if \p options ask for it

  bool passed() const { return mismatch.empty(); }
};

/// Checks \p programs and \p baselines in numCheckRounds rounds; plan numbers
/// only of the library's own shuffle. Each round has fresh rows
/// and other tokens: rank r takes the routing of rank r + round. Outputs are
/// poisoned before each run and inputs after it; `rows` and `dy` have some more
/// rows than needed, which must stay as they are. The experts' outputs and the
/// gradients of rows are unrelated random numbers, NaN in the pads: nothing
/// that dispatch left anywhere can pass for them. Baselines that add in an
/// order of their own get whole numbers, whose sums no order rounds.
CheckResult check(Ranks &ranks, const Programs &programs,
                  const ProcessBaselines &baselines, const Routing &routing,
                  const Options &options);

/// Sums what all ranks found in \p result, with the first mismatch. All ranks
/// call it together; \p plan is \p rank's.
void gatherResults(Rank &rank, const Comparison &comparison,
                   const fusco_plan_info &plan, CheckResult &result);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_CHECK_H
