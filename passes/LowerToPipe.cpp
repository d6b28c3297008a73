//===- LowerToPipe.cpp - From intent to programs --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// fusco-lower-to-pipe:
///   1. learn the one shape of the module, and check that there is one;
///   2. declare the memory that programs share;
///   3. for each function, recognise what it does, make a program with its
///      tensors as arguments, and have DispatchProgram.cpp or
///      CombineProgram.cpp fill it.
///
//===----------------------------------------------------------------------===//

#include "dialect/FuscoOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Passes.h"
#include "passes/ProgramBuilder.h"
#include "llvm/ADT/TypeSwitch.h"

namespace fusco {
#define GEN_PASS_DEF_LOWERTOPIPEPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

//===----------------------------------------------------------------------===//
// 1. The shape
//===----------------------------------------------------------------------===//

namespace {
/// The rows on the experts' side of a shuffle, and its hops.
struct Shuffle {
  Operation *op;
  RankedTensorType expertRows;
  ArrayAttr hops;
};
} // namespace

static std::optional<Shuffle> getShuffle(Operation *op) {
  if (auto dispatch = dyn_cast<DispatchOp>(op))
    return Shuffle{op, dispatch.getRows().getType(), dispatch.getHopsAttr()};
  if (auto combine = dyn_cast<CombineOp>(op))
    return Shuffle{op, combine.getY().getType(), combine.getHopsAttr()};
  return std::nullopt;
}

/// What this pass can lower of \p shuffle, or a diagnostic.
static LogicalResult checkShuffle(const Shuffle &shuffle) {
  if (!isa<ExpertMajorLayoutAttr>(getLayout(shuffle.expertRows)))
    return shuffle.op->emitOpError(
               "expected the layout expert_major, the one that is compiled, "
               "got '")
           << getLayout(shuffle.expertRows) << "'";
  auto direct =
      HopAttr::get(shuffle.op->getContext(), Reach::All, Unique::Assignment);
  if (!shuffle.hops || shuffle.hops.size() != 1 || shuffle.hops[0] != direct)
    return shuffle.op->emitOpError("expected the hops of fusco-plan-direct; "
                                   "run that pass first");
  return success();
}

static FailureOr<ShuffleShape> learnShape(ModuleOp module) {
  GroupOp group;
  for (auto other : module.getOps<GroupOp>()) {
    if (group) {
      InFlightDiagnostic diagnostic =
          other.emitOpError("expected one group in a module");
      diagnostic.attachNote(group.getLoc()) << "the first one is here";
      return diagnostic;
    }
    group = other;
  }
  if (!group)
    return module.emitError("expected a module with a 'fusco.group'");

  std::optional<Shuffle> first;
  WalkResult result = module.walk([&](Operation *op) {
    std::optional<Shuffle> shuffle = getShuffle(op);
    if (!shuffle)
      return WalkResult::advance();
    if (failed(checkShuffle(*shuffle)))
      return WalkResult::interrupt();
    if (first && first->expertRows != shuffle->expertRows) {
      InFlightDiagnostic diagnostic =
          op->emitOpError("expected the experts' rows to have one type in the "
                          "module, ")
          << first->expertRows << ", got " << shuffle->expertRows;
      diagnostic.attachNote(first->op->getLoc()) << "the first one is here";
      return WalkResult::interrupt();
    }
    first = shuffle;
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  if (!first)
    return module.emitError(
        "expected a 'fusco.dispatch' or 'fusco.combine' in the module, got "
        "none (the unfused form is not compiled)");

  ShuffleShape shape{.loc = first->op->getLoc()};
  shape.nodes = group.getTopology().getNodes();
  shape.ranksPerNode = group.getTopology().getRanksPerNode();
  shape.experts = group.getExperts();
  shape.topk = group.getTopk();
  shape.maxTokens = group.getMaxTokens();
  shape.hidden = first->expertRows.getDimSize(1);
  shape.elementType = first->expertRows.getElementType();
  shape.align =
      cast<ExpertMajorLayoutAttr>(getLayout(first->expertRows)).getAlign();
  int64_t rows = maxExpertMajorRows(shape.placement(), shape.maxTokens,
                                    shape.topk, shape.align);
  if (rows > std::numeric_limits<int32_t>::max())
    return first->op->emitOpError("expected at most 2147483647 rows on a rank "
                                  "with pads, got ")
           << rows << "; take a smaller 'align' or 'max_tokens'";
  return shape;
}

//===----------------------------------------------------------------------===//
// 3. Functions to programs
//===----------------------------------------------------------------------===//

namespace {
/// What a function does: all of its operations, recognised.
struct FunctionContents {
  PlanOp plan;
  DispatchOp dispatch;
  CombineOp combine;
  func::ReturnOp terminator;
};

struct LowerToPipePass : fusco::impl::LowerToPipePassBase<LowerToPipePass> {
  using LowerToPipePassBase::LowerToPipePassBase;
  void runOnOperation() override;

private:
  LogicalResult lower(func::FuncOp function, const ShuffleShape &shape);
  bool isStreaming(int64_t bytes) const { return bytes > cacheBytes; }
  void decideStores(const ShuffleShape &shape);
};
} // namespace

static FailureOr<FunctionContents> recognise(func::FuncOp function) {
  if (function.isExternal())
    return function.emitOpError("expected a body");
  if (!function.getBody().hasOneBlock())
    return function.emitOpError("expected straight-line code");
  FunctionContents contents;
  auto take = [](auto &place, auto op) -> LogicalResult {
    if (place)
      return op->emitOpError("expected at most once in a function");
    place = op;
    return success();
  };
  for (Operation &op : function.getBody().front()) {
    LogicalResult result =
        llvm::TypeSwitch<Operation *, LogicalResult>(&op)
            .Case([&](PlanOp o) { return take(contents.plan, o); })
            .Case([&](DispatchOp o) { return take(contents.dispatch, o); })
            .Case([&](CombineOp o) { return take(contents.combine, o); })
            .Case(
                [&](func::ReturnOp o) { return take(contents.terminator, o); })
            .Default([](Operation *o) {
              return o->emitOpError("expected only fusco.plan, fusco.dispatch "
                                    "and fusco.combine in a function to "
                                    "compile");
            });
    if (failed(result))
      return failure();
  }
  if (contents.dispatch) {
    if (contents.combine)
      return contents.combine.emitOpError(
          "expected in a function of its own, after the experts");
    if (!contents.plan || contents.dispatch.getPlan() != contents.plan)
      return contents.dispatch.emitOpError(
          "expected the plan to be made in the same function");
  } else if (!contents.combine) {
    return function.emitOpError("expected a 'fusco.dispatch' or a "
                                "'fusco.combine'");
  } else if (contents.plan) {
    return contents.plan.emitOpError(
        "expected in the function of its 'fusco.dispatch'");
  }
  return contents;
}

/// The place of each tensor among the program's arguments: the function's
/// tensor arguments, then its tensor results.
namespace {
class TensorArguments {
public:
  TensorArguments(func::FuncOp function, func::ReturnOp terminator)
      : function(function), terminator(terminator) {
    for (BlockArgument argument : function.getArguments())
      if (!isa<PlanType>(argument.getType()))
        values.push_back(argument);
    numInputs = values.size();
    for (Value result : terminator.getOperands())
      if (!isa<PlanType>(result.getType()))
        values.push_back(result);
    names.resize(values.size());
  }

  /// The function takes (or returns) \p value, which is now called \p name.
  LogicalResult bind(Operation *op, Value value, StringRef name,
                     bool isOutput) {
    ArrayRef<Value> all(values);
    ArrayRef<Value> part =
        isOutput ? all.drop_front(numInputs) : all.take_front(numInputs);
    const Value *found = llvm::find(part, value);
    if (found == part.end())
      return op->emitOpError("expected '")
             << name << "' to be " << (isOutput ? "returned" : "an argument")
             << " of the function";
    std::string &slot = names[found - all.begin()];
    if (!slot.empty())
      return op->emitOpError("expected '")
             << name << "' to be another tensor than '" << slot << "'";
    slot = name;
    return success();
  }

  /// Every argument and result has been bound.
  LogicalResult checkAllBound() {
    for (auto [index, name] : llvm::enumerate(names))
      if (name.empty())
        return function.emitOpError("expected every tensor to be used once, ")
               << (index < numInputs ? "argument" : "result") << " of type "
               << values[index].getType() << " is not";
    return success();
  }

  /// The program's argument types and attributes.
  SmallVector<Type> types() const {
    return llvm::map_to_vector(values, [](Value value) -> Type {
      auto tensor = cast<RankedTensorType>(value.getType());
      return MemRefType::get(tensor.getShape(), tensor.getElementType());
    });
  }
  SmallVector<Attribute> attributes(Builder &builder) const {
    SmallVector<Attribute> result;
    for (auto [index, name] : llvm::enumerate(names)) {
      SmallVector<NamedAttribute> entries{builder.getNamedAttr(
          ProgramOp::nameAttrName, builder.getStringAttr(name))};
      auto tensor = cast<RankedTensorType>(values[index].getType());
      if (isa<ExpertMajorLayoutAttr>(getLayout(tensor)))
        entries.push_back(builder.getNamedAttr(ProgramOp::expertRowsAttrName,
                                               builder.getUnitAttr()));
      if (index >= numInputs)
        entries.push_back(builder.getNamedAttr(ProgramOp::outputAttrName,
                                               builder.getUnitAttr()));
      result.push_back(builder.getDictionaryAttr(entries));
    }
    return result;
  }
  /// The argument of \p program that is called \p name; null if none is.
  Value find(ProgramOp program, StringRef name) const {
    for (auto [index, bound] : llvm::enumerate(names))
      if (bound == name)
        return program.getBody().getArgument(index);
    return {};
  }

private:
  func::FuncOp function;
  func::ReturnOp terminator;
  SmallVector<Value> values;
  SmallVector<std::string> names;
  size_t numInputs;
};
} // namespace

LogicalResult LowerToPipePass::lower(func::FuncOp function,
                                     const ShuffleShape &shape) {
  FailureOr<FunctionContents> contents = recognise(function);
  if (failed(contents))
    return failure();
  auto [plan, dispatch, combine, terminator] = *contents;

  TensorArguments tensors(function, terminator);
  if (dispatch) {
    if (failed(tensors.bind(dispatch, dispatch.getX(), "x", false)) ||
        failed(tensors.bind(plan, plan.getIds(), "ids", false)) ||
        (plan.getWeights() &&
         failed(tensors.bind(plan, plan.getWeights(), "weights", false))) ||
        failed(tensors.bind(dispatch, dispatch.getRows(), "rows", true)) ||
        failed(tensors.bind(dispatch, dispatch.getCounts(), "counts", true)) ||
        failed(tensors.bind(dispatch, dispatch.getOffsets(), "offsets", true)))
      return failure();
    if (!llvm::is_contained(terminator.getOperands(), plan.getPlan()))
      return plan.emitOpError("expected the plan to be returned");
  } else {
    if (failed(tensors.bind(combine, combine.getY(), "y", false)) ||
        failed(tensors.bind(combine, combine.getOut(), "out", true)))
      return failure();
    if (!isa<BlockArgument>(combine.getPlan()))
      return combine.emitOpError("expected the plan to be an argument of the "
                                 "function");
  }
  if (failed(tensors.checkAllBound()))
    return failure();

  ImplicitLocOpBuilder b(function.getLoc(), function);
  SmallVector<Type> types = tensors.types();
  auto program =
      b.create<ProgramOp>(function.getSymName(), b.getFunctionType(types, {}),
                          /*fills_plan=*/static_cast<bool>(dispatch),
                          b.getArrayAttr(tensors.attributes(b)), ArrayAttr());
  Block &body = program.getBody().emplaceBlock();
  body.addArguments(types,
                    SmallVector<Location>(types.size(), function.getLoc()));
  b.setInsertionPointToStart(&body);
  ProgramBuilder p(b, shape, program);
  auto find = [&](StringRef name) { return tensors.find(program, name); };
  int64_t bytesOfTokens = shape.maxTokens * shape.bytesPerRow();
  if (dispatch) {
    b.setLoc(dispatch.getLoc());
    buildDispatch(p,
                  {find("x"), find("ids"), find("weights"), find("rows"),
                   find("counts"), find("offsets")},
                  isStreaming(bytesOfTokens * shape.topk));
  } else {
    b.setLoc(combine.getLoc());
    buildCombine(p, {find("y"), find("out")}, combine.getWeighted(),
                 isStreaming(bytesOfTokens));
  }
  b.create<pipe::ReturnOp>();
  function.erase();
  return success();
}

void LowerToPipePass::decideStores(const ShuffleShape &shape) {
  auto decide = [&](StringRef subject, int64_t bytes) {
    recordDecision(getOperation(), subject,
                   isStreaming(bytes) ? "streaming" : "cached",
                   "a rank writes at most " + Twine(bytes) +
                       " bytes in a call; past " + Twine(cacheBytes) +
                       " they would only push other data out of the caches");
  };
  int64_t bytesOfTokens = shape.maxTokens * shape.bytesPerRow();
  decide("dispatch.stores", bytesOfTokens * shape.topk);
  decide("combine.stores", bytesOfTokens);
}

/// A weighted combine needs plans with weights, and any function may have made
/// its plan.
static LogicalResult checkWeights(ModuleOp module) {
  CombineOp weighted;
  module.walk([&](CombineOp combine) {
    if (combine.getWeighted())
      weighted = combine;
  });
  WalkResult result = module.walk([&](PlanOp plan) {
    if (!weighted || plan.getWeights())
      return WalkResult::advance();
    InFlightDiagnostic diagnostic =
        plan.emitOpError("expected weights, since a combine is 'weighted'");
    diagnostic.attachNote(weighted.getLoc()) << "it is here";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

void LowerToPipePass::runOnOperation() {
  ModuleOp module = getOperation();
  FailureOr<ShuffleShape> shape = learnShape(module); // 1.
  if (failed(shape) || failed(checkWeights(module)))
    return signalPassFailure();

  auto group = *module.getOps<GroupOp>().begin();
  ImplicitLocOpBuilder builder(group.getLoc(), group->getContext());
  builder.setInsertionPointAfter(group);
  module->setAttr(alignRowsAttrName, builder.getI64IntegerAttr(shape->align));
  declareSharedMemory(builder, *shape); // 2.
  decideStores(*shape);

  for (auto function :
       llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
    if (failed(lower(function, *shape))) // 3.
      return signalPassFailure();
}
