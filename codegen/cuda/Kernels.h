//===- Kernels.h - Kernels of a module --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the passes to a GPU and its backend agree on: names, and where kernels
/// stand in a module.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_CUDA_KERNELS_H
#define FUSCO_CODEGEN_CUDA_KERNELS_H

#include "mlir/IR/BuiltinOps.h"

namespace fusco {

/// The gpu.module of all kernels, and the gpu.binary of their code.
constexpr llvm::StringLiteral kernelsSymbol{"kernels"};

/// The global that stands for a block's dynamic shared memory.
constexpr llvm::StringLiteral sharedMemorySymbol{"fusco_shared"};

/// On a pipe.program, a pipe.team and a kernel, i64: the bytes of it that a
/// block needs. On the gpu.binary a dictionary of these by kernel.
constexpr llvm::StringLiteral sharedBytesAttrName{"pipe.shared_bytes"};

/// The symbol of the program or team \p name in PTX, which has no '.'.
std::string getDeviceSymbol(llvm::StringRef name);

/// The dynamic shared memory of a block of \p op, a program, team or kernel; 0
/// where it is not said.
int64_t getSharedBytes(mlir::Operation *op);

} // namespace fusco

#endif // FUSCO_CODEGEN_CUDA_KERNELS_H
