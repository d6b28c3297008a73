//===- PipelinesToCpu.cpp - One worker for all stages ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe.pipeline on a CPU: a rank's thread takes all stages in turn, each its
/// lag behind. In step s, a stage does chunk s - lag, if there is one. Likewise
/// all iterations of a pipe.for_each.
///
//===----------------------------------------------------------------------===//

#include "codegen/ScalarBuilder.h"
#include "codegen/cpu/CpuPatterns.h"
#include "dialect/PipeDialect.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

namespace {
struct LowerPipeline : OpRewritePattern<PipelineOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(PipelineOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getWorkers().value_or(1) != 1)
      return op.emitOpError("expected one worker on a CPU");
    ScalarBuilder b(op.getLoc(), rewriter);
    auto stages = llvm::to_vector(op.getBody().getOps<StageOp>());
    auto lastLag = static_cast<int64_t>(stages.back().getLag());
    Value chunks = op.getChunks(), zero = b.index(0);
    b.forRange(zero, b.add(chunks, b.index(lastLag)), [&](Value step) {
      for (StageOp stage : stages) {
        Value lag = b.index(static_cast<int64_t>(stage.getLag()));
        Value chunk = b.sub(step, lag);
        Value isOne = b.both(b.compare(Cmp::sge, chunk, zero),
                             b.compare(Cmp::slt, chunk, chunks));
        auto branch = b.create<scf::IfOp>(isOne, /*withElseRegion=*/false);
        rewriter.inlineBlockBefore(&stage.getBody().front(),
                                   branch.thenBlock()->getTerminator(), chunk);
      }
    });
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
} // namespace

void fusco::populatePipelinesToCpuPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerPipeline, LowerForEach>(patterns.getContext());
}
