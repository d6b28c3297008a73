//===- TimelineTable.h - Where the time of calls went -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A timeline summed up, as text.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_TIMELINETABLE_H
#define FUSCO_TOOLS_RUN_TIMELINETABLE_H

#include "tools/run/Timeline.h"

#include <string>

namespace fusco::run {

/// For each program the time in its steps, stages and waits: the median over
/// ranks, and of the rank whose calls take longest. On a GPU that of each
/// rank's first block.
std::string toTable(const Library &library, const Timeline &timeline);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_TIMELINETABLE_H
