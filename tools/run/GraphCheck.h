//===- GraphCheck.h - A library in a CUDA Graph -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Captures dispatch and combine of every rank once and replays them with other
/// contents, as a serving engine does.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_GRAPHCHECK_H
#define FUSCO_TOOLS_RUN_GRAPHCHECK_H

#include "tools/run/Check.h"

namespace fusco::run {

/// Replays are compared with the reference interpreter so often at most, evenly
/// spread and the last one included.
constexpr int64_t mostComparedReplays = 16;

/// Replays \p shuffle options.graph times, each time with another routing of
/// the same numbers of tokens and with other rows. Throws Error if the
/// library is not for GPUs.
CheckResult checkGraph(Ranks &ranks, const Shuffle &shuffle,
                       const Routing &routing, const Options &options);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_GRAPHCHECK_H
