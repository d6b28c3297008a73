//===- Check.h - A library against the reference interpreter ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Runs dispatch, experts and combine and compares every bit.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_CHECK_H
#define FUSCO_TOOLS_RUN_CHECK_H

#include "tools/run/Library.h"
#include "tools/run/Options.h"
#include "tools/run/Routing.h"

#include <string>
#include <vector>

namespace fusco::run {

/// How often fresh contents are checked on the same contexts and plans.
constexpr int numCheckRounds = 3;

struct CheckResult {
  int64_t rows = 0;     ///< rows compared, pads and all rounds counted
  std::string mismatch; ///< the first difference found; empty if none
  std::vector<fusco_plan_info> plans; ///< by rank, for \p routing itself

  bool passed() const { return mismatch.empty(); }
};

/// Checks \p shuffles (the first is the library's own, others are baselines;
/// only the first one's plan numbers are compared) in numCheckRounds rounds.
/// Each round has fresh rows and other tokens: rank r takes the routing of rank
/// r + round. Outputs are poisoned before each run and inputs after it; `rows`
/// has some more rows than needed, which must stay as they are. The experts'
/// outputs are unrelated random numbers, NaN in the pads: nothing that dispatch
/// left anywhere can pass for them.
CheckResult check(const Library &library, const std::vector<Shuffle> &shuffles,
                  const Routing &routing, const Options &options);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_CHECK_H
