//===- PipeProgramsToCpu.cpp - Programs to functions ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe-programs-to-cpu:
///   1. a function of `fusco_program_args *` takes the program's body;
///   2. at its entry, what the arguments point to is loaded, and each tensor
///      becomes a memref;
///   3. operations that name memory become arithmetic on addresses;
///   4. waits and failures become branches to the function's exit.
///
//===----------------------------------------------------------------------===//

#include "codegen/Passes.h"
#include "codegen/ProgramLowering.h"
#include "codegen/RuntimeCalls.h"
#include "dialect/PipeDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/TypeSwitch.h"

#include "fusco/library.h"

namespace fusco {
#define GEN_PASS_DEF_PIPEPROGRAMSTOCPUPASS
#include "codegen/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

namespace {

/// Lowers one program.
class CpuProgramLowering : public ProgramLowering {
public:
  CpuProgramLowering(ProgramOp program, const LLVMTypeConverter &converter)
      : ProgramLowering(program, converter), program(program) {}

  void run();

private:
  void buildWait(Operation *op, ChannelOp channel, Value counter,
                 Value expected, Value peer) override;
  void buildCount(Operation *op, ChannelOp channel, Value peer, Value lane,
                  Value offset) override;
  void buildTransfer(Operation *op, ChannelOp channel, const Transfer &transfer,
                     Value lane, Value offset) override;
  void buildMark(Edge edge, int32_t span, Value value) override;
  Value lowerForTarget(Operation *op) override;
  void lowerFailIf(FailIfOp op);
  /// If \p isBad, `buildStatus` runs and the function returns its value (i32)
  /// unless that is FUSCO_OK.
  void returnIf(Operation *op, Value isBad, function_ref<Value()> buildStatus);
  Value i32(int64_t value) { return b.create<arith::ConstantIntOp>(value, 32); }

  ProgramOp program;
  Block *exit = nullptr; ///< takes the status to return
};

} // namespace

/// 4.
void CpuProgramLowering::returnIf(Operation *op, Value isBad,
                                  function_ref<Value()> buildStatus) {
  leaveIf(op, isBad, [&](Block *after) {
    Value result = buildStatus();
    Value isOk = b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, result,
                                         i32(FUSCO_OK));
    b.create<cf::CondBranchOp>(isOk, after, ValueRange(), exit,
                               ValueRange(result));
  });
}

void CpuProgramLowering::buildWait(Operation *op, ChannelOp channel,
                                   Value counter, Value expected, Value peer) {
  auto actual =
      b.create<LLVM::LoadOp>(b.getI64Type(), counter, /*alignment=*/8);
  actual.setOrdering(LLVM::AtomicOrdering::acquire);
  // Signed: a slot that was never sent is expected before any credit.
  Value isEarly =
      b.create<arith::CmpIOp>(arith::CmpIPredicate::slt, actual, expected);
  std::optional<int32_t> span = spanOf(SpanKind::Wait, channel);
  returnIf(op, isEarly, [&] {
    if (span)
      buildMark(Edge::Begin, *span, toI64(peer));
    Value rank = b.create<arith::IndexCastOp>(b.getI32Type(), peer);
    Value result = callRuntime(
        b, RuntimeCall::ProgramWait,
        {arguments, counter, expected, rank, channelNumber(channel)});
    if (span)
      buildMark(Edge::End, *span, constant(0));
    return result;
  });
}

void CpuProgramLowering::buildMark(Edge edge, int32_t span, Value value) {
  callRuntime(b, RuntimeCall::ProgramMark,
              {arguments, i32(span), i32(edge == Edge::End), value});
}

void CpuProgramLowering::buildTransfer(Operation *op, ChannelOp channel,
                                       const Transfer &transfer, Value lane,
                                       Value offset) {
  Value counter = b.create<arith::AddIOp>(laneOffset(channel, lane), offset);
  Value peer = b.create<arith::IndexCastOp>(b.getI32Type(), transfer.peer);
  Value result = callRuntime(
      b, RuntimeCall::ProgramPut,
      {arguments, peer, transfer.to, transfer.from, transfer.bytes, counter});
  Value isBad =
      b.create<arith::CmpIOp>(arith::CmpIPredicate::ne, result, i32(FUSCO_OK));
  returnIf(op, isBad, [&] { return result; });
}

void CpuProgramLowering::buildCount(Operation *op, ChannelOp channel,
                                    Value peer, Value lane, Value offset) {
  if (channel.getLink() == Link::ScaleUp) {
    Value counter = advance(laneAddress(peerBase(peer), channel, lane), offset);
    b.create<LLVM::AtomicRMWOp>(LLVM::AtomicBinOp::add, counter, constant(1),
                                LLVM::AtomicOrdering::release);
    return;
  }
  // A put of nothing: what was written before it went to this node only.
  Value nowhere = b.create<LLVM::ZeroOp>(arguments.getType());
  buildTransfer(op, channel,
                {peer, constant(0), nowhere, constant(0), 1, nullptr}, lane,
                offset);
}

Value CpuProgramLowering::lowerForTarget(Operation *op) {
  if (isa<FenceOp>(op)) {
    // Streaming stores are not ordered by anything weaker.
    b.create<LLVM::CallIntrinsicOp>(
        TypeRange(), b.getStringAttr("llvm.x86.sse.sfence"), ValueRange());
  } else if (auto failIf = dyn_cast<FailIfOp>(op)) {
    lowerFailIf(failIf);
  } else if (isa<pipe::ReturnOp>(op)) {
    b.create<func::ReturnOp>(i32(FUSCO_OK));
  }
  return Value();
}

void CpuProgramLowering::lowerFailIf(FailIfOp op) {
  returnIf(op, op.getCondition(), [&]() -> Value {
    // Refused arguments: the host's own status.
    Type i32 = b.getI32Type();
    Value code = op.getStatus() == Status::Refused
                     ? b.create<arith::TruncIOp>(i32, status).getResult()
                     : b.create<arith::ConstantIntOp>(
                            static_cast<int64_t>(op.getStatus()), 32)
                           .getResult();
    return callRuntime(b, RuntimeCall::ProgramFail,
                       {arguments, code, op.getA(), op.getB(), op.getC()});
  });
}

void CpuProgramLowering::run() {
  // 1.
  Type ptr = LLVM::LLVMPointerType::get(b.getContext());
  auto function =
      b.create<func::FuncOp>(getProgramSymbol(program.getSymName()),
                             b.getFunctionType({ptr}, {b.getI32Type()}));
  makeInternal(function);
  function.getBody().takeBody(program.getBody());
  Block &body = function.getBody().front();
  body.insertArgument(0u, ptr, program.getLoc());
  exit = b.createBlock(&function.getBody(), function.getBody().end(),
                       b.getI32Type(), program.getLoc());
  b.create<func::ReturnOp>(exit->getArgument(0));
  SmallVector<Operation *> operations = collectPipeOps(function);
  // 2.
  b.setInsertionPointToStart(&body);
  loadArguments(body, body.getNumArguments() - 1);
  // 3.
  lowerAll(operations);
  program.erase();
}

namespace {
struct PipeProgramsToCpuPass
    : fusco::impl::PipeProgramsToCpuPassBase<PipeProgramsToCpuPass> {
  void runOnOperation() override {
    if (failed(verifyHasMemory(getOperation())))
      return signalPassFailure();
    LLVMTypeConverter converter(&getContext());
    for (auto program : llvm::to_vector(getOperation().getOps<ProgramOp>()))
      CpuProgramLowering(program, converter).run();
  }
};
} // namespace
