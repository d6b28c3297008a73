//===- StageLoop.cpp - One worker takes all stages ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See StageLoop.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/StageLoop.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

void fusco::buildStageLoop(ScalarBuilder &b, RewriterBase &rewriter,
                           PipelineOp op, Value count,
                           function_ref<Value(Value)> chunkOf) {
  auto stages = llvm::to_vector(op.getBody().getOps<StageOp>());
  auto lastLag = static_cast<int64_t>(stages.back().getLag());
  Value zero = b.index(0);
  b.forRange(zero, b.add(count, b.index(lastLag)), [&](Value step) {
    for (StageOp stage : stages) {
      Value lag = b.index(static_cast<int64_t>(stage.getLag()));
      Value number = b.sub(step, lag);
      Value isOne = b.both(b.compare(Cmp::sge, number, zero),
                           b.compare(Cmp::slt, number, count));
      Value chunk = chunkOf(number);
      auto branch = b.create<scf::IfOp>(isOne, /*withElseRegion=*/false);
      rewriter.inlineBlockBefore(&stage.getBody().front(),
                                 branch.thenBlock()->getTerminator(), chunk);
    }
  });
}
