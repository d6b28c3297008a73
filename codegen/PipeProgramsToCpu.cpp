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
#include "codegen/RuntimeCalls.h"
#include "dialect/PipeDialect.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
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
class ProgramLowering {
public:
  ProgramLowering(ProgramOp program, const LLVMTypeConverter &converter)
      : program(program), converter(converter), b(program.getLoc(), program),
        symbols(program->getParentOp()) {}

  void run();

private:
  void loadArguments();
  Value loadField(Value base, int64_t offset, Type type);
  Value advance(Value pointer, Value bytes);
  Value advance(Value pointer, int64_t bytes);
  Value toIndex(Value i64) {
    return b.create<arith::IndexCastOp>(b.getIndexType(), i64);
  }
  Value toI64(Value index) {
    return b.create<arith::IndexCastOp>(b.getI64Type(), index);
  }
  Value constant(int64_t value) {
    return b.create<arith::ConstantIntOp>(value, 64);
  }
  /// The heap of rank \p rank (index).
  Value peerBase(Value rank);
  /// A memref of \p type at \p data; \p rows (i64) for a dynamic first extent.
  Value buildMemRef(MemRefType type, Value data, Value rows);
  /// The counter that \p heap's rank keeps of rank \p of (index).
  Value counterAddress(Value heap, FlatSymbolRefAttr counter, Value of);
  /// The value that replaces \p op; null for an operation without results.
  Value lower(Operation *op);
  void lowerWait(WaitOp op);
  void lowerFailIf(FailIfOp op);
  /// Ends the block before \p op: if \p isBad, `buildStatus` runs and the
  /// function returns its value (i32) unless that is FUSCO_OK.
  void leaveIf(Operation *op, Value isBad, function_ref<Value()> buildStatus);

  ProgramOp program;
  const LLVMTypeConverter &converter;
  ImplicitLocOpBuilder b;
  SymbolTable symbols;
  Block *exit = nullptr; ///< takes the status to return
  Value arguments, peers, plan, rank, status, heap;
};

} // namespace

Value ProgramLowering::advance(Value pointer, Value bytes) {
  return b.create<LLVM::GEPOp>(pointer.getType(), b.getI8Type(), pointer,
                               ArrayRef<LLVM::GEPArg>{bytes});
}

Value ProgramLowering::advance(Value pointer, int64_t bytes) {
  // An i64 constant: heaps may be larger than a GEP's int32 literals.
  return advance(pointer, constant(bytes));
}

Value ProgramLowering::loadField(Value base, int64_t offset, Type type) {
  return b.create<LLVM::LoadOp>(type, advance(base, offset));
}

Value ProgramLowering::peerBase(Value of) {
  Value slot = b.create<LLVM::GEPOp>(peers.getType(), peers.getType(), peers,
                                     ArrayRef<LLVM::GEPArg>{toI64(of)});
  return b.create<LLVM::LoadOp>(peers.getType(), slot);
}

Value ProgramLowering::buildMemRef(MemRefType type, Value data, Value rows) {
  auto descriptor =
      MemRefDescriptor::undef(b, b.getLoc(), converter.convertType(type));
  descriptor.setAllocatedPtr(b, b.getLoc(), data);
  descriptor.setAlignedPtr(b, b.getLoc(), data);
  descriptor.setConstantOffset(b, b.getLoc(), 0);
  int64_t stride = 1;
  for (int64_t i = type.getRank() - 1; i >= 0; --i) {
    descriptor.setConstantStride(b, b.getLoc(), i, stride);
    if (type.isDynamicDim(i))
      descriptor.setSize(b, b.getLoc(), i, rows);
    else
      descriptor.setConstantSize(b, b.getLoc(), i, type.getDimSize(i));
    stride *= type.getDimSize(i);
  }
  return b.create<UnrealizedConversionCastOp>(type, Value(descriptor))
      .getResult(0);
}

Value ProgramLowering::counterAddress(Value base, FlatSymbolRefAttr counter,
                                      Value of) {
  auto declared = symbols.lookup<CounterOp>(counter.getValue());
  Value offset =
      b.create<arith::MulIOp>(toI64(of), constant(CounterOp::bytesPerPeer));
  return advance(advance(base, *declared.getAt()), offset);
}

/// 2.
void ProgramLowering::loadArguments() {
  Type ptr = arguments.getType(), i64 = b.getI64Type();
  peers = loadField(arguments, offsetof(fusco_program_args, peers), ptr);
  plan = loadField(arguments, offsetof(fusco_program_args, plan), ptr);
  rank = toIndex(loadField(arguments, offsetof(fusco_program_args, rank), i64));
  status = loadField(arguments, offsetof(fusco_program_args, status), i64);
  heap = peerBase(rank);
}

/// 3.
Value ProgramLowering::lower(Operation *op) {
  b.setInsertionPoint(op);
  b.setLoc(op->getLoc());
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](RankOp) { return rank; })
      .Case([&](pipe::StatusOp) { return status; })
      .Case([&](LocalOp o) {
        auto buffer = symbols.lookup<BufferOp>(o.getBuffer());
        Value base = buffer.getScope() == Scope::Symmetric ? heap : plan;
        return buildMemRef(buffer.getMemRefType(),
                           advance(base, *buffer.getAt()), Value());
      })
      .Case([&](PeerOp o) {
        auto buffer = symbols.lookup<BufferOp>(o.getBuffer());
        return buildMemRef(buffer.getMemRefType(),
                           advance(peerBase(o.getRank()), *buffer.getAt()),
                           Value());
      })
      .Case([&](WindowOp o) {
        Value address = toI64(
            b.create<memref::ExtractAlignedPointerAsIndexOp>(o.getTensor()));
        Value base = b.create<LLVM::PtrToIntOp>(b.getI64Type(), heap);
        return b.create<arith::SubIOp>(address, base);
      })
      .Case([&](RemoteOp o) {
        Value base =
            b.create<LLVM::PtrToIntOp>(b.getI64Type(), peerBase(o.getRank()));
        return b.create<arith::AddIOp>(base, o.getWindow());
      })
      .Case([&](TurnOp o) {
        Value own = counterAddress(heap, o.getCounterAttr(), rank);
        Value taken = b.create<LLVM::LoadOp>(
            b.getI64Type(), advance(own, CounterOp::takenOffset));
        return toIndex(b.create<arith::AndIOp>(taken, constant(1)));
      })
      .Case([&](FenceOp) {
        // Streaming stores are not ordered by anything weaker.
        b.create<LLVM::CallIntrinsicOp>(
            TypeRange(), b.getStringAttr("llvm.x86.sse.sfence"), ValueRange());
        return Value();
      })
      .Case([&](SignalOp o) {
        Value counter =
            counterAddress(peerBase(o.getRank()), o.getCounterAttr(), rank);
        b.create<LLVM::AtomicRMWOp>(LLVM::AtomicBinOp::add, counter,
                                    constant(1), LLVM::AtomicOrdering::release);
        return Value();
      })
      .Case([&](WaitOp o) {
        lowerWait(o);
        return Value();
      })
      .Case([&](FailIfOp o) {
        lowerFailIf(o);
        return Value();
      })
      .Case([&](pipe::ReturnOp) {
        b.create<func::ReturnOp>(
            b.create<arith::ConstantIntOp>(FUSCO_OK, 32).getResult());
        return Value();
      });
}

/// 4.
void ProgramLowering::leaveIf(Operation *op, Value isBad,
                              function_ref<Value()> buildStatus) {
  Block *before = op->getBlock();
  Block *after = before->splitBlock(op);
  Block *report = b.createBlock(after);
  Value result = buildStatus();
  Value isOk =
      b.create<arith::CmpIOp>(arith::CmpIPredicate::eq, result,
                              b.create<arith::ConstantIntOp>(FUSCO_OK, 32));
  b.create<cf::CondBranchOp>(isOk, after, ValueRange(), exit,
                             ValueRange(result));
  b.setInsertionPointToEnd(before);
  b.create<cf::CondBranchOp>(isBad, report, ValueRange(), after, ValueRange());
  b.setInsertionPoint(op);
}

void ProgramLowering::lowerWait(WaitOp op) {
  auto declared = symbols.lookup<CounterOp>(op.getCounter());
  Type i64 = b.getI64Type();
  Value counter = counterAddress(heap, op.getCounterAttr(), op.getRank());
  Value taken = advance(counter, CounterOp::takenOffset);
  Value expected =
      b.create<arith::AddIOp>(b.create<LLVM::LoadOp>(i64, taken), constant(1));
  auto actual = b.create<LLVM::LoadOp>(i64, counter, /*alignment=*/8);
  actual.setOrdering(LLVM::AtomicOrdering::acquire);
  Value isEarly =
      b.create<arith::CmpIOp>(arith::CmpIPredicate::ult, actual, expected);
  leaveIf(op, isEarly, [&] {
    Value peer = b.create<arith::IndexCastOp>(b.getI32Type(), op.getRank());
    Value phase = b.create<arith::ConstantIntOp>(
        static_cast<int64_t>(declared.getPhase()), 32);
    return callRuntime(b, RuntimeCall::ProgramWait,
                       {arguments, counter, expected, peer, phase});
  });
  b.create<LLVM::StoreOp>(expected, taken);
}

void ProgramLowering::lowerFailIf(FailIfOp op) {
  leaveIf(op, op.getCondition(), [&]() -> Value {
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

void ProgramLowering::run() {
  // 1.
  Type ptr = LLVM::LLVMPointerType::get(b.getContext());
  auto function =
      b.create<func::FuncOp>(getProgramSymbol(program.getSymName()),
                             b.getFunctionType({ptr}, {b.getI32Type()}));
  function.setPrivate();
  function->setAttr(
      "llvm.linkage",
      LLVM::LinkageAttr::get(b.getContext(), LLVM::linkage::Linkage::Internal));
  function.getBody().takeBody(program.getBody());
  Block &body = function.getBody().front();
  arguments = body.insertArgument(0u, ptr, program.getLoc());
  exit = b.createBlock(&function.getBody(), function.getBody().end(),
                       b.getI32Type(), program.getLoc());
  b.create<func::ReturnOp>(exit->getArgument(0));

  SmallVector<Operation *> operations;
  function.walk([&](Operation *op) {
    if (isa<PipeDialect>(op->getDialect()))
      operations.push_back(op);
  });

  b.setInsertionPointToStart(&body);
  loadArguments();
  unsigned numTensors = body.getNumArguments() - 1;
  for (unsigned i = 0; i < numTensors; ++i) {
    int64_t at = offsetof(fusco_program_args, tensors) +
                 i * sizeof(fusco_program_tensor);
    Value data =
        loadField(arguments, at + offsetof(fusco_program_tensor, data), ptr);
    Value rows = loadField(arguments, at + offsetof(fusco_program_tensor, rows),
                           b.getI64Type());
    BlockArgument tensor = body.getArgument(i + 1);
    tensor.replaceAllUsesWith(
        buildMemRef(cast<MemRefType>(tensor.getType()), data, rows));
  }
  body.eraseArguments(1, numTensors);

  for (Operation *op : operations) {
    if (Value replacement = lower(op))
      op->replaceAllUsesWith(ValueRange(replacement));
    op->erase();
  }
  program.erase();
}

namespace {
struct PipeProgramsToCpuPass
    : fusco::impl::PipeProgramsToCpuPassBase<PipeProgramsToCpuPass> {
  void runOnOperation() override {
    for (Operation &op : getOperation().getOps()) {
      std::optional<uint64_t> at;
      if (auto buffer = dyn_cast<BufferOp>(op))
        at = buffer.getAt();
      else if (auto counter = dyn_cast<CounterOp>(op))
        at = counter.getAt();
      else
        continue;
      if (!at) {
        op.emitOpError("expected an offset; run pipe-assign-memory first");
        return signalPassFailure();
      }
    }
    LLVMTypeConverter converter(&getContext());
    for (auto program : llvm::to_vector(getOperation().getOps<ProgramOp>()))
      ProgramLowering(program, converter).run();
  }
};
} // namespace
