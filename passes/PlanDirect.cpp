//===- PlanDirect.cpp - Every row straight to its slot --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// fusco-plan-direct.
///
//===----------------------------------------------------------------------===//

#include "dialect/FuscoOps.h"
#include "mlir/IR/Builders.h"
#include "passes/Passes.h"

namespace fusco {
#define GEN_PASS_DEF_PLANDIRECTPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;

namespace {
struct PlanDirectPass : fusco::impl::PlanDirectPassBase<PlanDirectPass> {
  void runOnOperation() override {
    Builder builder(&getContext());
    ArrayAttr direct = builder.getArrayAttr(
        HopAttr::get(&getContext(), Reach::All, Unique::Assignment));
    bool isAnyPlanned = false;
    getOperation().walk([&](Operation *op) {
      auto plan = [&](auto shuffle) {
        if (!shuffle.getHopsAttr()) {
          shuffle.setHopsAttr(direct);
          isAnyPlanned = true;
        }
      };
      if (auto dispatch = dyn_cast<DispatchOp>(op))
        plan(dispatch);
      else if (auto combine = dyn_cast<CombineOp>(op))
        plan(combine);
    });
    if (isAnyPlanned)
      recordDecision(getOperation(), "hops", "direct",
                     "every rank can address every other rank's memory, so a "
                     "row is read once and written to all its final slots");
  }
};
} // namespace
