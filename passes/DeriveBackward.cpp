//===- DeriveBackward.cpp - Each function's backward ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// fusco-derive-backward.
///
//===----------------------------------------------------------------------===//

#include "dialect/FuscoOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Passes.h"

namespace fusco {
#define GEN_PASS_DEF_DERIVEBACKWARDPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;

/// A tensor that a backward function takes or returns.
struct NamedType {
  StringRef name;
  Type type;
};

/// Adds a function after \p forward whose arguments are \p arguments and a
/// plan of the type \p plan. Leaves \p b in its body.
static func::FuncOp addFunction(ImplicitLocOpBuilder &b, func::FuncOp forward,
                                ArrayRef<NamedType> arguments, Type plan,
                                ArrayRef<NamedType> results) {
  auto typesOf = [](ArrayRef<NamedType> tensors) {
    return llvm::map_to_vector(
        tensors, [](const NamedType &tensor) { return tensor.type; });
  };
  SmallVector<Type> argumentTypes = typesOf(arguments);
  argumentTypes.push_back(plan);
  b.setInsertionPointAfter(forward);
  auto backward = b.create<func::FuncOp>(
      (forward.getSymName() + backwardSuffix).str(),
      b.getFunctionType(argumentTypes, typesOf(results)));
  for (auto [index, argument] : llvm::enumerate(arguments))
    backward.setArgAttr(index, tensorNameAttrName,
                        b.getStringAttr(argument.name));
  for (auto [index, result] : llvm::enumerate(results))
    backward.setResultAttr(index, tensorNameAttrName,
                           b.getStringAttr(result.name));
  b.setInsertionPointToStart(backward.addEntryBlock());
  return backward;
}

static void addBackward(func::FuncOp forward, DispatchOp dispatch) {
  ImplicitLocOpBuilder b(dispatch.getLoc(), forward);
  Type rows = dispatch.getRows().getType(), x = dispatch.getX().getType();
  // The gradient of quantised rows is that of the rows themselves.
  if (dispatch.hasTransform())
    rows = cast<RankedTensorType>(rows).clone(
        cast<RankedTensorType>(x).getElementType());
  func::FuncOp backward = addFunction(
      b, forward, {{"drows", rows}}, dispatch.getPlan().getType(), {{"dx", x}});
  Value dx = b.create<CombineOp>(x, backward.getArgument(0),
                                 backward.getArgument(1), /*weighted=*/false);
  b.create<func::ReturnOp>(dx);
}

/// The gradients of a combine's summands are no shuffle: that of the result
/// itself, and for a bias its sum over tokens. Roundings have that of the
/// numbers they round.
static void addBackward(func::FuncOp forward, CombineOp combine,
                        GroupOp group) {
  ImplicitLocOpBuilder b(combine.getLoc(), forward);
  Type y = combine.getY().getType();
  SmallVector<NamedType> arguments = {{"dout", combine.getOut().getType()}};
  SmallVector<NamedType> results = {{"dy", y}};
  if (combine.getWeighted()) {
    arguments.push_back({"y", y});
    results.push_back({"dweights", RankedTensorType::get(
                                       {ShapedType::kDynamic,
                                        static_cast<int64_t>(group.getTopk())},
                                       b.getF32Type())});
  }
  func::FuncOp backward =
      addFunction(b, forward, arguments, combine.getPlan().getType(), results);

  Value dout = backward.getArgument(0), plan = backward.getArguments().back();
  int64_t localExperts = getPlacement(group).maxLocalExperts();
  auto int32s = [&](int64_t size) {
    return RankedTensorType::get({size}, b.getI32Type());
  };
  auto dispatch =
      b.create<DispatchOp>(y, int32s(localExperts), int32s(localExperts + 1),
                           dout, plan, combine.getWeighted());
  SmallVector<Value> gradients = {dispatch.getRows()};
  if (combine.getWeighted())
    gradients.push_back(b.create<WeightGradientOp>(
        results.back().type, dout, backward.getArgument(1), plan));
  b.create<func::ReturnOp>(gradients);
}

/// Only for expert_major is the backward a dispatch or combine of the same
/// slots.
static LogicalResult requireExpertMajor(Operation *op, RankedTensorType rows) {
  if (isa<ExpertMajorLayoutAttr>(getLayout(rows)))
    return success();
  return op->emitOpError("expected the layout expert_major, of which a "
                         "backward can be derived, got ")
         << rows;
}

namespace {
struct DeriveBackwardPass
    : fusco::impl::DeriveBackwardPassBase<DeriveBackwardPass> {
  void runOnOperation() override {
    for (auto function : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (!function.getSymName().ends_with(unfusedSuffix) &&
          !function.getSymName().ends_with(backwardSuffix) &&
          failed(derive(function)))
        return signalPassFailure();
  }

private:
  LogicalResult derive(func::FuncOp function) {
    auto dispatches = llvm::to_vector(function.getOps<DispatchOp>());
    auto combines = llvm::to_vector(function.getOps<CombineOp>());
    if (dispatches.size() + combines.size() != 1)
      return success();
    if (Operation *taken = SymbolTable::lookupSymbolIn(
            getOperation(), (function.getSymName() + backwardSuffix).str()))
      return taken->emitOpError("has the name of the backward that is derived "
                                "of '")
             << function.getSymName()
             << "'; rename it, or derive no backward functions";

    if (!dispatches.empty()) {
      DispatchOp dispatch = dispatches.front();
      if (dispatch.getWeighted())
        return dispatch.emitOpError("expected a dispatch without weights to "
                                    "derive the backward of, got 'weighted'");
      if (dispatch.getXs().size() != 1)
        return dispatch.emitOpError(
                   "expected a dispatch of one tensor to derive "
                   "the backward of, got ")
               << dispatch.getXs().size();
      if (failed(requireExpertMajor(dispatch, dispatch.getRows().getType())))
        return failure();
      addBackward(function, dispatch);
      return success();
    }
    CombineOp combine = combines.front();
    if (combine.getScales())
      return combine.emitOpError("expected rows of bf16, f16 or f32 to derive "
                                 "the backward of, got ")
             << combine.getY().getType()
             << ", which are 'scaled'; combine those of a dequantization";
    if (failed(requireExpertMajor(combine, combine.getY().getType())))
      return failure();
    auto group = SymbolTable::lookupNearestSymbolFrom<GroupOp>(
        combine, cast<PlanType>(combine.getPlan().getType()).getGroup());
    addBackward(function, combine, group);
    return success();
  }
};
} // namespace
