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
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace fusco;

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
  manager.addPass(createExportLibraryPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void fusco::buildCpuPipeline(OpPassManager &manager,
                             const CpuPipelineOptions &options) {
  buildPipePipeline(manager, PipePipelineOptions());
  buildPipeToCpuPipeline(manager, options);
}

void fusco::registerCodegenPasses() {
  registerFuscoCodegenPasses();
  PassPipelineRegistration<CpuPipelineOptions>(
      "fusco-cpu-pipeline", "from intent to the LLVM dialect, for a CPU",
      buildCpuPipeline);
}
