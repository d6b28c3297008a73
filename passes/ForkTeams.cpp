//===- ForkTeams.cpp - What workers can share becomes teams ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe-fork-teams: outlines an operation and what its operands are cheaply
/// made from; what remains are scalars, which the fork hands over.
///
//===----------------------------------------------------------------------===//

#include "dialect/PipeDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/Passes.h"
#include "llvm/ADT/SetVector.h"

namespace fusco {
#define GEN_PASS_DEF_FORKTEAMSPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

namespace {
/// Outlines the operations of one program.
class TeamBuilder {
public:
  TeamBuilder(ProgramOp program, SymbolTable &symbols)
      : program(program), symbols(symbols), last(program) {}

  void outline(Operation *op);

private:
  /// The value in the team that stands for \p value: a tensor, a clone of what
  /// makes it, or a new argument.
  Value import(Value value);
  bool isMadeAnew(Value value) const;

  ProgramOp program;
  SymbolTable &symbols;
  Operation *last; ///< the program's last team, or the program
  unsigned numTeams = 0;
  // Of the team under way.
  Block *body = nullptr;
  IRMapping mapping;
  SmallVector<Value> handed;
};
} // namespace

/// Whether all workers of a rank shall do \p op together.
static bool isForTeam(Operation *op) {
  if (auto loop = dyn_cast<ForEachOp>(op))
    return loop.hasRows();
  return isa<PipelineOp, AssignOp, CopyRowsOp>(op);
}

/// The span of the step that \p op stands in; null if there is none.
static FlatSymbolRefAttr getStep(Operation *op, ProgramOp program) {
  while (op->getParentOp() != program)
    op = op->getParentOp();
  while ((op = op->getPrevNode()))
    if (auto mark = dyn_cast<MarkOp>(op)) {
      auto span = SymbolTable::lookupNearestSymbolFrom<SpanOp>(
          mark, mark.getSpanAttr());
      bool isInStep =
          mark.getEdge() == Edge::Begin && span.getKind() == SpanKind::Step;
      return isInStep ? mark.getSpanAttr() : FlatSymbolRefAttr();
    }
  return {};
}

/// Memory cannot be handed over, and constants need not be.
bool TeamBuilder::isMadeAnew(Value value) const {
  Operation *op = value.getDefiningOp();
  return op && (isa<MemRefType>(value.getType()) ||
                isa<arith::ConstantOp, RankOp>(op));
}

Value TeamBuilder::import(Value value) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  if (isMadeAnew(value)) {
    Operation *op = value.getDefiningOp();
    for (Value operand : op->getOperands())
      import(operand);
    OpBuilder b = OpBuilder::atBlockEnd(body);
    b.clone(*op, mapping);
    return mapping.lookup(value);
  }
  handed.push_back(value);
  Value argument = body->addArgument(value.getType(), value.getLoc());
  mapping.map(value, argument);
  return argument;
}

void TeamBuilder::outline(Operation *op) {
  ImplicitLocOpBuilder b(op->getLoc(), program);
  b.setInsertionPointAfter(last);
  auto team = b.create<TeamOp>(
      (program.getSymName() + ".team" + Twine(numTeams++)).str(),
      program.getSymName());
  body = &team.getBody().emplaceBlock();
  mapping.clear();
  handed.clear();
  for (BlockArgument tensor : program.getBody().getArguments())
    mapping.map(tensor, body->addArgument(tensor.getType(), tensor.getLoc()));

  llvm::SetVector<Value> used(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), used);
  for (Value value : used)
    import(value);
  b.setInsertionPointToEnd(body);
  FlatSymbolRefAttr step = getStep(op, program);
  if (step)
    b.create<MarkOp>(Edge::Begin, step.getValue(), /*chunk=*/Value());
  b.clone(*op, mapping);
  if (step)
    b.create<MarkOp>(Edge::End, step.getValue(), /*chunk=*/Value());
  b.create<pipe::ReturnOp>();
  symbols.insert(team);
  last = team;

  b.setInsertionPoint(op);
  b.create<ForkOp>(team.getSymName(), handed);
  op->erase();
}

namespace {
struct ForkTeamsPass : fusco::impl::ForkTeamsPassBase<ForkTeamsPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto program : llvm::to_vector(getOperation().getOps<ProgramOp>())) {
      SmallVector<Operation *> found;
      program.walk<WalkOrder::PreOrder>([&](Operation *op) {
        if (!isForTeam(op))
          return WalkResult::advance();
        found.push_back(op);
        return WalkResult::skip();
      });
      TeamBuilder teams(program, symbols);
      for (Operation *op : found)
        teams.outline(op);
    }
  }
};
} // namespace
