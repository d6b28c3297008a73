//===- Passes.h - Passes that decide how rows move --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The passes of Passes.td, the pipelines made of them, and the names of the
/// attributes that they leave on the module.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_PASSES_PASSES_H
#define FUSCO_PASSES_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"

namespace fusco {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

/// Module attributes of pipe-assign-memory, in bytes (i64).
constexpr llvm::StringLiteral symmetricBytesAttrName{"pipe.symmetric_bytes"};
constexpr llvm::StringLiteral planBytesAttrName{"pipe.plan_bytes"};

/// Module attribute of fusco-lower-to-pipe (i64): experts' segments start at
/// multiples of this many rows.
constexpr llvm::StringLiteral alignRowsAttrName{"pipe.align_rows"};

/// What fusco-add-baseline appends to a function's name.
constexpr llvm::StringLiteral unfusedSuffix{".unfused"};

/// Module attribute: an array of dictionaries {subject, choice, reason}, what
/// passes decided and why. The compile report prints it.
constexpr llvm::StringLiteral decisionsAttrName{"fusco.decisions"};

/// Appends to the module's decisions.
void recordDecision(mlir::ModuleOp module, llvm::StringRef subject,
                    llvm::StringRef choice, const llvm::Twine &reason);

/// `fusco-plan-pipeline`: from intent to intent with hops.
void buildPlanPipeline(mlir::OpPassManager &manager);

struct PipePipelineOptions
    : public mlir::PassPipelineOptions<PipePipelineOptions> {
  Option<bool> hasBaseline{
      *this, "baseline",
      llvm::cl::desc("add each function's unfused form (fusco-add-baseline)"),
      llvm::cl::init(false)};
};

/// `fusco-pipe-pipeline`: from intent to pipe programs with assigned memory,
/// what every target starts from. Includes the plan pipeline.
void buildPipePipeline(mlir::OpPassManager &manager,
                       const PipePipelineOptions &options);

/// Registers the passes and `fusco-plan-pipeline`.
void registerFuscoPasses();

} // namespace fusco

#endif // FUSCO_PASSES_PASSES_H
