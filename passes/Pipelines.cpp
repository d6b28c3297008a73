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
using namespace fusco;

void fusco::recordDecision(ModuleOp module, StringRef subject, StringRef choice,
                           const Twine &reason) {
  Builder builder(module.getContext());
  SmallVector<Attribute> decisions;
  if (auto old = module->getAttrOfType<ArrayAttr>(decisionsAttrName))
    decisions.assign(old.begin(), old.end());
  Attribute decision = builder.getDictionaryAttr({
      builder.getNamedAttr("subject", builder.getStringAttr(subject)),
      builder.getNamedAttr("choice", builder.getStringAttr(choice)),
      builder.getNamedAttr("reason", builder.getStringAttr(reason)),
  });
  if (llvm::is_contained(decisions, decision))
    return;
  decisions.push_back(decision);
  module->setAttr(decisionsAttrName, builder.getArrayAttr(decisions));
}

/// The decision of hops alone.
static void addPlanning(OpPassManager &manager, UniqueOption unique,
                        PolicyOption policy) {
  PlanDedupPassOptions dedup;
  dedup.unique = unique;
  manager.addPass(createPlanDedupPass(dedup));
  PlanBalancePassOptions balance;
  balance.policy = policy;
  manager.addPass(createPlanBalancePass(balance));
}

void fusco::buildPlanPipeline(OpPassManager &manager,
                              const PlanPipelineOptions &options) {
  manager.addPass(createFuseShufflePass());
  addPlanning(manager, options.unique, options.forwarders);
}

void fusco::buildPipePipeline(OpPassManager &manager,
                              const PipePipelineOptions &options) {
  if (options.fuse)
    manager.addPass(createFuseShufflePass());
  if (options.hasBaseline)
    manager.addPass(createAddBaselinePass());
  if (options.hasBackward)
    manager.addPass(createDeriveBackwardPass());
  addPlanning(manager, options.unique, options.forwarders);
  LowerToPipePassOptions lowering;
  lowering.chunkTokens = options.chunkTokens;
  lowering.ringChunks = options.ringChunks;
  lowering.stageLag = options.stageLag;
  lowering.rowWorkers = options.rowWorkers;
  lowering.steps = options.timeline;
  manager.addPass(createLowerToPipePass(lowering));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  if (options.timeline)
    manager.addPass(createAddTimelinePass());
  manager.addPass(createVerifyProgressPass());
  SplitPipelinesPassOptions splitting;
  splitting.workers = options.workers;
  manager.addPass(createSplitPipelinesPass(splitting));
  manager.addPass(createAssignMemoryPass());
}

void fusco::registerFuscoPasses() {
  registerFuscoTransformPasses();
  PassPipelineRegistration<PlanPipelineOptions>(
      "fusco-plan-pipeline",
      "fuse, and decide how the rows of each dispatch and combine travel",
      buildPlanPipeline);
  PassPipelineRegistration<PipePipelineOptions>(
      "fusco-pipe-pipeline", "from intent to pipe programs with memory",
      buildPipePipeline);
}
