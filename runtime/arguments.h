//===- arguments.h - Checks of a call's arguments ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The checks that stand before every program, from what the library says about
/// its parameters.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_ARGUMENTS_H
#define FUSCO_RUNTIME_ARGUMENTS_H

#include "runtime/context.h"

namespace fusco::runtime {

/// Checks that \p plan is one that the context's current program can use: made
/// for the same rank of the same domain, and filled if the program reads it.
fusco_status checkPlan(const fusco_context &context, const fusco_plan *plan);

/// Checks \p tensors against the context's current program. \p plan has passed
/// checkPlan.
fusco_status checkTensors(const fusco_context &context, const fusco_plan &plan,
                          const DLTensor *const *tensors);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_ARGUMENTS_H
