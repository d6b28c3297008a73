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
///      tensors as arguments, and have DispatchProgram.cpp, CombineProgram.cpp
///      or UnfusedPrograms.cpp fill it.
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
// The steps of the unfused form, by their layouts
//===----------------------------------------------------------------------===//

/// permute, device_major<source> to expert_major.
static bool isToExperts(Operation *op) {
  auto permute = dyn_cast<PermuteOp>(op);
  return permute &&
         isa<ExpertMajorLayoutAttr>(getLayout(permute.getOutput().getType()));
}

/// unpermute, expert_major to device_major<source>.
static bool isFromExperts(Operation *op) {
  auto unpermute = dyn_cast<UnpermuteOp>(op);
  return unpermute &&
         isa<ExpertMajorLayoutAttr>(getLayout(unpermute.getInput().getType()));
}

//===----------------------------------------------------------------------===//
// 1. The shape
//===----------------------------------------------------------------------===//

namespace {
/// The rows on the experts' side of a shuffle.
struct Shuffle {
  Operation *op;
  RankedTensorType expertRows;
  bool isFused;
  ArrayAttr hops; ///< of the fused form
};
} // namespace

static std::optional<Shuffle> getShuffle(Operation *op) {
  if (auto dispatch = dyn_cast<DispatchOp>(op))
    return Shuffle{op, dispatch.getRows().getType(), true,
                   dispatch.getHopsAttr()};
  if (auto combine = dyn_cast<CombineOp>(op))
    return Shuffle{op, combine.getY().getType(), true, combine.getHopsAttr()};
  if (isToExperts(op))
    return Shuffle{op, cast<PermuteOp>(op).getOutput().getType(), false, {}};
  if (isFromExperts(op))
    return Shuffle{op, cast<UnpermuteOp>(op).getInput().getType(), false, {}};
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
  if (!shuffle.isFused)
    return success();
  if (!shuffle.hops || shuffle.hops.size() != 1 || shuffle.hops[0] != direct)
    return shuffle.op->emitOpError("expected the hops of fusco-plan-direct; "
                                   "run that pass first");
  return success();
}

/// Whether \p op stands in a function of fusco-add-baseline.
static bool isInBaseline(Operation *op) {
  auto function = op->getParentOfType<func::FuncOp>();
  return function && function.getSymName().ends_with(unfusedSuffix);
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
    // Each form reads from a plan what only the same form has put there. A
    // baseline brings functions of its own for both directions.
    if (first && first->isFused != shuffle->isFused && !isInBaseline(op)) {
      InFlightDiagnostic diagnostic = op->emitOpError(
          "expected only fused or only unfused shuffles in the module");
      diagnostic.attachNote(first->op->getLoc()) << "the first one is here";
      return WalkResult::interrupt();
    }
    if (!first)
      first = shuffle;
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  if (!first)
    return module.emitError(
        "expected a 'fusco.dispatch', a 'fusco.combine' or their unfused forms "
        "in the module, got none");

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
/// What a function does: all of its operations, recognised. It holds one of
/// dispatch, combine, toExperts (the unfused dispatch), fromExperts (the
/// unfused combine).
struct FunctionContents {
  PlanOp plan;
  DispatchOp dispatch;
  CombineOp combine;
  PermuteOp byDestination, toExperts;
  AllToAllOp allToAll;
  UnpermuteOp fromExperts, toTokens;
  func::ReturnOp terminator;

  bool isDispatch() const { return dispatch || toExperts; }
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

/// The steps of an unfused form are all there and follow each other.
static LogicalResult checkUnfused(FunctionContents &contents) {
  auto [plan, dispatch, combine, byDestination, toExperts, allToAll,
        fromExperts, toTokens, terminator] = contents;
  if (toExperts) {
    if (!byDestination || !allToAll || toTokens ||
        allToAll.getInput() != byDestination.getOutput() ||
        toExperts.getInput() != allToAll.getOutput())
      return toExperts.emitOpError("expected to end the chain permute, "
                                   "all_to_all, permute");
    return success();
  }
  if (fromExperts) {
    if (!toTokens || !allToAll || byDestination ||
        allToAll.getInput() != fromExperts.getOutput() ||
        toTokens.getInput() != allToAll.getOutput())
      return fromExperts.emitOpError("expected to begin the chain unpermute, "
                                     "all_to_all, unpermute");
    return success();
  }
  for (Operation *stray : {byDestination.getOperation(),
                           allToAll.getOperation(), toTokens.getOperation()})
    if (stray)
      return stray->emitOpError("expected in an unfused dispatch or combine");
  return success();
}

/// A dispatch makes its plan, and returns it; a combine is given one.
static FailureOr<FunctionContents> checkPlan(func::FuncOp function,
                                             const FunctionContents &contents) {
  for (Operation &op : function.getBody().front()) {
    for (Value operand : op.getOperands()) {
      if (!isa<PlanType>(operand.getType()))
        continue;
      if (contents.isDispatch() && !operand.getDefiningOp<PlanOp>())
        return op.emitOpError("expected the plan to be made in the same "
                              "function");
      if (!contents.isDispatch() && !isa<BlockArgument>(operand))
        return op.emitOpError("expected the plan to be an argument of the "
                              "function");
    }
  }
  PlanOp plan = contents.plan;
  auto numPlans = llvm::count_if(function.getArgumentTypes(),
                                 [](Type type) { return isa<PlanType>(type); });
  if (numPlans != (contents.isDispatch() ? 0 : 1))
    return function.emitOpError("expected ")
           << (contents.isDispatch() ? "no plan" : "one plan")
           << " as argument, got " << numPlans;
  if (contents.isDispatch() &&
      !llvm::is_contained(func::ReturnOp(contents.terminator).getOperands(),
                          plan.getPlan()))
    return plan.emitOpError("expected the plan to be returned");
  if (!contents.isDispatch() && plan)
    return plan.emitOpError("expected in the function of its dispatch");
  return contents;
}

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
            .Case([&](PermuteOp o) {
              return take(isToExperts(o) ? contents.toExperts
                                         : contents.byDestination,
                          o);
            })
            .Case([&](AllToAllOp o) { return take(contents.allToAll, o); })
            .Case([&](UnpermuteOp o) {
              return take(isFromExperts(o) ? contents.fromExperts
                                           : contents.toTokens,
                          o);
            })
            .Case(
                [&](func::ReturnOp o) { return take(contents.terminator, o); })
            .Default([](Operation *o) {
              return o->emitOpError("expected only operations of the fusco "
                                    "dialect in a function to compile");
            });
    if (failed(result))
      return failure();
  }
  int numShuffles = !!contents.dispatch + !!contents.combine +
                    !!contents.toExperts + !!contents.fromExperts;
  if (numShuffles != 1)
    return function.emitOpError("expected one dispatch or one combine, fused "
                                "or unfused, got ")
           << numShuffles;
  if (failed(checkUnfused(contents)))
    return failure();
  return checkPlan(function, contents);
}

/// The place of each tensor among the program's arguments: the function's
/// tensor arguments, then its tensor results, then what lies between the steps
/// of an unfused form, which the caller provides too.
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
    numBound = values.size();
    names.resize(values.size());
  }

  /// \p value lies between two steps and is called \p name.
  void addWorkspace(Value value, StringRef name) {
    values.push_back(value);
    names.push_back(name.str());
  }

  /// The function takes (or returns) \p value, which is now called \p name.
  LogicalResult bind(Operation *op, Value value, StringRef name,
                     bool isOutput) {
    ArrayRef<Value> all(values);
    ArrayRef<Value> part = isOutput ? all.slice(numInputs, numBound - numInputs)
                                    : all.take_front(numInputs);
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getRank() == 2 && !type.isDynamicDim(0))
      return op->emitOpError("expected '")
             << name << "' to have a number of rows that is known at run time "
             << "only, '?', got " << type;
    const Value *found = llvm::find(part, value);
    // Only results can be missing: with one shuffle in a function, nothing but
    // the arguments is there to be taken.
    if (found == part.end())
      return op->emitOpError("expected '")
             << name << "' to be returned by the function";
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
      if (isa<ExpertMajorLayoutAttr, DeviceMajorLayoutAttr>(getLayout(tensor)))
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
  size_t numInputs, numBound;
};
} // namespace

/// Names the tensors of \p contents.
static LogicalResult bindTensors(TensorArguments &tensors,
                                 FunctionContents &contents) {
  auto bindInput = [&](Operation *op, Value value, StringRef name) {
    return tensors.bind(op, value, name, /*isOutput=*/false);
  };
  auto bindOutput = [&](Operation *op, Value value, StringRef name) {
    return tensors.bind(op, value, name, /*isOutput=*/true);
  };
  auto [plan, dispatch, combine, byDestination, toExperts, allToAll,
        fromExperts, toTokens, terminator] = contents;
  if (plan && (failed(bindInput(plan, plan.getIds(), "ids")) ||
               (plan.getWeights() &&
                failed(bindInput(plan, plan.getWeights(), "weights")))))
    return failure();
  if (dispatch)
    return failure(
        failed(bindInput(dispatch, dispatch.getX(), "x")) ||
        failed(bindOutput(dispatch, dispatch.getRows(), "rows")) ||
        failed(bindOutput(dispatch, dispatch.getCounts(), "counts")) ||
        failed(bindOutput(dispatch, dispatch.getOffsets(), "offsets")));
  if (combine)
    return failure(failed(bindInput(combine, combine.getY(), "y")) ||
                   failed(bindOutput(combine, combine.getOut(), "out")));
  if (toExperts) {
    tensors.addWorkspace(byDestination.getOutput(), "send");
    tensors.addWorkspace(allToAll.getOutput(), "recv");
    return failure(
        failed(bindInput(byDestination, byDestination.getInput(), "x")) ||
        failed(bindOutput(toExperts, toExperts.getOutput(), "rows")));
  }
  tensors.addWorkspace(allToAll.getOutput(), "send");
  tensors.addWorkspace(fromExperts.getOutput(), "recv");
  return failure(failed(bindInput(fromExperts, fromExperts.getInput(), "y")) ||
                 failed(bindOutput(toTokens, toTokens.getOutput(), "out")));
}

LogicalResult LowerToPipePass::lower(func::FuncOp function,
                                     const ShuffleShape &shape) {
  FailureOr<FunctionContents> contents = recognise(function);
  if (failed(contents))
    return failure();
  TensorArguments tensors(function, contents->terminator);
  if (failed(bindTensors(tensors, *contents)) ||
      failed(tensors.checkAllBound()))
    return failure();

  ImplicitLocOpBuilder b(function.getLoc(), function);
  SmallVector<Type> types = tensors.types();
  auto program =
      b.create<ProgramOp>(function.getSymName(), b.getFunctionType(types, {}),
                          /*fills_plan=*/contents->isDispatch(),
                          b.getArrayAttr(tensors.attributes(b)), ArrayAttr());
  Block &body = program.getBody().emplaceBlock();
  body.addArguments(types,
                    SmallVector<Location>(types.size(), function.getLoc()));
  b.setInsertionPointToStart(&body);
  ProgramBuilder p(b, shape, program);
  auto find = [&](StringRef name) { return tensors.find(program, name); };
  int64_t bytesOfTokens = shape.maxTokens * shape.bytesPerRow();
  bool isRowsStreaming = isStreaming(bytesOfTokens * shape.topk);
  bool isOutStreaming = isStreaming(bytesOfTokens);
  DispatchTensors dispatched{find("x"),    find("ids"),    find("weights"),
                             find("rows"), find("counts"), find("offsets")};
  CombineTensors combined{find("y"), find("out")};
  Workspace workspace{find("send"), find("recv")};
  if (contents->dispatch)
    buildDispatch(p, dispatched, isRowsStreaming);
  else if (contents->combine)
    buildCombine(p, combined, contents->combine.getWeighted(), isOutStreaming);
  else if (contents->toExperts)
    buildUnfusedDispatch(p, dispatched, workspace, isRowsStreaming);
  else
    buildUnfusedCombine(p, combined, workspace,
                        contents->toTokens.getWeighted(), isRowsStreaming);
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

/// The module holds what is compiled and nothing else. What programs share, and
/// what the library exports beside entry points, has names of its own.
static LogicalResult checkNames(ModuleOp module) {
  for (Operation &op : module.getOps()) {
    if (!isa<GroupOp, func::FuncOp>(op))
      return op.emitOpError("expected only a 'fusco.group' and functions in a "
                            "module to compile");
    auto symbol = cast<SymbolOpInterface>(op);
    if (isSharedName(symbol.getName()))
      return op.emitError("expected another name than '")
             << symbol.getName() << "', which compiled programs use";
    if (isa<func::FuncOp>(op) && symbol.getName() == "library")
      return op.emitError("expected another name than 'library', which the "
                          "compiled library exports");
  }
  return success();
}

/// A weighted combine needs plans with weights, and any function may have made
/// its plan.
static LogicalResult checkWeights(ModuleOp module) {
  Operation *weighted = nullptr;
  module.walk([&](Operation *op) {
    auto combine = dyn_cast<CombineOp>(op);
    auto unpermute = dyn_cast<UnpermuteOp>(op);
    if ((combine && combine.getWeighted()) ||
        (unpermute && unpermute.getWeighted()))
      weighted = op;
  });
  WalkResult result = module.walk([&](PlanOp plan) {
    if (!weighted || plan.getWeights())
      return WalkResult::advance();
    InFlightDiagnostic diagnostic =
        plan.emitOpError("expected weights, since a combine is 'weighted'");
    diagnostic.attachNote(weighted->getLoc()) << "it is here";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

void LowerToPipePass::runOnOperation() {
  ModuleOp module = getOperation();
  FailureOr<ShuffleShape> shape = learnShape(module); // 1.
  if (failed(shape) || failed(checkWeights(module)) ||
      failed(checkNames(module)))
    return signalPassFailure();

  auto group = *module.getOps<GroupOp>().begin();
  ImplicitLocOpBuilder builder(group.getLoc(), group->getContext());
  builder.setInsertionPointAfter(group);
  module->setAttr(alignRowsAttrName, builder.getI64IntegerAttr(shape->align));
  bool hasUnfused = false;
  module.walk([&](Operation *op) {
    hasUnfused |= isToExperts(op) || isFromExperts(op);
  });
  declareSharedMemory(builder, *shape, hasUnfused); // 2.
  decideStores(*shape);

  for (auto function :
       llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
    if (failed(lower(function, *shape))) // 3.
      return signalPassFailure();
}
