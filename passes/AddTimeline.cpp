//===- AddTimeline.cpp - Spans of what workers do -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe-add-timeline. Waits and puts need no marks, only spans: their lowering
/// alone knows whether a wait waits.
///
//===----------------------------------------------------------------------===//

#include "dialect/PipeDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Passes.h"

namespace fusco {
#define GEN_PASS_DEF_ADDTIMELINEPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

namespace {
struct AddTimelinePass : fusco::impl::AddTimelinePassBase<AddTimelinePass> {
  void runOnOperation() override;

private:
  void markProgram(ProgramOp program);
  void addSpansOfChannels(ProgramOp program);
  /// The span of \p kind and \p name, made at \p location if it is not there.
  FlatSymbolRefAttr getSpan(SpanKind kind, StringRef name, Location location,
                            FlatSymbolRefAttr channel = {});
};
} // namespace

FlatSymbolRefAttr AddTimelinePass::getSpan(SpanKind kind, StringRef name,
                                           Location location,
                                           FlatSymbolRefAttr channel) {
  std::string symbol = (stringifySpanKind(kind) + "." + name).str();
  ModuleOp module = getOperation();
  if (!module.lookupSymbol(symbol)) {
    OpBuilder b(*module.getOps<ProgramOp>().begin());
    b.create<SpanOp>(location, symbol, kind, name, channel);
  }
  return FlatSymbolRefAttr::get(&getContext(), symbol);
}

void AddTimelinePass::markProgram(ProgramOp program) {
  Block &body = program.getBody().front();
  ImplicitLocOpBuilder b(program.getLoc(), &getContext());
  auto mark = [&](Edge edge, FlatSymbolRefAttr span, Value chunk = {}) {
    b.create<MarkOp>(edge, span.getValue(), chunk);
  };
  FlatSymbolRefAttr call =
      getSpan(SpanKind::Call, program.getSymName(), program.getLoc());
  b.setInsertionPointToStart(&body);
  mark(Edge::Begin, call);

  FlatSymbolRefAttr step;
  auto endStep = [&] {
    if (step)
      mark(Edge::End, step);
  };
  for (auto begin : llvm::make_early_inc_range(body.getOps<StepOp>())) {
    b.setInsertionPoint(begin);
    endStep();
    step = getSpan(SpanKind::Step, begin.getName(), begin.getLoc());
    mark(Edge::Begin, step);
    begin.erase();
  }
  b.setInsertionPoint(body.getTerminator());
  endStep();
  mark(Edge::End, call);

  program.walk([&](StageOp stage) {
    FlatSymbolRefAttr span =
        getSpan(SpanKind::Stage, stage.getName(), stage.getLoc());
    Block &block = stage.getBody().front();
    b.setInsertionPointToStart(&block);
    mark(Edge::Begin, span, block.getArgument(0));
    b.setInsertionPointToEnd(&block);
    mark(Edge::End, span);
  });
}

void AddTimelinePass::addSpansOfChannels(ProgramOp program) {
  auto add = [&](SpanKind kind, FlatSymbolRefAttr channel) {
    auto declared = getOperation().lookupSymbol<ChannelOp>(channel);
    getSpan(kind, channel.getValue(), declared.getLoc(), channel);
  };
  program.walk([&](Operation *op) {
    if (auto receive = dyn_cast<ReceiveOp>(op))
      add(SpanKind::Wait, receive.getChannelAttr());
    else if (auto put = dyn_cast<PutOp>(op))
      add(SpanKind::Put, put.getChannelAttr());
    else if (auto put = dyn_cast<PutRowsOp>(op))
      add(SpanKind::Put, put.getChannelAttr());
  });
}

void AddTimelinePass::runOnOperation() {
  for (auto program : getOperation().getOps<ProgramOp>()) {
    if (!program.getBody().hasOneBlock()) {
      program.emitOpError("expected structured control flow, got ")
          << program.getBody().getBlocks().size() << " blocks";
      return signalPassFailure();
    }
    markProgram(program);
    addSpansOfChannels(program);
  }
}
