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

/// Registers the passes and `fusco-cpu-pipeline`.
void registerCodegenPasses();

} // namespace fusco

#endif // FUSCO_CODEGEN_PASSES_H
