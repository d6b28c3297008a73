//===- kernel.h - Programs on a GPU -----------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Launching the kernel of a program, and taking what it found.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_CUDA_KERNEL_H
#define FUSCO_RUNTIME_CUDA_KERNEL_H

#include "runtime/context.h"

namespace fusco::runtime {

/// Launches \p program on \p stream, the context's own if that is NULL. Does
/// nothing else that a stream capture would see. A failure breaks the context.
fusco_status launchKernel(fusco_context &context, std::int32_t program,
                          const fusco_program_args &args, void *stream);

/// Waits for \p stream. Fails, and breaks the context, only if the driver
/// reports an error.
fusco_status waitForKernels(fusco_context &context, void *stream);

/// Waits for \p stream and returns the error that the context's kernels left.
fusco_status synchronizeKernels(fusco_context &context, void *stream);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_CUDA_KERNEL_H
