//===- RowsToCpu.cpp - Copies of rows to vector loops ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The operations that copy rows, on a CPU. Where the bytes of a dispatch go,
/// so that everything about a row that is known when compiling (size,
/// alignment, number of pieces) is spelled out in the code.
///
//===----------------------------------------------------------------------===//

#include "codegen/RowBuilder.h"
#include "codegen/cpu/CpuPatterns.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

namespace {

/// Copies \p pieces of \p width bytes (a power of two up to a line) at \p
/// offset (index), loads first. Both rows have the alignment \p rowAlignment.
void copyPieces(RowBuilder &b, Value from, Value to, Value offset,
                int64_t width, int64_t pieces, int64_t rowAlignment,
                bool isStreaming) {
  // Integers: no other type becomes a streaming store.
  Type type = width >= 4 ? Type(VectorType::get(width / 4, b.getI32Type()))
                         : b.getIntegerType(width * 8);
  unsigned alignment = std::min(rowAlignment, width);
  bool isNonTemporal =
      isStreaming && rowAlignment == lineBytes && width == lineBytes;
  Value at = b.toI64(offset);
  from = b.advance(from, at);
  to = b.advance(to, at);
  SmallVector<Value> values;
  for (int64_t piece = 0; piece < pieces; ++piece)
    values.push_back(b.create<LLVM::LoadOp>(
        type, b.advance(from, piece * width), alignment));
  for (auto [piece, value] : llvm::enumerate(values))
    b.create<LLVM::StoreOp>(value, b.advance(to, piece * width), alignment,
                            /*isVolatile=*/false, isNonTemporal);
}

/// Converts \p pieces of \p width elements at column \p column (index), times
/// \p weight (f32) where there is one.
void convertPieces(RowBuilder &b, Value from, const RowType &fromType, Value to,
                   const RowType &toType, Value weight, Value column,
                   int64_t width, int64_t pieces, bool isStreaming) {
  Value at = b.toI64(column);
  from = b.advance(from, b.mul(at, b.i64(fromType.elementBytes())));
  to = b.advance(to, b.mul(at, b.i64(toType.elementBytes())));
  bool isNonTemporal =
      isStreaming && width * pieces * toType.elementBytes() >= lineBytes;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    Value value =
        b.loadWidened(b.advance(from, piece * width * fromType.elementBytes()),
                      fromType, width);
    if (weight)
      value = b.create<arith::MulFOp>(b.broadcastF32(weight, width), value);
    b.storeBits(b.narrowToBits(value, toType, width),
                b.advance(to, piece * width * toType.elementBytes()), toType,
                width, isNonTemporal);
  }
}

/// Writes the row at \p from to \p to: its bits as they are where the types are
/// one and there is no \p weight, else converted.
void copyRow(RowBuilder &b, Value from, const RowType &fromType, Value to,
             const RowType &toType, Value weight, bool isStreaming) {
  if (fromType.element == toType.element && !weight)
    b.coverRow(fromType.bytes, lineBytes, /*unroll=*/4,
               [&](Value offset, int64_t width, int64_t pieces) {
                 copyPieces(b, from, to, offset, width, pieces,
                            std::min(fromType.alignment, toType.alignment),
                            isStreaming);
               });
  else
    b.coverRow(fromType.hidden, /*width=*/16, /*unroll=*/4,
               [&](Value column, int64_t width, int64_t pieces) {
                 convertPieces(b, from, fromType, to, toType, weight, column,
                               width, pieces, isStreaming);
               });
}

/// Runs \p body on each destination's number and pointer.
void forEachDestination(RowBuilder &b, CopyRowOp op,
                        function_ref<void(Value, Value)> body) {
  RowType to(cast<MemRefType>(op.getRowType()));
  b.forRange(op.getBegin(), op.getEnd(), [&](Value i) {
    Value rank = b.toIndex(b.load(op.getRanks(), {op.getToken(), i}));
    Value slot = b.load(op.getSlots(), {op.getToken(), i});
    body(i, b.rowPointer(b.load(op.getAddresses(), {rank}), slot, to));
  });
}

/// Destination by destination: after the first the row is in the nearest cache,
/// and each destination is written as one sequential stream.
struct LowerCopyRow : OpRewritePattern<CopyRowOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CopyRowOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    RowType from(op.getSource().getType());
    RowType to(cast<MemRefType>(op.getRowType()));
    Value source = b.rowPointer(b.addressOf(op.getSource()), op.getRow(), from);
    b.chooseStores(op.getStreaming(), to, [&](bool isStreaming) {
      forEachDestination(b, op, [&](Value i, Value destination) {
        Value weight = op.getWeights()
                           ? b.load(op.getWeights(), {op.getToken(), i})
                           : Value();
        copyRow(b, source, from, destination, to, weight, isStreaming);
      });
    });
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerStoreRow : OpRewritePattern<StoreRowOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(StoreRowOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    RowType from(op.getSource().getType()), to(op.getDestination().getType());
    Value source =
        b.rowPointer(b.addressOf(op.getSource()), op.getFrom(), from);
    Value destination =
        b.rowPointer(b.addressOf(op.getDestination()), op.getTo(), to);
    b.chooseStores(op.getStreaming(), to, [&](bool isStreaming) {
      copyRow(b, source, from, destination, to, /*weight=*/Value(),
              isStreaming);
    });
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerCopyRows : OpRewritePattern<CopyRowsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CopyRowsOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    RowType row(op.getSource().getType());
    Value from = b.rowPointer(b.addressOf(op.getSource()), op.getFrom(), row);
    Value to = b.rowPointer(op.getAddress(), op.getTo(), row);
    Value bytes = b.mul(op.getCount(), b.index(row.bytes));
    if (row.alignment == lineBytes) {
      b.chooseStores(op.getStreaming(), row, [&](bool isStreaming) {
        b.forEvery(b.index(0), bytes, lineBytes, [&](Value offset) {
          copyPieces(b, from, to, offset, lineBytes, /*pieces=*/1,
                     row.alignment, isStreaming);
        });
      });
    } else {
      b.create<LLVM::MemcpyOp>(to, from, b.toI64(bytes), /*isVolatile=*/false);
    }
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerZeroRows : OpRewritePattern<ZeroRowsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ZeroRowsOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    RowType row(op.getRows().getType());
    Value from = b.rowPointer(b.addressOf(op.getRows()), op.getFrom(), row);
    Value rows = b.toI64(b.sub(op.getTo(), op.getFrom()));
    Value bytes = b.mul(rows, b.i64(row.bytes));
    b.create<LLVM::MemsetOp>(from, b.create<arith::ConstantIntOp>(0, 8), bytes,
                             /*isVolatile=*/false);
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerArrive : OpRewritePattern<ArriveOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ArriveOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    Value entry =
        b.element(b.toPointer(op.getAddress()), b.getI32Type(), op.getAt());
    b.create<LLVM::AtomicRMWOp>(LLVM::AtomicBinOp::add, entry, b.i32(1),
                                LLVM::AtomicOrdering::release);
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerRowAddress : OpRewritePattern<RowAddressOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RowAddressOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, b.rowAddress(op.getRows(), op.getRow()));
    return success();
  }
};

} // namespace

void fusco::copyColumns(RowBuilder &b, CopyRowOp op, Value column,
                        int64_t columns) {
  RowType from(op.getSource().getType());
  RowType to(cast<MemRefType>(op.getRowType()));
  assert(from.element == to.element && "columns are copied as they are");
  Value source = b.rowPointer(b.addressOf(op.getSource()), op.getRow(), from);
  Value start = b.mul(column, b.index(from.elementBytes()));
  b.chooseStores(op.getStreaming(), to, [&](bool isStreaming) {
    forEachDestination(b, op, [&](Value, Value destination) {
      b.coverRow(columns * from.elementBytes(), lineBytes, /*unroll=*/8,
                 [&](Value offset, int64_t width, int64_t pieces) {
                   copyPieces(b, source, destination, b.add(start, offset),
                              width, pieces,
                              std::min(from.alignment, to.alignment),
                              isStreaming);
                 });
    });
  });
}

void fusco::populateRowsToCpuPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerCopyRow, LowerStoreRow, LowerCopyRows, LowerZeroRows,
               LowerArrive, LowerRowAddress>(patterns.getContext());
}
