//===- ProgramLowering.cpp - Programs to functions, for any target --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See ProgramLowering.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/ProgramLowering.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

#include "fusco/library.h"

#include <numeric>

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

ProgramLowering::ProgramLowering(Operation *op,
                                 const LLVMTypeConverter &converter)
    : converter(converter), b(op->getLoc(), op), symbols(op->getParentOp()) {
  for (auto channel : op->getParentRegion()->getOps<ChannelOp>())
    channelNumbers.try_emplace(channel, channelNumbers.size());
  for (auto span : op->getParentRegion()->getOps<SpanOp>())
    spanNumbers.try_emplace(span, spanNumbers.size());
  if (auto bytes =
          op->getParentOp()->getAttrOfType<IntegerAttr>(networkBytesAttrName))
    networkBytes = bytes.getInt();
}

Value ProgramLowering::channelNumber(ChannelOp channel) {
  return b.create<arith::ConstantIntOp>(channelNumbers.lookup(channel), 32);
}

std::optional<int32_t> ProgramLowering::spanOf(SpanKind kind,
                                               ChannelOp channel) {
  for (auto [op, number] : spanNumbers) {
    auto span = cast<SpanOp>(op);
    if (span.getKind() == kind && span.getChannel() == channel.getSymName())
      return number;
  }
  return std::nullopt;
}

Value ProgramLowering::toIndex(Value i64) {
  return b.create<arith::IndexCastOp>(b.getIndexType(), i64);
}

Value ProgramLowering::toI64(Value index) {
  return b.create<arith::IndexCastOp>(b.getI64Type(), index);
}

Value ProgramLowering::constant(int64_t value) {
  return b.create<arith::ConstantIntOp>(value, 64);
}

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

Value ProgramLowering::baseIn(Value bases, Value of) {
  Value slot = b.create<LLVM::GEPOp>(bases.getType(), bases.getType(), bases,
                                     ArrayRef<LLVM::GEPArg>{toI64(of)});
  return b.create<LLVM::LoadOp>(bases.getType(), slot);
}

Value ProgramLowering::peerBase(Value of) { return baseIn(peers, of); }

Value ProgramLowering::peerBase(Value of, uint64_t at) {
  return baseIn(at < networkBytes ? networkPeers : peers, of);
}

Value ProgramLowering::buildMemRef(MemRefType type, Value data, Value rows) {
  auto descriptor =
      MemRefDescriptor::undef(b, b.getLoc(), converter.convertType(type));
  descriptor.setAllocatedPtr(b, b.getLoc(), data);
  descriptor.setAlignedPtr(b, b.getLoc(), data);
  descriptor.setConstantOffset(b, b.getLoc(), 0);
  auto [strides, offset] = getStridesAndOffset(type);
  for (int64_t i = 0; i < type.getRank(); ++i) {
    descriptor.setConstantStride(b, b.getLoc(), i, strides[i]);
    if (type.isDynamicDim(i))
      descriptor.setSize(b, b.getLoc(), i, rows);
    else
      descriptor.setConstantSize(b, b.getLoc(), i, type.getDimSize(i));
  }
  return b.create<UnrealizedConversionCastOp>(type, Value(descriptor))
      .getResult(0);
}

Value ProgramLowering::laneOffset(ChannelOp channel, Value lane) {
  Value offset =
      b.create<arith::MulIOp>(toI64(lane), constant(channel.getBytesPerLane()));
  return b.create<arith::AddIOp>(offset, constant(*channel.getAt()));
}

Value ProgramLowering::laneAddress(Value base, ChannelOp channel, Value lane) {
  Value offset =
      b.create<arith::MulIOp>(toI64(lane), constant(channel.getBytesPerLane()));
  return advance(advance(base, *channel.getAt()), offset);
}

Value ProgramLowering::ownLaneAddress(ChannelOp channel, Value lane) {
  return laneAddress(heapOf(*channel.getAt()), channel, lane);
}

Value ProgramLowering::loadCount(ChannelOp channel, Value lane,
                                 int64_t offset) {
  return loadField(ownLaneAddress(channel, lane), offset, b.getI64Type());
}

void ProgramLowering::storeCount(Value count, ChannelOp channel, Value lane,
                                 int64_t offset) {
  b.create<LLVM::StoreOp>(count,
                          advance(ownLaneAddress(channel, lane), offset));
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

void ProgramLowering::loadArguments(Block &body, unsigned numTensors) {
  Type ptr = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type();
  arguments = body.getArgument(0);
  peers = loadField(arguments, offsetof(fusco_program_args, peers), ptr);
  plan = loadField(arguments, offsetof(fusco_program_args, plan), ptr);
  rank = toIndex(loadField(arguments, offsetof(fusco_program_args, rank), i64));
  status = loadField(arguments, offsetof(fusco_program_args, status), i64);
  heap = peerBase(rank);
  networkPeers = loadNetworkPeers();
  network = networkPeers == peers ? heap : baseIn(networkPeers, rank);
  for (unsigned i = 0; i < numTensors; ++i) {
    int64_t at = offsetof(fusco_program_args, tensors) +
                 i * sizeof(fusco_program_tensor);
    Value data =
        loadField(arguments, at + offsetof(fusco_program_tensor, data), ptr);
    Value rows =
        loadField(arguments, at + offsetof(fusco_program_tensor, rows), i64);
    BlockArgument tensor = body.getArgument(i + 1);
    tensor.replaceAllUsesWith(
        buildMemRef(cast<MemRefType>(tensor.getType()), data, rows));
  }
  body.eraseArguments(1, numTensors);
}

void ProgramLowering::lowerAll(ArrayRef<Operation *> operations) {
  for (Operation *op : operations) {
    if (Value replacement = lower(op))
      op->replaceAllUsesWith(ValueRange(replacement));
    op->erase();
  }
}

Value ProgramLowering::lower(Operation *op) {
  b.setInsertionPoint(op);
  b.setLoc(op->getLoc());
  auto nothing = [](int) { return Value(); };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](RankOp) { return rank; })
      .Case([&](pipe::StatusOp) { return status; })
      .Case([&](LocalOp o) {
        auto buffer = symbols.lookup<BufferOp>(o.getBuffer());
        Value base = buffer.getScope() == pipe::Scope::Symmetric
                         ? heapOf(*buffer.getAt())
                         : plan;
        return buildMemRef(buffer.getMemRefType(),
                           advance(base, *buffer.getAt()), Value());
      })
      .Case([&](PeerOp o) {
        auto buffer = symbols.lookup<BufferOp>(o.getBuffer());
        return buildMemRef(
            buffer.getMemRefType(),
            advance(peerBase(o.getRank(), *buffer.getAt()), *buffer.getAt()),
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
      .Case([&](RowsAtOp o) {
        Value data =
            b.create<LLVM::IntToPtrOp>(arguments.getType(), o.getAddress());
        return buildMemRef(o.getRows().getType(), data, Value());
      })
      .Case([&](pipe::ViewOp o) { return lowerView(o); })
      .Case([&](ClaimOp o) { return lowerClaim(o); })
      .Case([&](ReceiveOp o) { return lowerReceive(o); })
      .Case([&](HeldOp o) {
        ChannelOp channel = lookupChannel(o.getChannelAttr());
        return slotAfter(channel, loadCount(channel, o.getLane(),
                                            channel.getReleasedOffset()));
      })
      .Case([&](MarkOp o) {
        Value value = o.getChunk() ? toI64(o.getChunk()) : constant(0);
        buildMark(o.getEdge(), spanNumbers.lookup(symbols.lookup(o.getSpan())),
                  value);
        return Value();
      })
      .Case([&](SignalOp o) { return nothing((lowerSignal(o), 0)); })
      .Case([&](ReleaseOp o) { return nothing((lowerRelease(o), 0)); })
      .Case([&](PutOp o) { return nothing((lowerPut(o), 0)); })
      .Case([&](PutRowsOp o) { return nothing((lowerPutRows(o), 0)); })
      .Default([&](Operation *o) { return lowerForTarget(o); });
}

Value ProgramLowering::lowerView(pipe::ViewOp op) {
  MemRefType buffer = op.getBuffer().getType();
  Value row = linearize(b, buffer.getShape(), op.getIndices());
  Value offset = b.create<arith::MulIOp>(
      row, b.create<arith::ConstantIndexOp>(buffer.getShape().back()));
  Value base = b.create<memref::ExtractAlignedPointerAsIndexOp>(op.getBuffer());
  Value address = toI64(b.create<arith::AddIOp>(base, offset));
  Value pointer = b.create<LLVM::IntToPtrOp>(arguments.getType(), address);
  return buildMemRef(cast<MemRefType>(op.getView().getType()),
                     advance(pointer, op.getOffset()), Value());
}

void ProgramLowering::leaveIf(Operation *op, Value isBad,
                              function_ref<void(Block *)> leave) {
  Block *before = op->getBlock();
  Block *after = before->splitBlock(op);
  Block *bad = b.createBlock(after);
  leave(after);
  b.setInsertionPointToEnd(before);
  b.create<cf::CondBranchOp>(isBad, bad, ValueRange(), after, ValueRange());
  b.setInsertionPoint(op);
}

//===----------------------------------------------------------------------===//
// Channels
//===----------------------------------------------------------------------===//

Value ProgramLowering::lowerClaim(ClaimOp op) {
  ChannelOp channel = lookupChannel(op.getChannelAttr());
  Value sent = loadCount(channel, op.getLane(), channel.getSentOffset());
  if (channel.getFreedBy() == Freeing::Credit) {
    Value credits = advance(ownLaneAddress(channel, op.getLane()),
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
  Value arrivals = advance(ownLaneAddress(channel, op.getLane()), offset);
  Value expected = b.create<arith::AddIOp>(
      b.create<arith::DivUIOp>(received, constant(channel.getDepth())),
      constant(1));
  buildWait(op, channel, arrivals, expected, op.getPeer());
  once([&] {
    storeCount(b.create<arith::AddIOp>(received, constant(1)), channel,
               op.getLane(), channel.getReceivedOffset());
  });
  return slot;
}

ProgramLowering::ClaimedSlot ProgramLowering::loadClaimedSlot(ChannelOp channel,
                                                              Value lane) {
  Value sent = loadCount(channel, lane, channel.getSentOffset());
  return {sent, b.create<arith::MulIOp>(toI64(slotAfter(channel, sent)),
                                        constant(ChannelOp::bytesPerLine))};
}

void ProgramLowering::takeClaimedSlot(ChannelOp channel, Value lane,
                                      const ClaimedSlot &slot) {
  storeCount(b.create<arith::AddIOp>(slot.sent, constant(1)), channel, lane,
             channel.getSentOffset());
}

void ProgramLowering::lowerSignal(SignalOp op) {
  ChannelOp channel = lookupChannel(op.getChannelAttr());
  ClaimedSlot slot = loadClaimedSlot(channel, op.getLane());
  once([&] {
    takeClaimedSlot(channel, op.getLane(), slot);
    buildCount(op, channel, op.getPeer(), op.getTheirLane(), slot.offset);
  });
}

void ProgramLowering::lowerRelease(ReleaseOp op) {
  ChannelOp channel = lookupChannel(op.getChannelAttr());
  Value released =
      loadCount(channel, op.getLane(), channel.getReleasedOffset());
  once([&] {
    storeCount(b.create<arith::AddIOp>(released, constant(1)), channel,
               op.getLane(), channel.getReleasedOffset());
    if (channel.getFreedBy() == Freeing::Credit)
      buildCount(op, channel, op.getPeer(), op.getTheirLane(),
                 constant(channel.getCreditOffset()));
  });
}

void ProgramLowering::buildPut(Operation *op, ChannelOp channel, Value lane,
                               Value theirLane, const Transfer &transfer) {
  ClaimedSlot slot = loadClaimedSlot(channel, lane);
  once([&] { takeClaimedSlot(channel, lane, slot); });
  std::optional<int32_t> span = spanOf(SpanKind::Put, channel);
  if (span)
    buildMark(Edge::Begin, *span, toI64(transfer.peer));
  buildTransfer(op, channel, transfer, theirLane, slot.offset);
  if (span)
    buildMark(Edge::End, *span, transfer.bytes);
}

/// The largest power of two that divides \p a and all \p others.
static int64_t commonGranule(int64_t a, ArrayRef<int64_t> others) {
  for (int64_t other : others)
    a = std::gcd(a, other);
  return a & -a;
}

void ProgramLowering::lowerPut(PutOp op) {
  auto source = symbols.lookup<BufferOp>(op.getSource());
  auto destination = symbols.lookup<BufferOp>(op.getDestination());
  auto head = static_cast<int64_t>(op.getHeadBytes());
  auto perUnit = static_cast<int64_t>(op.getBytesPerUnit());
  Value bytes = b.create<arith::AddIOp>(
      b.create<arith::MulIOp>(toI64(op.getCount()), constant(perUnit)),
      constant(head));
  MemRefType type = source.getMemRefType();
  int64_t row = type.getShape().back() * type.getElementTypeBitWidth() / 8;
  Transfer transfer{
      op.getPeer(),
      rowOffset(destination, op.getDestinationIndices()),
      advance(heapOf(*source.getAt()),
              rowOffset(source, op.getSourceIndices())),
      bytes,
      commonGranule(ChannelOp::bytesPerLine, {head, perUnit, row}),
      destination};
  buildPut(op, lookupChannel(op.getChannelAttr()), op.getLane(),
           op.getTheirLane(), transfer);
}

void ProgramLowering::lowerPutRows(PutRowsOp op) {
  MemRefType type = op.getSource().getType();
  int64_t row = type.getDimSize(1) * type.getElementTypeBitWidth() / 8;
  Value bytesPerRow = constant(row);
  auto bytesOf = [&](Value rows) -> Value {
    return b.create<arith::MulIOp>(toI64(rows), bytesPerRow);
  };
  Value base = b.create<LLVM::IntToPtrOp>(
      arguments.getType(),
      toI64(b.create<memref::ExtractAlignedPointerAsIndexOp>(op.getSource())));
  Transfer transfer{
      op.getPeer(),
      b.create<arith::AddIOp>(op.getWindow(), bytesOf(op.getTo())),
      advance(base, bytesOf(op.getFrom())),
      bytesOf(op.getCount()),
      commonGranule(ChannelOp::bytesPerLine, {row}),
      /*destination=*/nullptr};
  buildPut(op, lookupChannel(op.getChannelAttr()), op.getLane(),
           op.getTheirLane(), transfer);
}

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

void fusco::makeInternal(func::FuncOp function) {
  function.setPrivate();
  function->setAttr("llvm.linkage",
                    LLVM::LinkageAttr::get(function.getContext(),
                                           LLVM::linkage::Linkage::Internal));
}

LogicalResult fusco::verifyHasMemory(Operation *module) {
  for (Operation &op : module->getRegion(0).getOps()) {
    std::optional<uint64_t> at;
    if (auto buffer = dyn_cast<BufferOp>(op))
      at = buffer.getAt();
    else if (auto channel = dyn_cast<ChannelOp>(op))
      at = channel.getAt();
    else
      continue;
    if (!at)
      return op.emitOpError("expected an offset; run pipe-assign-memory first");
  }
  return success();
}

SmallVector<Operation *> fusco::collectPipeOps(Operation *function) {
  SmallVector<Operation *> operations;
  function->walk([&](Operation *op) {
    if (op != function && isa<PipeDialect>(op->getDialect()))
      operations.push_back(op);
  });
  return operations;
}
