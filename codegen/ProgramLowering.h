//===- ProgramLowering.h - Programs to functions, for any target -*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the lowering of a program is the same for on every target: where things
/// are in memory, and how slots of channels are counted. A target says how a
/// wait, a count and a put are done, and how a program is left.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_PROGRAMLOWERING_H
#define FUSCO_CODEGEN_PROGRAMLOWERING_H

#include "dialect/PipeDialect.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace fusco {

/// Lowers the operations of one function's body, which was a program's or a
/// team's, and whose first argument is a pointer that fusco_program_args can be
/// read from.
class ProgramLowering {
public:
  virtual ~ProgramLowering() = default;

protected:
  ProgramLowering(mlir::Operation *op,
                  const mlir::LLVMTypeConverter &converter);

  /// Loads what the arguments point to, at the start of the builder's block.
  /// The block's arguments from the second on that are memrefs are tensors, of
  /// which it becomes independent.
  void loadArguments(mlir::Block &body, unsigned numTensors);
  /// Replaces \p operations, all of the pipe dialect.
  void lowerAll(mlir::ArrayRef<mlir::Operation *> operations);

  //===--- A target's part ------------------------------------------------===//

  /// Waits until the counter at \p counter is at least \p expected (i64), which
  /// rank \p peer makes it; leaves if it does not.
  virtual void buildWait(mlir::Operation *op, pipe::ChannelOp channel,
                         mlir::Value counter, mlir::Value expected,
                         mlir::Value peer) = 0;
  /// Adds one to the counter \p offset bytes into lane \p lane of rank \p peer,
  /// after what was written before.
  virtual void buildCount(mlir::Operation *op, pipe::ChannelOp channel,
                          mlir::Value peer, mlir::Value lane,
                          mlir::Value offset) = 0;
  /// Writes \p bytes (i64, a multiple of \p granule) at \p from to \p to in the
  /// heap of \p peer.
  struct Transfer {
    mlir::Value peer, to, from, bytes;
    int64_t granule;
    pipe::BufferOp destination; ///< where `to` is; null: in a tensor
  };
  /// Does \p transfer, then counts as buildCount does.
  virtual void buildTransfer(mlir::Operation *op, pipe::ChannelOp channel,
                             const Transfer &transfer, mlir::Value lane,
                             mlir::Value offset) = 0;
  /// [ranks] where the network's part of heaps starts (pipe.network_bytes):
  /// with the rest, unless the target keeps it elsewhere.
  virtual mlir::Value loadNetworkPeers() { return peers; }
  /// The calling worker notes that it begins or ends the span of number \p span
  /// in the library's description, with \p value (i64).
  virtual void buildMark(pipe::Edge edge, int32_t span, mlir::Value value) = 0;
  /// Builds what \p body builds so that it is done once, whoever takes part in
  /// the program.
  virtual void once(llvm::function_ref<void()> body) { body(); }
  /// Lowers an operation that is a matter of the target, and returns what
  /// replaces it; null for an operation without results.
  virtual mlir::Value lowerForTarget(mlir::Operation *op) = 0;

  //===--- Short forms ----------------------------------------------------===//

  mlir::Value loadField(mlir::Value base, int64_t offset, mlir::Type type);
  mlir::Value advance(mlir::Value pointer, mlir::Value bytes);
  mlir::Value advance(mlir::Value pointer, int64_t bytes);
  mlir::Value toIndex(mlir::Value i64);
  mlir::Value toI64(mlir::Value index);
  mlir::Value constant(int64_t value);
  /// The number (i32) of \p channel in the library's description.
  mlir::Value channelNumber(pipe::ChannelOp channel);
  /// The number of the span of \p kind on \p channel; nothing where there is
  /// none, and nothing is noted.
  std::optional<int32_t> spanOf(pipe::SpanKind kind, pipe::ChannelOp channel);
  /// The heap of rank \p rank (index), and that to which the place \p at in it
  /// is counted.
  mlir::Value peerBase(mlir::Value rank);
  mlir::Value peerBase(mlir::Value rank, uint64_t at);
  /// This rank's.
  mlir::Value heapOf(uint64_t at) { return at < networkBytes ? network : heap; }
  /// The bytes from a heap's base to lane \p lane (index) of \p channel.
  mlir::Value laneOffset(pipe::ChannelOp channel, mlir::Value lane);
  /// The lane \p lane (index) of \p channel in the heap at \p base.
  mlir::Value laneAddress(mlir::Value base, pipe::ChannelOp channel,
                          mlir::Value lane);
  /// The same in this rank's heap.
  mlir::Value ownLaneAddress(pipe::ChannelOp channel, mlir::Value lane);
  /// Ends the block before \p op and continues behind it; where \p isBad, the
  /// builder stands in a block of its own, which ends in `leave`.
  void leaveIf(mlir::Operation *op, mlir::Value isBad,
               llvm::function_ref<void(mlir::Block *after)> leave);

  const mlir::LLVMTypeConverter &converter;
  mlir::ImplicitLocOpBuilder b;
  mlir::SymbolTable symbols;
  mlir::Value arguments, peers, plan, rank, status, heap;
  mlir::Value networkPeers, network; ///< of heaps, the network's part

private:
  uint64_t networkBytes = 0; ///< the module's pipe.network_bytes
  mlir::Value baseIn(mlir::Value bases, mlir::Value rank);
  mlir::Value lower(mlir::Operation *op);
  /// A memref of \p type at \p data; \p rows (i64) for a dynamic first extent.
  mlir::Value buildMemRef(mlir::MemRefType type, mlir::Value data,
                          mlir::Value rows);
  /// A number of slots (i64) that this rank keeps of one of its lanes.
  mlir::Value loadCount(pipe::ChannelOp channel, mlir::Value lane,
                        int64_t offset);
  void storeCount(mlir::Value count, pipe::ChannelOp channel, mlir::Value lane,
                  int64_t offset);
  /// The number of the slot, after \p count (i64) others, as index.
  mlir::Value slotAfter(pipe::ChannelOp channel, mlir::Value count);
  /// The bytes from a heap's base to the row of \p buffer at \p indices.
  mlir::Value rowOffset(pipe::BufferOp buffer, mlir::ValueRange indices);
  mlir::Value lowerView(pipe::ViewOp op);
  mlir::Value lowerClaim(pipe::ClaimOp op);
  mlir::Value lowerReceive(pipe::ReceiveOp op);
  void lowerSignal(pipe::SignalOp op);
  void lowerRelease(pipe::ReleaseOp op);
  void lowerPut(pipe::PutOp op);
  void lowerPutRows(pipe::PutRowsOp op);
  /// Does \p transfer and sends the claimed slot of lane \p lane.
  void buildPut(mlir::Operation *op, pipe::ChannelOp channel, mlir::Value lane,
                mlir::Value theirLane, const Transfer &transfer);
  /// The claimed slot of lane \p lane: how many were sent before it, and how
  /// many bytes into the receiver's lane its arrivals are counted.
  struct ClaimedSlot {
    mlir::Value sent, offset;
  };
  ClaimedSlot loadClaimedSlot(pipe::ChannelOp channel, mlir::Value lane);
  /// Counts it as sent.
  void takeClaimedSlot(pipe::ChannelOp channel, mlir::Value lane,
                       const ClaimedSlot &slot);
  llvm::DenseMap<mlir::Operation *, int32_t> channelNumbers, spanNumbers;
  pipe::ChannelOp lookupChannel(mlir::FlatSymbolRefAttr symbol) {
    return symbols.lookup<pipe::ChannelOp>(symbol.getValue());
  }
};

/// Makes \p function one that only its module can call.
void makeInternal(mlir::func::FuncOp function);

/// Whether each buffer and channel of \p module has its place; an error if not.
mlir::LogicalResult verifyHasMemory(mlir::Operation *module);

/// The operations of the pipe dialect in \p function.
llvm::SmallVector<mlir::Operation *> collectPipeOps(mlir::Operation *function);

} // namespace fusco

#endif // FUSCO_CODEGEN_PROGRAMLOWERING_H
