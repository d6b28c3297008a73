//===- Published.h - What others have measured ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Published times that the model is compared with.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_SIM_PUBLISHED_H
#define FUSCO_TOOLS_SIM_PUBLISHED_H

#include "tools/sim/Routing.h"
#include <vector>

namespace fusco::sim {

/// A row of a table of FUSCO's README: 64 H100s, 8 to a node, rows of 7168
/// bf16, top-8 of 256 experts; permutation, dispatch and combine together.
struct ReadmeRow {
  Pattern pattern;
  int64_t tokens; ///< of each rank
  double ncclMs, deepepMs, fuscoMs;
};
const std::vector<ReadmeRow> &readmeRows();

/// FUSCO's ablation, arXiv 2512.22036, at 16384 tokens of each rank, on real
/// traffic.
struct AblationRow {
  const char *name, *plan; ///< of the paper; the plan that models it
  double ms;
};
const std::vector<AblationRow> &ablationRows();

} // namespace fusco::sim

#endif // FUSCO_TOOLS_SIM_PUBLISHED_H
