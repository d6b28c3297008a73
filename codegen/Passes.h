//===- Passes.h - Passes from pipe programs to a target ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The passes of Passes.td and the pipelines made of them.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_PASSES_H
#define FUSCO_CODEGEN_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"

namespace fusco {

struct PipePipelineOptions;

#define GEN_PASS_DECL
#include "codegen/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "codegen/Passes.h.inc"

struct CpuPipelineOptions
    : public mlir::PassPipelineOptions<CpuPipelineOptions> {
  Option<int32_t> cpuLevel{
      *this, "cpu-level",
      llvm::cl::desc("instructions that the code needs, a fusco_cpu_level"),
      llvm::cl::init(0)};
};

/// From pipe programs with memory to the LLVM dialect.
void buildPipeToCpuPipeline(mlir::OpPassManager &manager,
                            const CpuPipelineOptions &options);

/// `fusco-cpu-pipeline`: from intent to the LLVM dialect.
void buildCpuPipeline(mlir::OpPassManager &manager,
                      const CpuPipelineOptions &options);

struct CudaPipelineOptions
    : public mlir::PassPipelineOptions<CudaPipelineOptions> {
  Option<std::string> target{*this, "target",
                             llvm::cl::desc("the least GPU that code is for"),
                             llvm::cl::init("sm_90")};
  Option<int32_t> threadsPerBlock{
      *this, "threads-per-block",
      llvm::cl::desc("threads of a block, a multiple of 32"),
      llvm::cl::init(384)};
  Option<int32_t> maxBlocks{
      *this, "max-blocks",
      llvm::cl::desc("thread blocks that a rank runs at most"),
      llvm::cl::init(16)};
};

/// Who works for a rank of a GPU: sets `workers` to its blocks, `row-workers`
/// to their warps.
void setCudaWorkers(PipePipelineOptions &programs, int64_t maxBlocks,
                    int64_t threadsPerBlock);

/// From pipe programs with memory to a gpu.module of kernels in the LLVM
/// dialect, beside the library's description.
void buildPipeToCudaPipeline(mlir::OpPassManager &manager,
                             const CudaPipelineOptions &options);

/// `fusco-cuda-pipeline`: from intent to that.
void buildCudaPipeline(mlir::OpPassManager &manager,
                       const CudaPipelineOptions &options);

/// Registers the passes, `fusco-cpu-pipeline` and `fusco-cuda-pipeline`.
void registerCodegenPasses();

} // namespace fusco

#endif // FUSCO_CODEGEN_PASSES_H
