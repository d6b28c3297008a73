//===- FuseShuffle.cpp - From steps to one dispatch or combine ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// fusco-fuse-shuffle:
///   1. three steps, with casts between them or not, become one operation;
///   2. a cast beside that operation becomes part of it, and so do a
///      quantization before a dispatch and a dequantization before a combine;
///   3. of what is left, remarks say why.
/// What is legal stands in the match functions, which 1. and 2. share with 3.
///
//===----------------------------------------------------------------------===//

#include "dialect/FuscoOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "passes/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace fusco {
#define GEN_PASS_DEF_FUSESHUFFLEPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;

//===----------------------------------------------------------------------===//
// What is legal
//===----------------------------------------------------------------------===//

/// Takes the reason why something is not fused, and fails.
using Refuse = function_ref<LogicalResult(const Twine &)>;

namespace {
/// Three steps by one plan that follow each other; the last is known.
template <typename OuterOp> struct Steps {
  OuterOp first;
  AllToAllOp exchange;
  SmallVector<CastOp, 1> casts; ///< between the steps
};
} // namespace

static LogicalResult checkUsedOnce(Value rows, Refuse refuse) {
  if (rows.hasOneUse())
    return success();
  return refuse("the rows of '" +
                rows.getDefiningOp()->getName().getStringRef() +
                "' are used more than once");
}

/// The step whose rows \p op takes; casts on the way go to \p casts.
template <typename StepOp>
static FailureOr<StepOp>
matchStepBefore(Operation *op, SmallVectorImpl<CastOp> &casts, Refuse refuse) {
  for (Value rows = op->getOperand(0);;) {
    Operation *maker = rows.getDefiningOp();
    if (!isa_and_nonnull<StepOp, CastOp>(maker))
      return refuse("'" + op->getName().getStringRef() +
                    "' does not take the rows of a '" +
                    StepOp::getOperationName() + "'");
    if (maker->getBlock() != op->getBlock())
      return refuse("the steps stand in different blocks");
    if (failed(checkUsedOnce(rows, refuse)))
      return failure();
    if (auto step = dyn_cast<StepOp>(maker))
      return step;
    casts.push_back(cast<CastOp>(maker));
    rows = casts.back().getInput();
  }
}

/// The steps that end in \p last. Their layouts match, since each step's own
/// verifier accepts just one layout on the side of its neighbour.
template <typename OuterOp>
static FailureOr<Steps<OuterOp>> matchSteps(OuterOp last, Refuse refuse) {
  Steps<OuterOp> steps;
  auto exchange = matchStepBefore<AllToAllOp>(last, steps.casts, refuse);
  if (failed(exchange))
    return failure();
  auto first = matchStepBefore<OuterOp>(*exchange, steps.casts, refuse);
  if (failed(first))
    return failure();
  steps.exchange = *exchange;
  steps.first = *first;
  if (steps.first.getPlan() != last.getPlan() ||
      steps.exchange.getPlan() != last.getPlan())
    return refuse("the steps use different plans");
  return steps;
}

/// permute, all_to_all and \p last, a permute to expert_major.
static FailureOr<Steps<PermuteOp>> matchDispatch(PermuteOp last,
                                                 Refuse refuse) {
  if (!isa<ExpertMajorLayoutAttr>(getLayout(last.getOutput().getType())))
    return failure(); // the first step
  FailureOr<Steps<PermuteOp>> steps = matchSteps(last, refuse);
  if (succeeded(steps) && steps->casts.size() > 1)
    return refuse("the rows are cast more than once");
  return steps;
}

/// \p cast, which stands before the sum, changes no bit of it. Only a cast to
/// f32 is exact.
static LogicalResult checkExact(CastOp cast, Refuse refuse) {
  Type type = cast.getOutput().getType().getElementType();
  if (type.isF32())
    return success();
  return refuse(Twine("the rows are rounded to ") +
                (type.isBF16() ? "bf16" : "f16") + " before they are summed");
}

/// unpermute, all_to_all and \p last, an unpermute to token-major: the sum.
static FailureOr<Steps<UnpermuteOp>> matchCombine(UnpermuteOp last,
                                                  Refuse refuse) {
  if (!isa<TokenMajorLayoutAttr>(getLayout(last.getOutput().getType())))
    return failure(); // the first step
  FailureOr<Steps<UnpermuteOp>> steps = matchSteps(last, refuse);
  if (succeeded(steps))
    for (CastOp cast : steps->casts)
      if (failed(checkExact(cast, refuse)))
        return failure();
  return steps;
}

/// The dispatch or combine that can do \p cast on the way: the one that makes
/// its input, or else the one that takes its output.
static FailureOr<Operation *> matchCast(CastOp cast, Refuse refuse) {
  auto isShuffle = [](Operation *op) {
    return isa_and_nonnull<DispatchOp, CombineOp>(op);
  };
  Value between = cast.getInput();
  Operation *shuffle = between.getDefiningOp();
  if (!isShuffle(shuffle)) {
    between = cast.getOutput();
    auto user = llvm::find_if(between.getUsers(), isShuffle);
    if (user == between.user_end())
      return failure(); // nothing beside it
    shuffle = *user;
  }
  if (shuffle->getBlock() != cast->getBlock())
    return refuse("the steps stand in different blocks");
  if (failed(checkUsedOnce(between, refuse)))
    return failure();
  if (auto dispatch = dyn_cast<DispatchOp>(shuffle)) {
    if (dispatch.getWeighted())
      return refuse("the rows are rounded after they are weighted");
    if (!dispatch.isPlain())
      return refuse("the dispatch moves several tensors");
    if (dispatch.getX().getType().getElementType() !=
        dispatch.getRows().getType().getElementType())
      return refuse("the rows are cast more than once");
  } else if (between == cast.getOutput()) {
    if (failed(checkExact(cast, refuse)))
      return failure();
  } else if (!cast.getInput().getType().getElementType().isF32()) {
    return refuse("the sum is rounded before it is cast");
  }
  return shuffle;
}

/// The dispatch of both what \p quantize makes, which can do that on the way.
static FailureOr<DispatchOp> matchQuantize(QuantizeOp quantize, Refuse refuse) {
  if (quantize->getParentOfType<DispatchOp>())
    return failure(); // done
  for (Value made : {quantize.getOutput(), quantize.getScales()})
    if (failed(checkUsedOnce(made, refuse)))
      return failure();
  Operation *user = *quantize.getOutput().user_begin();
  auto dispatch = dyn_cast<DispatchOp>(user);
  if (!dispatch || user != *quantize.getScales().user_begin())
    return refuse("its rows and scales are not moved by one 'fusco.dispatch'");
  if (dispatch->getBlock() != quantize->getBlock())
    return refuse("the steps stand in different blocks");
  if (dispatch.hasTransform())
    return refuse("the dispatch has a transform");
  return dispatch;
}

/// The combine of what \p dequantize makes, which can do that on the way.
static FailureOr<CombineOp> matchDequantize(DequantizeOp dequantize,
                                            Refuse refuse) {
  Value rows = dequantize.getOutput();
  if (failed(checkUsedOnce(rows, refuse)))
    return failure();
  auto combine = dyn_cast<CombineOp>(*rows.user_begin());
  if (!combine || combine.getY() != rows)
    return refuse("its rows are not taken by a 'fusco.combine'");
  if (combine->getBlock() != dequantize->getBlock())
    return refuse("the steps stand in different blocks");
  return combine;
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

/// A pattern's way to refuse: for listeners and debugging.
static auto refuseMatch(PatternRewriter &rewriter, Operation *op) {
  return [&rewriter, op](const Twine &reason) {
    return rewriter.notifyMatchFailure(op, reason);
  };
}

template <typename OuterOp>
static Location fuseLocations(Builder &builder, Steps<OuterOp> steps,
                              OuterOp last) {
  return builder.getFusedLoc(
      {steps.first.getLoc(), steps.exchange.getLoc(), last.getLoc()});
}

namespace {
struct FuseDispatch : OpRewritePattern<PermuteOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PermuteOp last,
                                PatternRewriter &rewriter) const override {
    auto steps = matchDispatch(last, refuseMatch(rewriter, last));
    if (failed(steps))
      return failure();
    // permute_c3: there is such a group.
    auto group = SymbolTable::lookupNearestSymbolFrom<GroupOp>(
        last, last.getPlan().getType().getGroup());
    int64_t localExperts = getPlacement(group).maxLocalExperts();
    auto int32s = [&](int64_t size) {
      return RankedTensorType::get(size, rewriter.getI32Type());
    };
    auto dispatch = rewriter.create<DispatchOp>(
        fuseLocations(rewriter, *steps, last), last.getOutput().getType(),
        int32s(localExperts), int32s(localExperts + 1), steps->first.getInput(),
        last.getPlan(), /*weighted=*/false);
    rewriter.replaceOp(last, dispatch.getRows());
    return success();
  }
};

struct FuseCombine : OpRewritePattern<UnpermuteOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(UnpermuteOp last,
                                PatternRewriter &rewriter) const override {
    auto steps = matchCombine(last, refuseMatch(rewriter, last));
    if (failed(steps))
      return failure();
    auto combine = rewriter.create<CombineOp>(
        fuseLocations(rewriter, *steps, last), last.getOutput().getType(),
        steps->first.getInput(), last.getPlan(), last.getWeighted());
    rewriter.replaceOp(last, combine.getOut());
    return success();
  }
};

struct FuseCast : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp cast,
                                PatternRewriter &rewriter) const override {
    FailureOr<Operation *> shuffle =
        matchCast(cast, refuseMatch(rewriter, cast));
    if (failed(shuffle))
      return failure();
    // Rows are the first operand and the first result of either operation.
    if (*shuffle != cast.getInput().getDefiningOp()) {
      rewriter.replaceOp(cast, cast.getInput());
      return success();
    }
    Value rows = (*shuffle)->getResult(0);
    rewriter.modifyOpInPlace(*shuffle,
                             [&] { rows.setType(cast.getOutput().getType()); });
    rewriter.replaceOp(cast, rows);
    return success();
  }
};

/// In the place of the two that it makes, the dispatch takes what \p quantize
/// takes.
struct FuseQuantize : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(QuantizeOp quantize,
                                PatternRewriter &rewriter) const override {
    FailureOr<DispatchOp> found =
        matchQuantize(quantize, refuseMatch(rewriter, quantize));
    if (failed(found))
      return failure();
    DispatchOp dispatch = *found;
    auto isMade = [&](Value x) { return x.getDefiningOp() == quantize; };
    SmallVector<Value> xs{quantize.getInput()};
    llvm::copy_if(dispatch.getXs(), std::back_inserter(xs),
                  std::not_fn(isMade));

    auto typeOf = [](Value result) {
      return result ? result.getType() : Type();
    };
    rewriter.setInsertionPoint(dispatch);
    auto fused = rewriter.create<DispatchOp>(
        rewriter.getFusedLoc({quantize.getLoc(), dispatch.getLoc()}),
        dispatch.getPayloads().getTypes(), dispatch.getCounts().getType(),
        dispatch.getOffsets().getType(), typeOf(dispatch.getKeptIds()),
        typeOf(dispatch.getRowWeights()), typeOf(dispatch.getReady()), xs,
        dispatch.getPlan(), dispatch.getWeighted(), dispatch.getLocalIdsAttr(),
        dispatch.getByColumnsAttr(), dispatch.getHopsAttr());
    Block *body = rewriter.createBlock(&fused.getTransform());
    for (Value x : xs)
      body->addArgument(withoutLayout(x.getType()), x.getLoc());
    auto made = rewriter.create<QuantizeOp>(
        quantize.getLoc(), withoutLayout(quantize.getOutput().getType()),
        withoutLayout(quantize.getScales().getType()), body->getArgument(0),
        quantize.getBlock());
    // Everything else stays in its order.
    unsigned next = 1;
    SmallVector<Value> yielded;
    for (Value x : dispatch.getXs())
      yielded.push_back(
          isMade(x) ? made.getResult(cast<OpResult>(x).getResultNumber())
                    : Value(body->getArgument(next++)));
    rewriter.create<YieldOp>(quantize.getLoc(), yielded);
    rewriter.replaceOp(dispatch, fused);
    rewriter.eraseOp(quantize);
    return success();
  }
};

/// The combine takes what \p dequantize takes.
struct FuseDequantize : OpRewritePattern<DequantizeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DequantizeOp dequantize,
                                PatternRewriter &rewriter) const override {
    FailureOr<CombineOp> combine =
        matchDequantize(dequantize, refuseMatch(rewriter, dequantize));
    if (failed(combine))
      return failure();
    rewriter.modifyOpInPlace(*combine, [&] {
      combine->getYMutable().assign(dequantize.getInput());
      combine->getScalesMutable().assign(dequantize.getScales());
      combine->setBlock(dequantize.getBlock());
    });
    rewriter.eraseOp(dequantize);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

struct FuseShufflePass : fusco::impl::FuseShufflePassBase<FuseShufflePass> {
  using FuseShufflePassBase::FuseShufflePassBase;
  void runOnOperation() override;

private:
  void emitRemarks();
};
} // namespace

void FuseShufflePass::runOnOperation() {
  ModuleOp module = getOperation();
  RewritePatternSet patterns(&getContext());
  patterns.add<FuseDispatch, FuseCombine, FuseCast, FuseQuantize,
               FuseDequantize>(&getContext()); // 1., 2.
  // The driver erases what nobody uses. Only steps that become so on the way
  // shall go: others are the input's, and lowering has something to say of
  // them.
  SmallVector<Operation *> ops;
  module.walk([&](Operation *op) {
    if (isa<PermuteOp, AllToAllOp, UnpermuteOp, CastOp, QuantizeOp,
            DequantizeOp>(op) &&
        !op->use_empty())
      ops.push_back(op);
  });
  GreedyRewriteConfig config;
  config.scope = &module.getBodyRegion();
  config.strictMode = GreedyRewriteStrictness::ExistingAndNewOps;
  bool isAnyFused = false;
  (void)applyOpPatternsAndFold(ops, std::move(patterns), config, &isAnyFused);
  if (isAnyFused)
    recordDecision(module, "form", "fused",
                   "one operation reads each row once and writes it where it "
                   "belongs, where steps pass over all rows three times");
  if (remarks)
    emitRemarks(); // 3.
}

void FuseShufflePass::emitRemarks() {
  getOperation().walk([](Operation *op) {
    auto refuse = [op](const Twine &reason) -> LogicalResult {
      return op->emitRemark("not fused: ") << reason;
    };
    llvm::TypeSwitch<Operation *>(op)
        .Case([&](PermuteOp last) { (void)matchDispatch(last, refuse); })
        .Case([&](UnpermuteOp last) { (void)matchCombine(last, refuse); })
        .Case([&](CastOp cast) { (void)matchCast(cast, refuse); })
        .Case([&](QuantizeOp op) { (void)matchQuantize(op, refuse); })
        .Case([&](DequantizeOp op) { (void)matchDequantize(op, refuse); });
  });
}
