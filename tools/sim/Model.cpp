//===- Model.cpp - The shape of a module ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Shape.h.
///
//===----------------------------------------------------------------------===//

#include "dialect/FuscoOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "tools/sim/Shape.h"

using namespace mlir;

static int64_t bytesPerRow(RankedTensorType type) {
  return type.getShape().back() * type.getElementTypeBitWidth() / 8;
}

std::string fusco::sim::readModel(const std::string &path, Shape &shape) {
  MLIRContext context;
  context.loadDialect<FuscoDialect, func::FuncDialect>();
  std::string reason;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (reason.empty())
      reason = diagnostic.str();
    return success();
  });
  auto module = parseSourceFile<ModuleOp>(path, &context);
  if (!module)
    return "cannot read '" + path + "': " + reason;
  auto groups = module->getOps<GroupOp>();
  DispatchOp dispatch;
  CombineOp combine;
  module->walk([&](Operation *op) {
    if (auto found = llvm::dyn_cast<DispatchOp>(op); found && !dispatch)
      dispatch = found;
    if (auto found = llvm::dyn_cast<CombineOp>(op); found && !combine)
      combine = found;
  });
  if (groups.empty() || !dispatch || !combine)
    return "expected a 'fusco.group', a 'fusco.dispatch' and a "
           "'fusco.combine' in '" +
           path + "'; fusco-import writes such";
  GroupOp group = *groups.begin();
  shape.name = module->getSymName().value_or("m").str();
  shape.nodes = group.getTopology().getNodes();
  shape.ranksPerNode = group.getTopology().getRanksPerNode();
  shape.experts = group.getExperts();
  shape.topk = group.getTopk();
  shape.hidden = dispatch.getX().getType().getShape().back();
  shape.dispatchBytes = 0;
  for (Value rows : dispatch.getPayloads())
    shape.dispatchBytes +=
        bytesPerRow(llvm::cast<RankedTensorType>(rows.getType()));
  shape.combineBytes = combine.getBytesPerRow();
  shape.partialSumBytes =
      combine.getPartialType().getIntOrFloatBitWidth() / 8 * shape.hidden;
  return "";
}
