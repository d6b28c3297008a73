//===- PipelinesToCpu.cpp - One worker for all stages ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe.pipeline on a CPU: a rank's thread takes all stages of all chunks.
/// Likewise all iterations of a pipe.for_each. It is worker 0.
///
//===----------------------------------------------------------------------===//

#include "codegen/StageLoop.h"
#include "codegen/cpu/CpuPatterns.h"
#include "dialect/PipeDialect.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

namespace {
struct LowerPipeline : OpRewritePattern<PipelineOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(PipelineOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getWorkers().value_or(1) != 1)
      return op.emitOpError("expected one worker on a CPU");
    ScalarBuilder b(op.getLoc(), rewriter);
    buildStageLoop(b, rewriter, op, op.getChunks(),
                   [](Value number) { return number; });
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerForEach : OpRewritePattern<ForEachOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ForEachOp op,
                                PatternRewriter &rewriter) const override {
    ScalarBuilder b(op.getLoc(), rewriter);
    auto loop = b.create<scf::ForOp>(op.getFrom(), op.getTo(), b.index(1));
    rewriter.inlineBlockBefore(&op.getBody().front(),
                               loop.getBody()->getTerminator(),
                               loop.getInductionVar());
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerWorker : OpRewritePattern<WorkerOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(WorkerOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<arith::ConstantIndexOp>(op, 0);
    return success();
  }
};
} // namespace

void fusco::populatePipelinesToCpuPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerPipeline, LowerForEach, LowerWorker>(patterns.getContext());
}
