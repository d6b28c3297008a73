//===- FunctionContents.cpp - What a function does ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Recognises the operations of a function, and binds its tensors to their
/// roles. Each way in which a function is not compiled has its diagnostic. See
/// Lowering.h.
///
//===----------------------------------------------------------------------===//

#include "passes/Lowering.h"
#include "passes/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

/// The steps of an unfused form are all there and follow each other.
static LogicalResult checkUnfused(FunctionContents &contents) {
  auto [plan, dispatch, combine, weightGradient, cast, byDestination, toExperts,
        allToAll, fromExperts, toTokens, terminator] = contents;
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

/// Casts are done on the way of rows; what is left of them is the one that an
/// unfused dispatch begins with.
static LogicalResult checkCast(FunctionContents &contents) {
  CastOp cast = contents.cast;
  if (!cast)
    return success();
  if (contents.toExperts &&
      contents.byDestination.getInput() == cast.getOutput())
    return success();
  return cast.emitOpError(
      "expected a cast of the tokens, before an unfused "
      "dispatch; what fusco-fuse-shuffle takes in is "
      "compiled too, and its option 'remarks' says why this "
      "one was not");
}

/// Gradients of weights are computed where their dispatch passes.
static LogicalResult checkWeightGradient(FunctionContents &contents) {
  WeightGradientOp gradient = contents.weightGradient;
  if (!gradient)
    return success();
  DispatchOp dispatch = contents.dispatch;
  if (!dispatch || dispatch.getX() != gradient.getDout() ||
      dispatch.getPlan() != gradient.getPlan())
    return gradient.emitOpError("expected beside the dispatch of 'dout' by the "
                                "same plan");
  if (gradient.getY().getType() != dispatch.getRows().getType())
    return gradient.emitOpError(
               "expected 'y' to have the type of the dispatched "
               "rows, ")
           << dispatch.getRows().getType() << ", got "
           << gradient.getY().getType();
  if (getRoute(dispatch.getHopsAttr()).forwarders == Forwarders::Balanced)
    return gradient.emitOpError("expected the dispatch of 'dout' to have "
                                "forwarders rail or groups, which bring "
                                "gradients back, got balanced");
  return success();
}

/// A dispatch makes its plan and returns it, or is given one, as a combine is.
static LogicalResult checkPlan(func::FuncOp function,
                               const FunctionContents &contents) {
  PlanOp plan = contents.plan;
  if (plan && !contents.isDispatch())
    return plan.emitOpError("expected in the function of its dispatch");
  // What a plan of the unfused form holds is for that form alone.
  bool isMade = plan || contents.toExperts;
  for (Operation &op : function.getBody().front())
    for (Value operand : op.getOperands())
      if (isMade && isa<PlanType>(operand.getType()) &&
          !operand.getDefiningOp<PlanOp>())
        return op.emitOpError("expected the plan to be made in the same "
                              "function");
  auto numPlans = llvm::count_if(function.getArgumentTypes(),
                                 [](Type type) { return isa<PlanType>(type); });
  if (numPlans != (isMade ? 0 : 1))
    return function.emitOpError("expected ")
           << (isMade ? "no plan" : "one plan") << " as argument, got "
           << numPlans;
  DispatchOp dispatch = contents.dispatch;
  if (!plan && dispatch && dispatch.getKeptIds())
    return dispatch.emitOpError("expected 'kept' ids where the plan is made");
  if (plan &&
      !llvm::is_contained(func::ReturnOp(contents.terminator).getOperands(),
                          plan.getPlan()))
    return plan.emitOpError("expected the plan to be returned");
  return success();
}

FailureOr<FunctionContents> fusco::recognise(func::FuncOp function) {
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
            .Case([&](WeightGradientOp o) {
              return take(contents.weightGradient, o);
            })
            .Case([&](CastOp o) { return take(contents.cast, o); })
            .Case([&](QuantizeOp o) {
              return o.emitOpError("expected in the transform of a dispatch; "
                                   "fusco-fuse-shuffle puts it there, and its "
                                   "option 'remarks' says why it did not");
            })
            .Case([&](DequantizeOp o) {
              return o.emitOpError("expected before a combine, to be part of "
                                   "it; fusco-fuse-shuffle makes it so, and "
                                   "its option 'remarks' says why it did not");
            })
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
  if (failed(checkUnfused(contents)) || failed(checkCast(contents)) ||
      failed(checkWeightGradient(contents)) ||
      failed(checkPlan(function, contents)))
    return failure();
  return contents;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

static std::string withNumber(StringRef role, unsigned number) {
  return number == 0 ? role.str() : (role + "_" + Twine(number)).str();
}

std::string fusco::roleOfX(unsigned i) { return withNumber("x", i); }

std::string fusco::roleOfRows(DispatchOp dispatch, unsigned i) {
  unsigned numScales = 0;
  for (unsigned before = 0; before < i; ++before)
    numScales += dispatch.isScales(before);
  return dispatch.isScales(i) ? withNumber("scales", numScales)
                              : withNumber("rows", i - numScales);
}

/// Whether \p type is of one row for all tokens.
static bool isOfOneRow(RankedTensorType type) {
  return type.getRank() == 2 && type.getDimSize(0) == 1;
}

std::string fusco::roleOfSummand(CombineOp combine, unsigned i) {
  auto isBias = [&](unsigned number) {
    return isOfOneRow(
        cast<RankedTensorType>(combine.getSummands()[number].getType()));
  };
  unsigned alike = 0;
  for (unsigned before = 0; before < i; ++before)
    alike += isBias(before) == isBias(i);
  return withNumber(isBias(i) ? "bias" : "residual", alike);
}

TensorArguments::TensorArguments(func::FuncOp function,
                                 func::ReturnOp terminator)
    : function(function) {
  auto nameOf = [](StringAttr name) {
    return name ? name.str() : std::string();
  };
  for (BlockArgument argument : function.getArguments())
    if (!isa<PlanType>(argument.getType()))
      tensors.push_back({argument,
                         {},
                         nameOf(function.getArgAttrOfType<StringAttr>(
                             argument.getArgNumber(), tensorNameAttrName)),
                         /*isOutput=*/false,
                         /*isWorkspace=*/false});
  for (auto [index, result] : llvm::enumerate(terminator.getOperands()))
    if (!isa<PlanType>(result.getType()))
      tensors.push_back({result,
                         {},
                         nameOf(function.getResultAttrOfType<StringAttr>(
                             index, tensorNameAttrName)),
                         /*isOutput=*/true,
                         /*isWorkspace=*/false});
}

void TensorArguments::addWorkspace(Value value, StringRef role,
                                   StringRef name) {
  tensors.push_back({value,
                     {role.str()},
                     name.str(),
                     /*isOutput=*/true,
                     /*isWorkspace=*/true});
}

/// The function takes (or returns) \p value, whose role is \p role.
LogicalResult TensorArguments::bindOne(Operation *op, Value value,
                                       StringRef role, bool isOutput) {
  auto type = cast<RankedTensorType>(value.getType());
  bool isBias = role.starts_with("bias");
  if (type.getRank() == 2 && !type.isDynamicDim(0) && !isBias)
    return op->emitOpError("expected '")
           << role << "' to have a number of rows that is known at run time "
           << "only, '?', got " << type;
  auto found = llvm::find_if(tensors, [&](const Tensor &tensor) {
    return tensor.value == value && tensor.isOutput == isOutput &&
           !tensor.isWorkspace;
  });
  // Only results can be missing: with one shuffle in a function, nothing but
  // the arguments is there to be taken.
  if (found == tensors.end())
    return op->emitOpError("expected '")
           << role << "' to be returned by the function";
  // What a plan is made of may be moved too.
  bool isShared = !isOutput && isa<DispatchOp>(op) &&
                  found->roles.size() == 1 &&
                  llvm::is_contained({"ids", "weights"}, found->roles.front());
  if (!found->roles.empty() && !isShared)
    return op->emitOpError("expected '")
           << role << "' to be another tensor than '" << found->roles.front()
           << "'";
  found->roles.push_back(role.str());
  if (found->name.empty())
    found->name = role;
  return success();
}

LogicalResult TensorArguments::bindAll(FunctionContents contents) {
  auto bindInput = [&](Operation *op, Value value, StringRef role) {
    return bindOne(op, value, role, /*isOutput=*/false);
  };
  auto bindOutput = [&](Operation *op, Value value, StringRef role) {
    return bindOne(op, value, role, /*isOutput=*/true);
  };
  // What nobody wants is not told.
  auto bindIfUsed = [&](Operation *op, Value value, StringRef role) {
    return value.use_empty() ? success() : bindOutput(op, value, role);
  };
  auto [plan, dispatch, combine, gradient, cast, byDestination, toExperts,
        allToAll, fromExperts, toTokens, terminator] = contents;
  if (plan && (failed(bindInput(plan, plan.getIds(), "ids")) ||
               (plan.getWeights() &&
                failed(bindInput(plan, plan.getWeights(), "weights"))) ||
               (plan.getPlacement() &&
                failed(bindInput(plan, plan.getPlacement(), "placement")))))
    return failure();
  if (gradient &&
      (failed(bindInput(gradient, gradient.getY(), "y")) ||
       failed(bindOutput(gradient, gradient.getDweights(), "dweights"))))
    return failure();
  if (dispatch) {
    for (auto [i, x] : llvm::enumerate(dispatch.getXs()))
      if (failed(bindInput(dispatch, x, roleOfX(i))))
        return failure();
    for (auto [i, rows] : llvm::enumerate(dispatch.getPayloads()))
      if (failed(bindOutput(dispatch, rows, roleOfRows(dispatch, i))))
        return failure();
    for (auto [value, role] :
         {std::pair<Value, StringRef>(dispatch.getCounts(), "counts"),
          {dispatch.getOffsets(), "offsets"},
          {dispatch.getKeptIds(), "kept_ids"},
          {dispatch.getRowWeights(), "row_weights"},
          {dispatch.getReady(), "ready"}})
      if (value && failed(bindIfUsed(dispatch, value, role)))
        return failure();
    return success();
  }
  if (combine) {
    for (auto [i, summand] : llvm::enumerate(combine.getSummands()))
      if (failed(bindInput(combine, summand, roleOfSummand(combine, i))))
        return failure();
    return failure(
        (combine.getScales() &&
         failed(bindInput(combine, combine.getScales(), "scales"))) ||
        failed(bindInput(combine, combine.getY(), "y")) ||
        failed(bindOutput(combine, combine.getOut(), "out")));
  }
  if (toExperts) {
    addWorkspace(byDestination.getOutput(), "send", "send");
    addWorkspace(allToAll.getOutput(), "recv", "recv");
    Value x = cast ? cast.getInput() : byDestination.getInput();
    return failure(
        failed(bindInput(byDestination, x, "x")) ||
        failed(bindOutput(toExperts, toExperts.getOutput(), "rows")));
  }
  addWorkspace(allToAll.getOutput(), "send", "send_back");
  addWorkspace(fromExperts.getOutput(), "recv", "recv_back");
  return failure(failed(bindInput(fromExperts, fromExperts.getInput(), "y")) ||
                 failed(bindOutput(toTokens, toTokens.getOutput(), "out")));
}

LogicalResult TensorArguments::checkAllBound() {
  for (const Tensor &tensor : tensors)
    if (tensor.roles.empty())
      return function.emitOpError("expected every tensor to be used once, ")
             << (tensor.isOutput ? "result" : "argument") << " of type "
             << tensor.value.getType() << " is not";
  return success();
}

FailureOr<TensorArguments>
TensorArguments::bind(func::FuncOp function, const FunctionContents &contents) {
  TensorArguments tensors(function, contents.terminator);
  if (failed(tensors.bindAll(contents)) || failed(tensors.checkAllBound()))
    return failure();
  return tensors;
}

SmallVector<Type> TensorArguments::types() const {
  return llvm::map_to_vector(tensors, [](const Tensor &tensor) -> Type {
    auto type = cast<RankedTensorType>(tensor.value.getType());
    SmallVector<int64_t> shape(type.getShape());
    if (isa<ExpertSlotsLayoutAttr>(getLayout(type)))
      shape = {shape[0] * shape[1], shape[2]};
    return MemRefType::get(shape, type.getElementType());
  });
}

/// How many elements share one, where \p value are the scales that a dispatch
/// leaves or a combine takes.
static std::optional<int64_t> getScaledColumns(Value value) {
  for (Operation *user : value.getUsers())
    if (auto combine = dyn_cast<CombineOp>(user))
      if (combine.getScales() == value)
        return combine.getBlock();
  auto dispatch = value.getDefiningOp<DispatchOp>();
  if (!dispatch || !llvm::is_contained(dispatch.getPayloads(), value))
    return std::nullopt;
  unsigned i = cast<OpResult>(value).getResultNumber();
  if (!dispatch.isScales(i))
    return std::nullopt;
  return dispatch.getQuantize(i).getBlock();
}

/// Whether a dispatch leaves \p value by columns.
static bool isByColumns(Value value) {
  auto dispatch = value.getDefiningOp<DispatchOp>();
  return dispatch &&
         dispatch.isByColumns(cast<OpResult>(value).getResultNumber());
}

SmallVector<Attribute> TensorArguments::attributes(Builder &builder) const {
  SmallVector<Attribute> result;
  for (const Tensor &tensor : tensors) {
    SmallVector<NamedAttribute> entries{builder.getNamedAttr(
        ProgramOp::nameAttrName, builder.getStringAttr(tensor.name))};
    auto type = cast<RankedTensorType>(tensor.value.getType());
    if (isa<ExpertMajorLayoutAttr, RankMajorLayoutAttr, DeviceMajorLayoutAttr>(
            getLayout(type)))
      entries.push_back(builder.getNamedAttr(ProgramOp::expertRowsAttrName,
                                             builder.getUnitAttr()));
    if (auto slots = dyn_cast<ExpertSlotsLayoutAttr>(getLayout(type)))
      entries.push_back(
          builder.getNamedAttr(ProgramOp::slotsAttrName,
                               builder.getI64IntegerAttr(slots.getCapacity())));
    if (isByColumns(tensor.value))
      entries.push_back(builder.getNamedAttr(ProgramOp::byColumnsAttrName,
                                             builder.getUnitAttr()));
    if (std::optional<int64_t> columns = getScaledColumns(tensor.value))
      entries.push_back(
          builder.getNamedAttr(ProgramOp::scaledColumnsAttrName,
                               builder.getI64IntegerAttr(*columns)));
    if (tensor.isOutput)
      entries.push_back(builder.getNamedAttr(ProgramOp::outputAttrName,
                                             builder.getUnitAttr()));
    result.push_back(builder.getDictionaryAttr(entries));
  }
  return result;
}

Value TensorArguments::find(ProgramOp program, StringRef role) const {
  for (auto [index, tensor] : llvm::enumerate(tensors))
    if (llvm::is_contained(tensor.roles, role))
      return program.getBody().getArgument(index);
  return {};
}
