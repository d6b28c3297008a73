//===- CudaBackend.h - Kernels to PTX ---------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The end of the target "sm_90": LLVM IR of the kernels, optimisation, PTX.
/// What is made of PTX (ptxas) is a matter of the tool.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_CUDA_CUDABACKEND_H
#define FUSCO_CODEGEN_CUDA_CUDABACKEND_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"

namespace fusco {

/// The machine for GPUs from \p chip on. Fails on what is no chip of LLVM's
/// from sm_90 on: kernels use bulk copies.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createCudaTarget(llvm::StringRef chip);

/// The kernels of \p module, what fusco-gather-kernels left, if it has them.
mlir::gpu::GPUModuleOp findKernels(mlir::ModuleOp module);

/// Translates \p kernels, all LLVM dialect, and optimises it. Null after a
/// diagnostic.
std::unique_ptr<llvm::Module> translateKernels(mlir::gpu::GPUModuleOp kernels,
                                               llvm::LLVMContext &context,
                                               llvm::TargetMachine &machine);

/// \p module as PTX.
llvm::Expected<std::string> emitPtx(llvm::Module &module,
                                    llvm::TargetMachine &machine);

/// Puts the code of \p kernels in its place: a gpu.binary of \p ptx and, where
/// it is not empty, \p cubin. It remembers what shared memory kernels need.
void replaceByCode(mlir::gpu::GPUModuleOp kernels, llvm::StringRef ptx,
                   llvm::StringRef cubin);

} // namespace fusco

#endif // FUSCO_CODEGEN_CUDA_CUDABACKEND_H
