//===- RowsToCuda.cpp - Copies of rows to SIMT code -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The operations that copy rows, on a GPU.
///
/// Bulk copies. A warp that copies a row as it is reads it into its slot of
/// shared memory by one bulk copy; then its lanes write it to the destinations,
/// each by a bulk copy of its own. The warps of a block overlap each other, so
/// that one slot for each is enough. Shared memory is
///
///     one mbarrier per warp, padded to slotAlignment | one slot per warp
///
/// from before the outermost pipe.for_each until behind it, where all copies
/// have ended.
///
/// Everything else goes through registers: the threads of the scope take pieces
/// of a row, of at most 16 bytes, in turn.
///
//===----------------------------------------------------------------------===//

#include "codegen/cuda/CudaPatterns.h"
#include "codegen/cuda/SimtBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

//===----------------------------------------------------------------------===//
// A copy
//===----------------------------------------------------------------------===//

namespace {

/// A row, and where it goes.
struct RowCopy {
  RowType from, to;
  bool isWeighted;
  /// Destinations are numbered [begin, end).
  Value begin, end;
  Value source; ///< a pointer
  std::function<Value(SimtBuilder &, Value)> destination;
  std::function<Value(SimtBuilder &, Value)> weight;

  static RowCopy get(SimtBuilder &b, CopyRowOp op);
  static RowCopy get(SimtBuilder &b, StoreRowOp op);
};

} // namespace

RowCopy RowCopy::get(SimtBuilder &b, CopyRowOp op) {
  RowType from(op.getSource().getType());
  RowType to(cast<MemRefType>(op.getRowType()));
  return {from,
          to,
          static_cast<bool>(op.getWeights()),
          op.getBegin(),
          op.getEnd(),
          b.rowPointer(b.addressOf(op.getSource()), op.getRow(), from),
          [=](SimtBuilder &b, Value i) mutable {
            Value rank = b.toIndex(b.load(op.getRanks(), {op.getToken(), i}));
            Value slot = b.load(op.getSlots(), {op.getToken(), i});
            return b.rowPointer(b.load(op.getAddresses(), {rank}), slot, to);
          },
          [=](SimtBuilder &b, Value i) mutable {
            return b.load(op.getWeights(), {op.getToken(), i});
          }};
}

RowCopy RowCopy::get(SimtBuilder &b, StoreRowOp op) {
  RowType from(op.getSource().getType()), to(op.getDestination().getType());
  return {from,
          to,
          /*isWeighted=*/false,
          b.index(0),
          b.index(1),
          b.rowPointer(b.addressOf(op.getSource()), op.getFrom(), from),
          [=](SimtBuilder &b, Value) mutable {
            return b.rowPointer(b.addressOf(op.getDestination()), op.getTo(),
                                to);
          },
          /*weight=*/nullptr};
}

//===----------------------------------------------------------------------===//
// Bulk copies
//===----------------------------------------------------------------------===//

/// On a copy that is a bulk copy, i64: the size of a warp's slot.
static constexpr StringLiteral slotBytesAttrName{"pipe.slot_bytes"};

/// What a bulk copy moves is a multiple of this, and so are its addresses.
static constexpr int64_t bulkBytes = 16;
static constexpr int64_t slotAlignment = 128;
/// More would not hide more: all warps of the block are on their way.
static constexpr int64_t maxSlotBytes = 16384;
static constexpr int64_t mbarrierBytes = 8;

static int64_t getMbarriersBytes(int64_t threadsPerBlock) {
  return llvm::alignTo(threadsPerBlock / threadsPerWarp * mbarrierBytes,
                       slotAlignment);
}

/// Where this warp's mbarrier is.
static Value buildMbarrier(SimtBuilder &b) {
  return b.advance(b.sharedMemory(),
                   b.toI64(b.mul(b.warpInBlock(), b.index(mbarrierBytes))));
}

/// The pieces of \p bytes that a slot of \p slotBytes takes: of equal sizes but
/// for the last one.
static int64_t getPieceBytes(int64_t bytes, int64_t slotBytes) {
  int64_t pieces = llvm::divideCeil(bytes, slotBytes);
  return llvm::alignTo(llvm::divideCeil(bytes, pieces), bulkBytes);
}

/// The bytes of the row that \p op copies as they are; 0 where it does not.
static int64_t getBytesAsTheyAre(Operation *op) {
  if (auto copy = dyn_cast<CopyRowOp>(op)) {
    RowType from(copy.getSource().getType());
    bool isSame =
        from.element == RowType(cast<MemRefType>(copy.getRowType())).element;
    return isSame && !copy.getWeights() ? from.bytes : 0;
  }
  if (auto store = dyn_cast<StoreRowOp>(op)) {
    RowType from(store.getSource().getType());
    RowType to(store.getDestination().getType());
    return from.element == to.element ? from.bytes : 0;
  }
  return 0;
}

static void waitForBulkCopies(SimtBuilder &b, bool isRead) {
  b.create<NVVM::CpAsyncBulkWaitGroupOp>(
      b.getI32IntegerAttr(0), isRead ? b.getUnitAttr() : mlir::UnitAttr());
}

void fusco::fenceBulkCopies(SimtBuilder &b) {
  b.ptx("fence.proxy.async;", "~{memory}");
}

static void setUpBulkCopies(ForEachOp loop, int64_t slotBytes,
                            const CudaLimits &limits) {
  OpBuilder builder(loop);
  SimtBuilder b(loop.getLoc(), builder, limits.threadsPerBlock);
  raiseSharedBytes(loop, getMbarriersBytes(limits.threadsPerBlock) +
                             b.warpsPerBlock() * slotBytes);
  b.sync(SimtScope::Block);
  b.once(SimtScope::Warp, [&] {
    b.create<NVVM::MBarrierInitSharedOp>(buildMbarrier(b), b.i32(1), Value());
    b.ptx("fence.mbarrier_init.release.cluster;", "~{memory}");
  });
  // The slots, and the rows that are read, were written by threads.
  fenceBulkCopies(b);

  b.setInsertionPointAfter(loop);
  waitForBulkCopies(b, /*isRead=*/false);
  fenceBulkCopies(b);
  b.once(SimtScope::Warp,
         [&] { b.create<NVVM::MBarrierInvalSharedOp>(buildMbarrier(b)); });
  // The loop's own threads meet before their copies have ended.
  b.finish(getSimtScope(loop));
}

void fusco::prepareBulkCopies(ModuleOp module, const CudaLimits &limits) {
  int64_t warps = limits.threadsPerBlock / threadsPerWarp;
  int64_t room = limits.sharedBytes - getMbarriersBytes(limits.threadsPerBlock);
  int64_t largest = std::min(maxSlotBytes, std::max<int64_t>(room, 0) / warps /
                                               slotAlignment * slotAlignment);
  if (largest == 0)
    return;
  // In the order of the module, for deterministic code.
  llvm::MapVector<ForEachOp, SmallVector<Operation *>> copies;
  module.walk([&](Operation *op) {
    int64_t bytes = getBytesAsTheyAre(op);
    if (bytes == 0 || bytes % bulkBytes != 0 ||
        getSimtScope(op) != SimtScope::Warp)
      return;
    auto loop = op->getParentOfType<ForEachOp>();
    while (auto outer = loop->getParentOfType<ForEachOp>())
      loop = outer;
    copies[loop].push_back(op);
  });
  for (auto &[loop, ops] : copies) {
    int64_t slotBytes = 0;
    for (Operation *op : ops)
      slotBytes = std::max<int64_t>(
          slotBytes,
          llvm::alignTo(getPieceBytes(getBytesAsTheyAre(op), largest),
                        slotAlignment));
    for (Operation *op : ops)
      op->setAttr(slotBytesAttrName,
                  Builder(op->getContext()).getI64IntegerAttr(slotBytes));
    setUpBulkCopies(loop, slotBytes, limits);
  }
}

/// Waits for phase 1 of \p mbarrier.
static void waitForPhase1(SimtBuilder &b, Value mbarrier) {
  b.create<scf::WhileOp>(
      TypeRange(), ValueRange(),
      [&](OpBuilder &, Location, ValueRange) {
        Value isOver =
            b.ptx("{\n\t.reg .pred p;\n\t"
                  "mbarrier.try_wait.parity.shared::cta.b64 p, [$1], 1;\n\t"
                  "selp.b32 $0, 1, 0, p;\n\t}",
                  "=r,l,~{memory}", mbarrier, b.getI32Type());
        b.create<scf::ConditionOp>(b.compare(Cmp::eq, isOver, b.i32(0)),
                                   ValueRange());
      },
      [&](OpBuilder &, Location, ValueRange) { b.create<scf::YieldOp>(); });
}

/// A piece at a time. A piece takes two phases of the mbarrier, so that their
/// parities are known: phase 0 ends as soon as the slot is free, phase 1 when
/// the piece is there.
static void copyByBulk(SimtBuilder &b, const RowCopy &copy, int64_t slotBytes) {
  int64_t bytes = copy.from.bytes;
  int64_t pieceBytes = getPieceBytes(bytes, slotBytes);
  Value mbarrier = buildMbarrier(b);
  Value slot =
      b.advance(b.advance(b.sharedMemory(),
                          b.toI64(b.mul(b.warpInBlock(), b.index(slotBytes)))),
                getMbarriersBytes(b.threadsPerBlock));
  b.forEvery(b.index(0), b.index(bytes), pieceBytes, [&](Value offset) {
    Value rest = b.sub(b.index(bytes), offset);
    Value size = b.toI32(b.create<arith::MinSIOp>(rest, b.index(pieceBytes)));
    Value at = b.toI64(offset);
    waitForBulkCopies(b, /*isRead=*/true);
    b.once(SimtScope::Warp, [&] {
      b.ptx("mbarrier.arrive.shared::cta.b64 _, [$0];", "l,~{memory}",
            mbarrier);
      b.ptx("mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;",
            "l,r,~{memory}", {mbarrier, size});
      b.ptx("cp.async.bulk.shared::cluster.global"
            ".mbarrier::complete_tx::bytes [$0], [$1], $2, [$3];",
            "l,l,r,l,~{memory}",
            {slot, b.advance(copy.source, at), size, mbarrier});
    });
    waitForPhase1(b, mbarrier);
    b.forMembers(SimtScope::Warp, copy.begin, copy.end, [&](Value i) {
      b.ptx("cp.async.bulk.global.shared::cta.bulk_group [$0], [$1], $2;",
            "l,l,r,~{memory}",
            {b.advance(copy.destination(b, i), at), slot, size});
    });
    b.create<NVVM::CpAsyncBulkCommitGroupOp>();
  });
}

//===----------------------------------------------------------------------===//
// Copies through registers
//===----------------------------------------------------------------------===//

/// Pieces that a thread has under way at once.
static constexpr int64_t numPieces = 4;
/// The widest access of a thread.
static constexpr int64_t accessBytes = 16;

/// A piece as it is: words where it has some.
static Value loadBits(SimtBuilder &b, Value pointer, int64_t bytes) {
  Type type = bytes >= 4 ? Type(VectorType::get(bytes / 4, b.getI32Type()))
                         : b.getIntegerType(bytes * 8);
  return b.create<LLVM::LoadOp>(type, pointer, bytes);
}

/// A piece is read once, and converted once where there are no weights.
static void copyByThreads(SimtBuilder &b, SimtScope scope,
                          const RowCopy &copy) {
  const RowType &from = copy.from, &to = copy.to;
  bool isConverted = copy.isWeighted || from.element != to.element;
  // Elements of float8 are narrow, and so are scales.
  int64_t alignment = std::min(from.alignment, to.alignment);
  if (isConverted)
    alignment = from.alignment;
  int64_t width = std::min(accessBytes, alignment) / from.elementBytes();
  auto offsetOf = [&](Value piece, const RowType &row) {
    return b.toI64(b.mul(piece, b.index(width * row.elementBytes())));
  };
  auto copyPieces = [&](ArrayRef<Value> pieces, Value isInside) {
    SmallVector<Value> values;
    for (Value piece : pieces) {
      Value at = b.advance(copy.source, offsetOf(piece, from));
      values.push_back(isConverted
                           ? b.loadWidened(at, from, width)
                           : loadBits(b, at, width * from.elementBytes()));
    }
    if (isConverted && !copy.isWeighted)
      for (Value &value : values)
        value = b.roundToBits(value, to, width);
    b.forRange(copy.begin, copy.end, [&](Value i) {
      Value pointer = copy.destination(b, i), weight;
      if (copy.isWeighted)
        weight = b.broadcastF32(copy.weight(b, i), width);
      SmallVector<Value> bits(values);
      if (weight)
        for (Value &value : bits)
          value =
              b.roundToBits(b.create<arith::MulFOp>(weight, value), to, width);
      b.ifThen(isInside, [&] {
        for (auto [piece, value] : llvm::zip_equal(pieces, bits))
          b.storeBits(value, b.advance(pointer, offsetOf(piece, to)), to, width,
                      /*isStreaming=*/false);
      });
    });
  };
  b.forPieces(scope, b.index(from.hidden / width), numPieces, copyPieces);
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

namespace {

/// pipe.copy_row, pipe.store_row
template <typename OpT> struct LowerRowCopy : CudaPattern<OpT> {
  using CudaPattern<OpT>::CudaPattern;

  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    SimtBuilder b(op.getLoc(), rewriter, this->limits.threadsPerBlock);
    SimtScope scope = getSimtScope(op);
    RowCopy copy = RowCopy::get(b, op);
    auto slotBytes = op->template getAttrOfType<IntegerAttr>(slotBytesAttrName);
    // A row without destinations is not read.
    b.ifThen(b.compare(Cmp::slt, copy.begin, copy.end), [&] {
      if (slotBytes)
        copyByBulk(b, copy, slotBytes.getInt());
      else
        copyByThreads(b, scope, copy);
    });
    b.finish(scope);
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerCopyRows : CudaPattern<CopyRowsOp> {
  using CudaPattern::CudaPattern;

  LogicalResult matchAndRewrite(CopyRowsOp op,
                                PatternRewriter &rewriter) const override {
    SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    SimtScope scope = getSimtScope(op);
    RowType row(op.getSource().getType());
    Value from = b.rowPointer(b.addressOf(op.getSource()), op.getFrom(), row);
    Value to = b.rowPointer(op.getAddress(), op.getTo(), row);
    int64_t bytes = std::min(accessBytes, row.alignment);
    Value pieces = b.mul(op.getCount(), b.index(row.bytes / bytes));
    auto copyPieces = [&](ArrayRef<Value> numbers, Value isInside) {
      SmallVector<Value> offsets, values;
      for (Value number : numbers) {
        offsets.push_back(b.toI64(b.mul(number, b.index(bytes))));
        values.push_back(loadBits(b, b.advance(from, offsets.back()), bytes));
      }
      b.ifThen(isInside, [&] {
        for (auto [offset, value] : llvm::zip_equal(offsets, values))
          b.create<LLVM::StoreOp>(value, b.advance(to, offset), bytes);
      });
    };
    b.forPieces(scope, pieces, numPieces, copyPieces);
    b.finish(scope);
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerZeroRows : CudaPattern<ZeroRowsOp> {
  using CudaPattern::CudaPattern;

  LogicalResult matchAndRewrite(ZeroRowsOp op,
                                PatternRewriter &rewriter) const override {
    SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    SimtScope scope = getSimtScope(op);
    RowType row(op.getRows().getType());
    Value from = b.rowPointer(b.addressOf(op.getRows()), op.getFrom(), row);
    int64_t bytes = std::min(accessBytes, row.alignment);
    Value pieces =
        b.mul(b.sub(op.getTo(), op.getFrom()), b.index(row.bytes / bytes));
    Value zeros = bytes >= 4 ? b.splatInt(0, b.getI32Type(), bytes / 4)
                             : b.create<arith::ConstantIntOp>(0, bytes * 8);
    b.forMembers(scope, b.index(0), pieces, [&](Value piece) {
      Value offset = b.toI64(b.mul(piece, b.index(bytes)));
      b.create<LLVM::StoreOp>(zeros, b.advance(from, offset), bytes);
    });
    b.finish(scope);
    rewriter.eraseOp(op);
    return success();
  }
};

/// Of an iteration that is a warp's: its bulk copies end too. A fence of a
/// whole program is PipeProgramsToCuda's.
struct LowerFence : CudaPattern<FenceOp> {
  using CudaPattern::CudaPattern;

  LogicalResult matchAndRewrite(FenceOp op,
                                PatternRewriter &rewriter) const override {
    if (getSimtScope(op) != SimtScope::Warp)
      return rewriter.notifyMatchFailure(op, "not for a warp");
    SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    waitForBulkCopies(b, /*isRead=*/false);
    fenceBulkCopies(b);
    b.sync(SimtScope::Warp);
    b.ptx("fence.acq_rel.sys;", "~{memory}");
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerArrive : CudaPattern<ArriveOp> {
  using CudaPattern::CudaPattern;

  LogicalResult matchAndRewrite(ArriveOp op,
                                PatternRewriter &rewriter) const override {
    SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    b.once(getSimtScope(op), [&] {
      Value entry =
          b.element(b.toPointer(op.getAddress()), b.getI32Type(), op.getAt());
      b.ptx("red.relaxed.sys.global.add.u32 [$0], 1;", "l,~{memory}", entry);
    });
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerRowAddress : CudaPattern<RowAddressOp> {
  using CudaPattern::CudaPattern;

  LogicalResult matchAndRewrite(RowAddressOp op,
                                PatternRewriter &rewriter) const override {
    SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    rewriter.replaceOp(op, b.rowAddress(op.getRows(), op.getRow()));
    return success();
  }
};

} // namespace

void fusco::populateRowsToCudaPatterns(RewritePatternSet &patterns,
                                       const CudaLimits &limits) {
  patterns.add<LowerRowCopy<CopyRowOp>, LowerRowCopy<StoreRowOp>, LowerCopyRows,
               LowerZeroRows, LowerFence, LowerArrive, LowerRowAddress>(
      patterns.getContext(), limits);
}
