//===- timeline.h - What programs note --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The timelines of a rank's workers, in a library that was compiled with them.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_TIMELINE_H
#define FUSCO_RUNTIME_TIMELINE_H

#include "runtime/context.h"

namespace fusco::runtime {

/// Gives \p context an empty timeline for each of its workers.
fusco_status makeTimelines(fusco_context &context);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_TIMELINE_H
