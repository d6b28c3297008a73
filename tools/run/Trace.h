//===- Trace.h - A timeline for trace viewers -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The trace event format of Chrome, which Perfetto opens, too.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_TRACE_H
#define FUSCO_TOOLS_RUN_TRACE_H

#include "tools/run/Timeline.h"

#include <string>

namespace fusco::run {

/// JSON: a process for each rank, a thread for each of its workers, a complete
/// event ("X") for each span, in microseconds from the first one on.
std::string toTrace(const Library &library, const Timeline &timeline);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_TRACE_H
