//===- Pipelines.cpp - Named pipelines of passes --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The pipelines that need no target, and the record of decisions.
///
//===----------------------------------------------------------------------===//

#include "mlir/IR/Builders.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"

using namespace mlir;

void fusco::recordDecision(ModuleOp module, StringRef subject, StringRef choice,
                           const Twine &reason) {
  Builder builder(module.getContext());
  SmallVector<Attribute> decisions;
  if (auto old = module->getAttrOfType<ArrayAttr>(decisionsAttrName))
    decisions.assign(old.begin(), old.end());
  decisions.push_back(builder.getDictionaryAttr({
      builder.getNamedAttr("subject", builder.getStringAttr(subject)),
      builder.getNamedAttr("choice", builder.getStringAttr(choice)),
      builder.getNamedAttr("reason", builder.getStringAttr(reason)),
  }));
  module->setAttr(decisionsAttrName, builder.getArrayAttr(decisions));
}

void fusco::buildPlanPipeline(OpPassManager &manager) {
  manager.addPass(createPlanDirectPass());
}

void fusco::buildPipePipeline(OpPassManager &manager,
                              const PipePipelineOptions &options) {
  if (options.hasBaseline)
    manager.addPass(createAddBaselinePass());
  buildPlanPipeline(manager);
  manager.addPass(createLowerToPipePass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createAssignMemoryPass());
}

void fusco::registerFuscoPasses() {
  registerFuscoTransformPasses();
  PassPipelineRegistration<>(
      "fusco-plan-pipeline",
      "decide how the rows of each dispatch and combine travel",
      buildPlanPipeline);
  PassPipelineRegistration<PipePipelineOptions>(
      "fusco-pipe-pipeline", "from intent to pipe programs with memory",
      buildPipePipeline);
}
