//===- AddBaseline.cpp - Each function's unfused form ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// fusco-add-baseline.
///
//===----------------------------------------------------------------------===//

#include "dialect/FuscoOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Passes.h"

namespace fusco {
#define GEN_PASS_DEF_ADDBASELINEPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;

/// \p rows with the elements of \p type.
static Value castTo(ImplicitLocOpBuilder &b, Value rows,
                    RankedTensorType type) {
  auto from = cast<RankedTensorType>(rows.getType());
  if (from.getElementType() == type.getElementType())
    return rows;
  return b.create<CastOp>(from.clone(type.getElementType()), rows);
}

/// \p rows' type in the layout device_major<order>.
static Type withOrder(Value rows, DeviceOrder order) {
  auto type = cast<RankedTensorType>(rows.getType());
  return RankedTensorType::get(
      type.getShape(), type.getElementType(),
      DeviceMajorLayoutAttr::get(type.getContext(), order));
}

static bool isExpertMajor(RankedTensorType type) {
  return isa<ExpertMajorLayoutAttr>(getLayout(type));
}

/// Replaces \p dispatch by its steps. All that it gives beside rows goes away:
/// those results of the function are dropped by the caller.
static Value unfuse(DispatchOp dispatch) {
  ImplicitLocOpBuilder b(dispatch.getLoc(), dispatch);
  Value x = castTo(b, dispatch.getX(), dispatch.getRows().getType());
  Value plan = dispatch.getPlan();
  Value send =
      b.create<PermuteOp>(withOrder(x, DeviceOrder::Destination), x, plan);
  Value recv =
      b.create<AllToAllOp>(withOrder(x, DeviceOrder::Source), send, plan);
  return b.create<PermuteOp>(dispatch.getRows().getType(), recv, plan);
}

static Value unfuse(CombineOp combine) {
  ImplicitLocOpBuilder b(combine.getLoc(), combine);
  Value y = combine.getY(), plan = combine.getPlan();
  Value recv = b.create<UnpermuteOp>(withOrder(y, DeviceOrder::Source), y, plan,
                                     /*weighted=*/false);
  Value send =
      b.create<AllToAllOp>(withOrder(y, DeviceOrder::Destination), recv, plan);
  return b.create<UnpermuteOp>(combine.getOut().getType(), send, plan,
                               combine.getWeighted());
}

namespace {
struct AddBaselinePass : fusco::impl::AddBaselinePassBase<AddBaselinePass> {
  void runOnOperation() override {
    for (auto function :
         llvm::to_vector(getOperation().getOps<func::FuncOp>())) {
      auto dispatches = llvm::to_vector(function.getOps<DispatchOp>());
      auto combines = llvm::to_vector(function.getOps<CombineOp>());
      // No step of the unfused form weights or quantises rows on their way to
      // the experts or back, moves several tensors, knows slots, adds summands,
      // rounds partial sums or places experts by a table. What is not one
      // shuffle is left to lowering, which says so.
      if (llvm::hasSingleElement(function.getBody()) &&
          dispatches.size() + combines.size() == 1 &&
          llvm::none_of(dispatches,
                        [](DispatchOp op) {
                          return op.getWeighted() || !op.isPlain() ||
                                 !isExpertMajor(op.getRows().getType());
                        }) &&
          llvm::all_of(combines,
                       [](CombineOp op) {
                         return !op.getScales() && op.getSummands().empty() &&
                                op.getPartialType().isF32() &&
                                isExpertMajor(op.getY().getType());
                       }) &&
          llvm::none_of(getOperation().getOps<GroupOp>(),
                        [](GroupOp group) { return group.hasTable(); }))
        addBaseline(function);
    }
  }

private:
  void addBaseline(func::FuncOp function) {
    OpBuilder b(function);
    b.setInsertionPointAfter(function);
    auto baseline = cast<func::FuncOp>(b.clone(*function));
    baseline.setSymName((function.getSymName() + unfusedSuffix).str());

    SmallVector<Operation *> fused;
    llvm::SmallDenseSet<Value> dropped;
    baseline.walk([&](Operation *op) {
      auto dispatch = dyn_cast<DispatchOp>(op);
      auto combine = dyn_cast<CombineOp>(op);
      if (dispatch) {
        dispatch.getRows().replaceAllUsesWith(unfuse(dispatch));
        for (Value result : dispatch.getResults())
          if (result != dispatch.getRows())
            dropped.insert(result);
      } else if (combine) {
        combine.getOut().replaceAllUsesWith(unfuse(combine));
      } else {
        return;
      }
      fused.push_back(op);
    });

    auto terminator =
        cast<func::ReturnOp>(baseline.getBody().front().getTerminator());
    SmallVector<Value> kept;
    for (Value result : terminator.getOperands())
      if (!dropped.contains(result))
        kept.push_back(result);
    terminator.getOperandsMutable().assign(kept);
    baseline.setFunctionType(b.getFunctionType(baseline.getArgumentTypes(),
                                               ValueRange(kept).getTypes()));
    baseline.setResAttrsAttr(nullptr);
    for (Operation *op : fused)
      op->erase();
  }
};
} // namespace
