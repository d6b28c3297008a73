//===- PipelinesToCuda.cpp - Loops that workers share ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe.for_each and pipe.pipeline on a GPU. The iterations of a for_each are
/// dealt out to the warps or the threads of its scope. A pipeline's stages are
/// taken in turn by a block, each its lag behind: in its step s, a stage does
/// the block's chunk s - lag, if there is one.
///
//===----------------------------------------------------------------------===//

#include "codegen/cuda/CudaPatterns.h"
#include "codegen/cuda/SimtBuilder.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

//===----------------------------------------------------------------------===//
// pipe.for_each
//===----------------------------------------------------------------------===//

SmallVector<SharedLoop> fusco::findSharedLoops(ModuleOp module) {
  SmallVector<SharedLoop> loops;
  module.walk([&](ForEachOp op) {
    loops.push_back({op, getSimtScope(op), isForWarps(op)});
  });
  return loops;
}

namespace {
/// The part of a range that one of several workers does: elements `first`,
/// `first` + `stride`, ...
struct Share {
  Value first, stride;
};
} // namespace

static Share getShareOfWarp(SimtBuilder &b, SimtScope scope) {
  switch (scope) {
  case SimtScope::Thread:
  case SimtScope::Warp:
    return {b.index(0), b.index(1)};
  case SimtScope::Block:
    return {b.warpInBlock(), b.index(b.warpsPerBlock())};
  case SimtScope::Rank: {
    // Block by block, so that few iterations are spread over many blocks.
    Value blocks = b.blocksOfRank();
    return {b.add(b.mul(b.warpInBlock(), blocks), b.blockInRank()),
            b.mul(blocks, b.index(b.warpsPerBlock()))};
  }
  }
  llvm_unreachable("every scope has warps");
}

static void lower(const SharedLoop &loop, RewriterBase &rewriter,
                  const CudaLimits &limits) {
  ForEachOp op = loop.op;
  rewriter.setInsertionPoint(op);
  SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
  Share share = loop.isForWarps
                    ? getShareOfWarp(b, loop.scope)
                    : Share{b.memberOf(loop.scope), b.membersOf(loop.scope)};
  // Iterations may write what any thread has just read. The blocks of a team
  // meet where it says so.
  bool meets = loop.scope != SimtScope::Rank;
  if (meets)
    b.sync(loop.scope);
  auto iterations = b.create<scf::ForOp>(b.add(op.getFrom(), share.first),
                                         op.getTo(), share.stride);
  rewriter.inlineBlockBefore(&op.getBody().front(),
                             iterations.getBody()->getTerminator(),
                             iterations.getInductionVar());
  if (meets)
    b.sync(loop.scope);
  rewriter.eraseOp(op);
}

//===----------------------------------------------------------------------===//
// pipe.pipeline
//===----------------------------------------------------------------------===//

/// One worker's part: the chunks from its number on.
static void lowerForWorker(PipelineOp op, RewriterBase &rewriter,
                           SimtBuilder &b, const Share &share) {
  auto stages = llvm::to_vector(op.getBody().getOps<StageOp>());
  auto lastLag = static_cast<int64_t>(stages.back().getLag());
  Value zero = b.index(0);
  Value rest =
      b.create<arith::MaxSIOp>(b.sub(op.getChunks(), share.first), zero);
  Value count = b.ceilDiv(rest, share.stride);
  b.forRange(zero, b.add(count, b.index(lastLag)), [&](Value step) {
    for (StageOp stage : stages) {
      Value lag = b.index(static_cast<int64_t>(stage.getLag()));
      Value turn = b.sub(step, lag);
      Value isOne = b.both(b.compare(Cmp::sge, turn, zero),
                           b.compare(Cmp::slt, turn, count));
      Value chunk = b.add(share.first, b.mul(turn, share.stride));
      auto branch = b.create<scf::IfOp>(isOne, /*withElseRegion=*/false);
      rewriter.inlineBlockBefore(&stage.getBody().front(),
                                 branch.thenBlock()->getTerminator(), chunk);
    }
  });
}

/// In a team, each block does the work of some workers, one after the other.
static void lower(PipelineOp op, RewriterBase &rewriter,
                  const CudaLimits &limits) {
  rewriter.setInsertionPoint(op);
  SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
  Value workers = b.index(static_cast<int64_t>(op.getWorkers().value_or(1)));
  bool isForTeam = getSimtScope(op) == SimtScope::Rank;
  auto loop =
      b.create<scf::ForOp>(isForTeam ? b.blockInRank() : b.index(0), workers,
                           isForTeam ? b.blocksOfRank() : b.index(1));
  b.setInsertionPointToStart(loop.getBody());
  lowerForWorker(op, rewriter, b, {loop.getInductionVar(), workers});
  rewriter.eraseOp(op);
}

void fusco::lowerLoopsAndPipelines(ModuleOp module, ArrayRef<SharedLoop> loops,
                                   const CudaLimits &limits) {
  IRRewriter rewriter(module.getContext());
  for (const SharedLoop &loop : loops)
    lower(loop, rewriter, limits);
  module.walk([&](PipelineOp op) { lower(op, rewriter, limits); });
}
