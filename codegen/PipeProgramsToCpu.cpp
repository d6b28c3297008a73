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
  /// The lane \p lane (index) of \p channel in the heap at \p base.
  Value laneAddress(Value base, ChannelOp channel, Value lane);
  /// A number of slots (i64) that this rank keeps of one of its lanes.
  Value loadCount(ChannelOp channel, Value lane, int64_t offset);
  void storeCount(Value count, ChannelOp channel, Value lane, int64_t offset);
  /// The number of the slot, after \p count (i64) others, as index.
  Value slotAfter(ChannelOp channel, Value count);
  /// The bytes from a heap's base to the row of \p buffer at \p indices.
  Value rowOffset(BufferOp buffer, ValueRange indices);
  /// The value that replaces \p op; null for an operation without results.
  Value lower(Operation *op);
  Value lowerClaim(ClaimOp op);
  Value lowerReceive(ReceiveOp op);
  void lowerSignal(SignalOp op);
  void lowerRelease(ReleaseOp op);
  void lowerPut(PutOp op);
  void lowerPutRows(PutRowsOp op);
  void lowerFailIf(FailIfOp op);
  /// Waits until the counter at \p counter is at least \p expected (i64), which
  /// rank \p peer makes it.
  void buildWait(Operation *op, ChannelOp channel, Value counter,
                 Value expected, Value peer);
  /// Adds one to the counter \p offset bytes into lane \p lane of rank \p peer,
  /// after what was written before.
  void buildCount(Operation *op, ChannelOp channel, Value peer, Value lane,
                  Value offset);
  /// Counts the claimed slot of lane \p lane as sent. Returns how many bytes
  /// into the receiver's lane its arrivals are counted.
  Value takeClaimedSlot(ChannelOp channel, Value lane);
  /// Writes \p bytes (i64) at \p from to \p to in the heap of \p peer, then
  /// counts the claimed slot there.
  void buildPut(Operation *op, ChannelOp channel, Value lane, Value peer,
                Value theirLane, Value to, Value from, Value bytes);
  /// Likewise, with the counter \p offset bytes into the peer's lane.
  void buildTransfer(Operation *op, ChannelOp channel, Value peer, Value lane,
                     Value offset, Value to, Value from, Value bytes);
  ChannelOp lookupChannel(FlatSymbolRefAttr symbol) {
    return symbols.lookup<ChannelOp>(symbol.getValue());
  }
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

Value ProgramLowering::laneAddress(Value base, ChannelOp channel, Value lane) {
  Value offset =
      b.create<arith::MulIOp>(toI64(lane), constant(channel.getBytesPerLane()));
  return advance(advance(base, *channel.getAt()), offset);
}

Value ProgramLowering::loadCount(ChannelOp channel, Value lane,
                                 int64_t offset) {
  return loadField(laneAddress(heap, channel, lane), offset, b.getI64Type());
}

void ProgramLowering::storeCount(Value count, ChannelOp channel, Value lane,
                                 int64_t offset) {
  b.create<LLVM::StoreOp>(count,
                          advance(laneAddress(heap, channel, lane), offset));
}

Value ProgramLowering::slotAfter(ChannelOp channel, Value count) {
  return toIndex(b.create<arith::RemUIOp>(count, constant(channel.getDepth())));
}

/// The flat index of \p indices in the leading dimensions of \p shape, all but
/// the last.
static Value linearize(ImplicitLocOpBuilder &b, ArrayRef<int64_t> shape,
                       ValueRange indices) {
  Value flat = b.create<arith::ConstantIndexOp>(0);
  for (auto [extent, index] : llvm::zip(shape, indices)) {
    flat =
        b.create<arith::MulIOp>(flat, b.create<arith::ConstantIndexOp>(extent));
    flat = b.create<arith::AddIOp>(flat, index);
  }
  return flat;
}

Value ProgramLowering::rowOffset(BufferOp buffer, ValueRange indices) {
  MemRefType type = buffer.getMemRefType();
  int64_t bytes = type.getShape().back() * type.getElementTypeBitWidth() / 8;
  Value row = toI64(linearize(b, type.getShape(), indices));
  return b.create<arith::AddIOp>(b.create<arith::MulIOp>(row, constant(bytes)),
                                 constant(*buffer.getAt()));
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
      .Case([&](pipe::ViewOp o) {
        MemRefType buffer = o.getBuffer().getType();
        Value row = linearize(b, buffer.getShape(), o.getIndices());
        Value offset = b.create<arith::MulIOp>(
            row, b.create<arith::ConstantIndexOp>(buffer.getShape().back()));
        Value base =
            b.create<memref::ExtractAlignedPointerAsIndexOp>(o.getBuffer());
        Value address = toI64(b.create<arith::AddIOp>(base, offset));
        Value pointer =
            b.create<LLVM::IntToPtrOp>(arguments.getType(), address);
        return buildMemRef(cast<MemRefType>(o.getView().getType()),
                           advance(pointer, o.getOffset()), Value());
      })
      .Case([&](FenceOp) {
        // Streaming stores are not ordered by anything weaker.
        b.create<LLVM::CallIntrinsicOp>(
            TypeRange(), b.getStringAttr("llvm.x86.sse.sfence"), ValueRange());
        return Value();
      })
      .Case([&](ClaimOp o) { return lowerClaim(o); })
      .Case([&](ReceiveOp o) { return lowerReceive(o); })
      .Case([&](HeldOp o) {
        ChannelOp channel = lookupChannel(o.getChannelAttr());
        return slotAfter(channel, loadCount(channel, o.getLane(),
                                            channel.getReleasedOffset()));
      })
      .Case([&](SignalOp o) {
        lowerSignal(o);
        return Value();
      })
      .Case([&](ReleaseOp o) {
        lowerRelease(o);
        return Value();
      })
      .Case([&](PutOp o) {
        lowerPut(o);
        return Value();
      })
      .Case([&](PutRowsOp o) {
        lowerPutRows(o);
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

void ProgramLowering::buildWait(Operation *op, ChannelOp channel, Value counter,
                                Value expected, Value peer) {
  auto actual =
      b.create<LLVM::LoadOp>(b.getI64Type(), counter, /*alignment=*/8);
  actual.setOrdering(LLVM::AtomicOrdering::acquire);
  // Signed: a slot that was never sent is expected before any credit.
  Value isEarly =
      b.create<arith::CmpIOp>(arith::CmpIPredicate::slt, actual, expected);
  leaveIf(op, isEarly, [&] {
    Value rank = b.create<arith::IndexCastOp>(b.getI32Type(), peer);
    Value phase = b.create<arith::ConstantIntOp>(
        static_cast<int64_t>(channel.getPhase()), 32);
    return callRuntime(b, RuntimeCall::ProgramWait,
                       {arguments, counter, expected, rank, phase});
  });
}

Value ProgramLowering::lowerClaim(ClaimOp op) {
  ChannelOp channel = lookupChannel(op.getChannelAttr());
  Value sent = loadCount(channel, op.getLane(), channel.getSentOffset());
  if (channel.getFreedBy() == Freeing::Credit) {
    Value credits = advance(laneAddress(heap, channel, op.getLane()),
                            channel.getCreditOffset());
    Value expected = b.create<arith::SubIOp>(
        sent, constant(static_cast<int64_t>(channel.getDepth()) - 1));
    buildWait(op, channel, credits, expected, op.getPeer());
  }
  return slotAfter(channel, sent);
}

Value ProgramLowering::lowerReceive(ReceiveOp op) {
  ChannelOp channel = lookupChannel(op.getChannelAttr());
  Value received =
      loadCount(channel, op.getLane(), channel.getReceivedOffset());
  Value slot = slotAfter(channel, received);
  Value offset =
      b.create<arith::MulIOp>(toI64(slot), constant(ChannelOp::bytesPerLine));
  Value arrivals = advance(laneAddress(heap, channel, op.getLane()), offset);
  Value expected = b.create<arith::AddIOp>(
      b.create<arith::DivUIOp>(received, constant(channel.getDepth())),
      constant(1));
  buildWait(op, channel, arrivals, expected, op.getPeer());
  storeCount(b.create<arith::AddIOp>(received, constant(1)), channel,
             op.getLane(), channel.getReceivedOffset());
  return slot;
}

Value ProgramLowering::takeClaimedSlot(ChannelOp channel, Value lane) {
  Value sent = loadCount(channel, lane, channel.getSentOffset());
  Value offset = b.create<arith::MulIOp>(toI64(slotAfter(channel, sent)),
                                         constant(ChannelOp::bytesPerLine));
  storeCount(b.create<arith::AddIOp>(sent, constant(1)), channel, lane,
             channel.getSentOffset());
  return offset;
}

void ProgramLowering::buildPut(Operation *op, ChannelOp channel, Value lane,
                               Value peer, Value theirLane, Value to,
                               Value from, Value bytes) {
  Value offset = takeClaimedSlot(channel, lane);
  buildTransfer(op, channel, peer, theirLane, offset, to, from, bytes);
}

void ProgramLowering::buildTransfer(Operation *op, ChannelOp channel,
                                    Value peer, Value lane, Value offset,
                                    Value to, Value from, Value bytes) {
  Value laneOffset =
      b.create<arith::MulIOp>(toI64(lane), constant(channel.getBytesPerLane()));
  Value counter = b.create<arith::AddIOp>(
      b.create<arith::AddIOp>(laneOffset, constant(*channel.getAt())), offset);
  Value rank = b.create<arith::IndexCastOp>(b.getI32Type(), peer);
  Value result = callRuntime(b, RuntimeCall::ProgramPut,
                             {arguments, rank, to, from, bytes, counter});
  Value isBad =
      b.create<arith::CmpIOp>(arith::CmpIPredicate::ne, result,
                              b.create<arith::ConstantIntOp>(FUSCO_OK, 32));
  leaveIf(op, isBad, [&] { return result; });
}

void ProgramLowering::buildCount(Operation *op, ChannelOp channel, Value peer,
                                 Value lane, Value offset) {
  if (channel.getLink() == Link::ScaleUp) {
    Value counter = advance(laneAddress(peerBase(peer), channel, lane), offset);
    b.create<LLVM::AtomicRMWOp>(LLVM::AtomicBinOp::add, counter, constant(1),
                                LLVM::AtomicOrdering::release);
    return;
  }
  // A put of nothing: what was written before it went to this node only.
  buildTransfer(op, channel, peer, lane, offset, constant(0),
                b.create<LLVM::ZeroOp>(arguments.getType()), constant(0));
}

void ProgramLowering::lowerSignal(SignalOp op) {
  ChannelOp channel = lookupChannel(op.getChannelAttr());
  Value offset = takeClaimedSlot(channel, op.getLane());
  buildCount(op, channel, op.getPeer(), op.getTheirLane(), offset);
}

void ProgramLowering::lowerRelease(ReleaseOp op) {
  ChannelOp channel = lookupChannel(op.getChannelAttr());
  Value released =
      loadCount(channel, op.getLane(), channel.getReleasedOffset());
  storeCount(b.create<arith::AddIOp>(released, constant(1)), channel,
             op.getLane(), channel.getReleasedOffset());
  if (channel.getFreedBy() == Freeing::Credit)
    buildCount(op, channel, op.getPeer(), op.getTheirLane(),
               constant(channel.getCreditOffset()));
}

void ProgramLowering::lowerPut(PutOp op) {
  auto source = symbols.lookup<BufferOp>(op.getSource());
  auto destination = symbols.lookup<BufferOp>(op.getDestination());
  Value bytes = b.create<arith::AddIOp>(
      b.create<arith::MulIOp>(toI64(op.getCount()),
                              constant(op.getBytesPerUnit())),
      constant(op.getHeadBytes()));
  buildPut(op, lookupChannel(op.getChannelAttr()), op.getLane(), op.getPeer(),
           op.getTheirLane(),
           rowOffset(destination, op.getDestinationIndices()),
           advance(heap, rowOffset(source, op.getSourceIndices())), bytes);
}

void ProgramLowering::lowerPutRows(PutRowsOp op) {
  MemRefType type = op.getSource().getType();
  Value bytesPerRow =
      constant(type.getDimSize(1) * type.getElementTypeBitWidth() / 8);
  auto bytesOf = [&](Value rows) -> Value {
    return b.create<arith::MulIOp>(toI64(rows), bytesPerRow);
  };
  Value base = b.create<LLVM::IntToPtrOp>(
      arguments.getType(),
      toI64(b.create<memref::ExtractAlignedPointerAsIndexOp>(op.getSource())));
  buildPut(op, lookupChannel(op.getChannelAttr()), op.getLane(), op.getPeer(),
           op.getTheirLane(),
           b.create<arith::AddIOp>(op.getWindow(), bytesOf(op.getTo())),
           advance(base, bytesOf(op.getFrom())), bytesOf(op.getCount()));
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
      else if (auto channel = dyn_cast<ChannelOp>(op))
        at = channel.getAt();
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
