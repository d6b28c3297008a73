//===- Pipelines.cpp - Pipelines to a target ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The pipelines from pipe programs, and from intent, to the LLVM dialect.
///
//===----------------------------------------------------------------------===//

#include "codegen/Passes.h"
#include "codegen/cuda/SimtBuilder.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace fusco;

/// From functions to the LLVM dialect.
static void addLLVMConversions(OpPassManager &manager) {
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createFinalizeMemRefToLLVMConversionPass());
  manager.addPass(createConvertIndexToLLVMPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createConvertFuncToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
}

void fusco::buildPipeToCpuPipeline(OpPassManager &manager,
                                   const CpuPipelineOptions &options) {
  DescribeLibraryPassOptions description;
  description.cpuLevel = options.cpuLevel;
  manager.addPass(createDescribeLibraryPass(description));
  manager.addPass(createPipeOpsToCpuPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createConvertSCFToCFPass());
  manager.addPass(createPipeProgramsToCpuPass());
  addLLVMConversions(manager);
  manager.addPass(createExportLibraryPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void fusco::buildCpuPipeline(OpPassManager &manager,
                             const CpuPipelineOptions &options) {
  buildPipePipeline(manager, PipePipelineOptions());
  buildPipeToCpuPipeline(manager, options);
}

void fusco::buildPipeToCudaPipeline(OpPassManager &manager,
                                    const CudaPipelineOptions &options) {
  DescribeLibraryPassOptions description;
  description.target = options.target;
  description.maxBlocks = options.maxBlocks;
  description.threadsPerBlock = options.threadsPerBlock;
  manager.addPass(createDescribeLibraryPass(description));
  manager.addPass(createForkTeamsPass());
  PipeOpsToCudaPassOptions operations;
  operations.threadsPerBlock = options.threadsPerBlock;
  manager.addPass(createPipeOpsToCudaPass(operations));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createConvertSCFToCFPass());
  PipeProgramsToCudaPassOptions programs;
  programs.threadsPerBlock = options.threadsPerBlock;
  manager.addPass(createPipeProgramsToCudaPass(programs));
  manager.addPass(createConvertSCFToCFPass());
  addLLVMConversions(manager);
  GatherKernelsPassOptions kernels;
  kernels.threadsPerBlock = options.threadsPerBlock;
  manager.addPass(createGatherKernelsPass(kernels));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void fusco::setCudaWorkers(PipePipelineOptions &programs, int64_t maxBlocks,
                           int64_t threadsPerBlock) {
  programs.workers = maxBlocks;
  programs.rowWorkers =
      std::max<int64_t>(1, maxBlocks * (threadsPerBlock / threadsPerWarp));
}

void fusco::buildCudaPipeline(OpPassManager &manager,
                              const CudaPipelineOptions &options) {
  PipePipelineOptions programs;
  setCudaWorkers(programs, options.maxBlocks, options.threadsPerBlock);
  buildPipePipeline(manager, programs);
  buildPipeToCudaPipeline(manager, options);
}

void fusco::registerCodegenPasses() {
  registerFuscoCodegenPasses();
  PassPipelineRegistration<CpuPipelineOptions>(
      "fusco-cpu-pipeline", "from intent to the LLVM dialect, for a CPU",
      buildCpuPipeline);
  PassPipelineRegistration<CudaPipelineOptions>(
      "fusco-cuda-pipeline", "from intent to kernels in the LLVM dialect",
      buildCudaPipeline);
}
