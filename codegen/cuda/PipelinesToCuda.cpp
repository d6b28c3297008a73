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

#include "codegen/StageLoop.h"
#include "codegen/cuda/CudaPatterns.h"
#include "codegen/cuda/SimtBuilder.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

//===----------------------------------------------------------------------===//
// pipe.for_each
//===----------------------------------------------------------------------===//

SmallVector<SharedLoop> fusco::findSharedLoops(ModuleOp module) {
  SmallVector<SharedLoop> loops;
  module.walk([&](ForEachOp op) {
    loops.push_back({op, getSimtScope(op), op.hasRows()});
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
  b.finish(loop.scope);
  auto iterations = b.create<scf::ForOp>(b.add(op.getFrom(), share.first),
                                         op.getTo(), share.stride);
  rewriter.inlineBlockBefore(&op.getBody().front(),
                             iterations.getBody()->getTerminator(),
                             iterations.getInductionVar());
  b.finish(loop.scope);
  rewriter.eraseOp(op);
}

//===----------------------------------------------------------------------===//
// pipe.pipeline
//===----------------------------------------------------------------------===//

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
  // The worker's chunks, from its number on.
  Value worker = loop.getInductionVar();
  Value rest =
      b.create<arith::MaxSIOp>(b.sub(op.getChunks(), worker), b.index(0));
  buildStageLoop(b, rewriter, op, b.ceilDiv(rest, workers), [&](Value number) {
    return b.add(worker, b.mul(number, workers));
  });
  rewriter.eraseOp(op);
}

void fusco::lowerLoopsAndPipelines(ModuleOp module, ArrayRef<SharedLoop> loops,
                                   const CudaLimits &limits) {
  IRRewriter rewriter(module.getContext());
  for (const SharedLoop &loop : loops)
    lower(loop, rewriter, limits);
  module.walk([&](PipelineOp op) { lower(op, rewriter, limits); });
}

//===----------------------------------------------------------------------===//
// pipe.worker
//===----------------------------------------------------------------------===//

namespace {
/// Warps of a rank are numbered through; what a block does together, it does as
/// its first.
struct LowerWorker : CudaPattern<WorkerOp> {
  using CudaPattern::CudaPattern;

  LogicalResult matchAndRewrite(WorkerOp op,
                                PatternRewriter &rewriter) const override {
    SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    Value number = b.mul(b.blockInRank(), b.index(b.warpsPerBlock()));
    if (getSimtScope(op) == SimtScope::Warp)
      number = b.add(number, b.warpInBlock());
    rewriter.replaceOp(op, number);
    return success();
  }
};
} // namespace

void fusco::populateWorkersToCudaPatterns(RewritePatternSet &patterns,
                                          const CudaLimits &limits) {
  patterns.add<LowerWorker>(patterns.getContext(), limits);
}
