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

/// DeepEP V1's normal kernels (docs/legacy.md): H800s, 8 to a node, a NIC of
/// 400 Gb/s each, 4096 tokens of each rank, rows of 7168, top-8 of experts in 4
/// groups, float8 to the experts and bf16 back. The bytes that cross links
/// between nodes over the kernel's time.
struct BandwidthRow {
  int64_t ranks;
  double dispatchGbps, combineGbps;
};
const std::vector<BandwidthRow> &deepepRows();

/// FUSCO's ablation, arXiv 2512.22036, at 16384 tokens of each rank, on real
/// traffic.
struct AblationRow {
  const char *name, *plan; ///< of the paper; the plan that models it
  double ms;
};
const std::vector<AblationRow> &ablationRows();

} // namespace fusco::sim

#endif // FUSCO_TOOLS_SIM_PUBLISHED_H
