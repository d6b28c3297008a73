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

/// What the rows on hops shall be unique per; Auto leaves it to the cost model.
enum class UniqueOption { Auto, Assignment, Rank, Node };

/// Its names on a command line.
inline llvm::cl::ValuesClass uniqueOptionValues() {
  return llvm::cl::values(
      clEnumValN(UniqueOption::Auto, "auto",
                 "what a cost model finds cheapest"),
      clEnumValN(UniqueOption::Assignment, "assignment", "once per assignment"),
      clEnumValN(UniqueOption::Rank, "rank", "once per rank"),
      clEnumValN(UniqueOption::Node, "node", "once per node"));
}

/// Who forwards between nodes; Auto leaves it to the cost model.
enum class PolicyOption { Auto, Rail, Groups, Balanced };

/// Its names on a command line.
inline llvm::cl::ValuesClass policyOptionValues() {
  return llvm::cl::values(
      clEnumValN(PolicyOption::Auto, "auto",
                 "rail or balanced, what a cost model finds cheaper"),
      clEnumValN(PolicyOption::Rail, "rail",
                 "the rank of the same local number"),
      clEnumValN(PolicyOption::Groups, "groups",
                 "ranks grouped by load, as FUSCO does"),
      clEnumValN(PolicyOption::Balanced, "balanced",
                 "every rank of a node, in turn"));
}

/// Who does the stages of a pipeline: one worker all of them in turn, or each a
/// worker of its own.
enum class Workers { One, Stages };

/// Their names on a command line.
inline llvm::cl::ValuesClass workersValues() {
  return llvm::cl::values(
      clEnumValN(Workers::One, "one", "one worker takes the stages in turn"),
      clEnumValN(Workers::Stages, "stages", "each stage has its own worker"));
}

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

/// Module attributes of pipe-assign-memory, in bytes (i64).
constexpr llvm::StringLiteral symmetricBytesAttrName{"pipe.symmetric_bytes"};
constexpr llvm::StringLiteral networkBytesAttrName{"pipe.network_bytes"};
constexpr llvm::StringLiteral planBytesAttrName{"pipe.plan_bytes"};

/// Module attribute of pipe-verify-progress: an array of dictionaries {program,
/// workers, waits, channels}, what was proven of each program.
constexpr llvm::StringLiteral progressAttrName{"pipe.progress"};

/// Module attribute of fusco-lower-to-pipe (i64): experts' segments start at
/// multiples of this many rows.
constexpr llvm::StringLiteral alignRowsAttrName{"pipe.align_rows"};

/// Module attribute (unit) of fusco-lower-to-pipe: rows are rank-major.
constexpr llvm::StringLiteral rankMajorAttrName{"pipe.rank_major"};

/// Module attribute (unit) of fusco-lower-to-pipe: slots that overflow drop
/// rows.
constexpr llvm::StringLiteral dropsOverflowAttrName{"pipe.drops_overflow"};

/// Module attribute of fusco-lower-to-pipe (i64): bytes of a dispatched row
/// between nodes; absent where none travels there.
constexpr llvm::StringLiteral scaleOutBytesAttrName{
    "pipe.scale_out_bytes_per_row"};

/// What fusco-add-baseline appends to a function's name.
constexpr llvm::StringLiteral unfusedSuffix{".unfused"};

/// What fusco-derive-backward appends to a function's name.
constexpr llvm::StringLiteral backwardSuffix{"_backward"};

/// Attribute of a function's argument or result: the name that its tensor has
/// in the C ABI, where that is not the one of its place.
constexpr llvm::StringLiteral tensorNameAttrName{"fusco.name"};

/// Module attribute: an array of dictionaries {subject, choice, reason}, what
/// passes decided and why. The compile report prints it.
constexpr llvm::StringLiteral decisionsAttrName{"fusco.decisions"};

/// Appends to the module's decisions, unless the same one is there.
void recordDecision(mlir::ModuleOp module, llvm::StringRef subject,
                    llvm::StringRef choice, const llvm::Twine &reason);

struct PlanPipelineOptions
    : public mlir::PassPipelineOptions<PlanPipelineOptions> {
  Option<UniqueOption> unique{
      *this, "unique", llvm::cl::desc("see fusco-plan-dedup"),
      llvm::cl::init(UniqueOption::Auto), uniqueOptionValues()};
  Option<PolicyOption> forwarders{
      *this, "forwarders", llvm::cl::desc("the policy of fusco-plan-balance"),
      llvm::cl::init(PolicyOption::Auto), policyOptionValues()};
};

/// `fusco-plan-pipeline`: from intent, fused or not, to intent with hops.
void buildPlanPipeline(mlir::OpPassManager &manager,
                       const PlanPipelineOptions &options);

struct PipePipelineOptions
    : public mlir::PassPipelineOptions<PipePipelineOptions> {
  Option<bool> fuse{
      *this, "fuse",
      llvm::cl::desc("fuse what is not (fusco-fuse-shuffle) rather than "
                     "compile it as it stands"),
      llvm::cl::init(true)};
  Option<bool> hasBaseline{
      *this, "baseline",
      llvm::cl::desc("add each function's unfused form (fusco-add-baseline)"),
      llvm::cl::init(false)};
  Option<UniqueOption> unique{
      *this, "unique", llvm::cl::desc("see fusco-plan-dedup"),
      llvm::cl::init(UniqueOption::Auto), uniqueOptionValues()};
  Option<PolicyOption> forwarders{
      *this, "forwarders", llvm::cl::desc("the policy of fusco-plan-balance"),
      llvm::cl::init(PolicyOption::Auto), policyOptionValues()};
  Option<bool> hasBackward{
      *this, "backward",
      llvm::cl::desc("add each function's backward (fusco-derive-backward)"),
      llvm::cl::init(false)};
  Option<int64_t> rowWorkers{*this, "row-workers",
                             llvm::cl::desc("see fusco-lower-to-pipe"),
                             llvm::cl::init(1)};
  Option<int64_t> chunkTokens{*this, "chunk-tokens",
                              llvm::cl::desc("see fusco-lower-to-pipe"),
                              llvm::cl::init(0)};
  Option<int64_t> ringChunks{*this, "ring-chunks",
                             llvm::cl::desc("see fusco-lower-to-pipe"),
                             llvm::cl::init(0)};
  Option<int64_t> stageLag{*this, "stage-lag",
                           llvm::cl::desc("see fusco-lower-to-pipe"),
                           llvm::cl::init(1)};
  Option<int64_t> workers{*this, "workers",
                          llvm::cl::desc("see pipe-split-pipelines"),
                          llvm::cl::init(1)};
  Option<bool> timeline{
      *this, "timeline",
      llvm::cl::desc("let workers note what they do (pipe-add-timeline)"),
      llvm::cl::init(false)};
};

/// `fusco-pipe-pipeline`: from intent to pipe programs with assigned memory,
/// what every target starts from. It plans as the plan pipeline does.
void buildPipePipeline(mlir::OpPassManager &manager,
                       const PipePipelineOptions &options);

/// Registers the passes and `fusco-plan-pipeline`.
void registerFuscoPasses();

} // namespace fusco

#endif // FUSCO_PASSES_PASSES_H
