//===- RowSumsToCpu.cpp - Sums of rows to vector loops --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The operations that sum rows, on a CPU. Where the bytes of a combine go. The
/// order of every addition is fixed, so that the bits are the same on every
/// target.
///
//===----------------------------------------------------------------------===//

#include "codegen/RowScales.h"
#include "codegen/SumTree.h"
#include "codegen/cpu/CpuPatterns.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

namespace {

/// A row that is added to sums.
struct Addend {
  RowType type;
  Value pointer;
};

/// Row \p row of each of \p tensors, or the one row of a tensor of one.
SmallVector<Addend, 2> getAddends(RowBuilder &b, ValueRange tensors,
                                  Value row) {
  SmallVector<Addend, 2> addends;
  for (Value rows : tensors) {
    auto memref = cast<MemRefType>(rows.getType());
    RowType type(memref);
    Value at = memref.getDimSize(0) == 1 ? b.index(0) : row;
    addends.push_back({type, b.rowPointer(b.addressOf(rows), at, type)});
  }
  return addends;
}

/// Rounds \p sums, pieces of \p width columns from column \p offset (index) on,
/// their lanes in \p order, and \p plus into the row at \p out.
void storeSums(RowBuilder &b, ValueRange sums, LaneOrder order,
               ArrayRef<Addend> plus, Value out, const RowType &row,
               Value offset, int64_t width, bool isStreaming) {
  int64_t pieceBytes = width * row.elementBytes();
  Value to = b.advance(out, b.mul(b.toI64(offset), b.i64(row.elementBytes())));
  bool isNonTemporal =
      isStreaming &&
      pieceBytes * static_cast<int64_t>(sums.size()) >= lineBytes;
  for (auto [piece, sum] : llvm::enumerate(sums)) {
    Value total = sum;
    for (const auto &[type, pointer] : plus) {
      int64_t bytes = type.elementBytes();
      Value from = b.advance(pointer, b.mul(b.toI64(offset), b.i64(bytes)));
      total = b.create<arith::AddFOp>(
          total, b.loadWidened(b.advance(from, piece * width * bytes), type,
                               width, order));
    }
    b.storeBits(b.narrowToBits(total, row, width, order),
                b.advance(to, piece * pieceBytes), row, width, isNonTemporal);
  }
}

//===----------------------------------------------------------------------===//
// pipe.reduce_row
//===----------------------------------------------------------------------===//

/// The pointers to the rows of the descriptors [begin, begin + count) of \p
/// token.
Value buildRowPointers(RowBuilder &b, ReduceRowOp op, Value token, Value count,
                       const RowType &row) {
  int64_t topk = op.getRanks().getType().getDimSize(1);
  Value pointers =
      b.frameArray(op->getParentOfType<ProgramOp>(), b.ptrType(), topk);
  b.forRange(b.index(0), count, [&](Value i) {
    Value at = b.add(op.getBegin(), i);
    Value rank = b.toIndex(b.load(op.getRanks(), {token, at}));
    Value pointer = b.rowPointer(b.load(op.getAddresses(), {rank}),
                                 b.load(op.getSlots(), {token, at}), row);
    b.create<LLVM::StoreOp>(pointer, b.element(pointers, b.ptrType(), i));
  });
  return pointers;
}

/// Likewise to their rows of \p scales.
Value buildScalePointers(RowBuilder &b, ReduceRowOp op, RowScales &scales,
                         Value count) {
  int64_t topk = op.getRanks().getType().getDimSize(1);
  Value pointers =
      b.frameArray(op->getParentOfType<ProgramOp>(), b.ptrType(), topk);
  b.forRange(b.index(0), count, [&](Value i) {
    Value at = b.add(op.getBegin(), i);
    Value rank = b.toIndex(b.load(op.getRanks(), {op.getToken(), at}));
    Value slot = b.load(op.getSlots(), {op.getToken(), at});
    b.create<LLVM::StoreOp>(b.toPointer(scales.rowAddress(b, rank, slot)),
                            b.element(pointers, b.ptrType(), i));
  });
  return pointers;
}

struct LowerReduceRow : OpRewritePattern<ReduceRowOp> {
  using OpRewritePattern::OpRewritePattern;

  /// For each descriptor its SumTree::End, as bytes.
  static Value buildEnds(RowBuilder &b, ReduceRowOp op, const SumTree &tree,
                         Value count) {
    int64_t topk = op.getRanks().getType().getDimSize(1);
    Value ends =
        b.frameArray(op->getParentOfType<ProgramOp>(), b.getI8Type(), topk);
    b.forRange(b.index(0), count, [&](Value i) {
      b.create<LLVM::StoreOp>(tree.buildEnd(b, i, count),
                              b.element(ends, b.getI8Type(), i));
    });
    return ends;
  }

  /// Pointers to the rows of the next token, \p count of them, to prefetch.
  /// Where that token has fewer, what its further descriptors still hold is
  /// read: ranks of an older plan or chunk, or 0, since memory starts as zeros.
  /// To prefetch a row that is not needed costs less than to find out.
  static Value buildNextPointers(RowBuilder &b, ReduceRowOp op, Value count,
                                 const RowType &row) {
    Value last = b.index(op.getRanks().getType().getDimSize(0) - 1);
    Value next = b.add(op.getToken(), b.index(1));
    return buildRowPointers(b, op, b.create<arith::MinSIOp>(next, last), count,
                            row);
  }

  LogicalResult matchAndRewrite(ReduceRowOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    RowType row(cast<MemRefType>(op.getRowType())),
        outRow(op.getOut().getType());
    SumTree tree(op);
    Value count = b.sub(op.getEnd(), op.getBegin());
    Value out = b.rowPointer(b.addressOf(op.getOut()), op.getRow(), outRow);
    SmallVector<Addend, 2> plus = getAddends(b, op.getPlus(), op.getRow());
    Value pointers = buildRowPointers(b, op, op.getToken(), count, row);
    std::optional<RowScales> scales = RowScales::of(op);
    Value scalePointers =
        scales ? buildScalePointers(b, op, *scales, count) : Value();
    Value ends = tree.hasRanks() ? buildEnds(b, op, tree, count) : Value();
    Value neutral = SumTree::buildNeutral(b, count);
    Value nextPointers = buildNextPointers(b, op, count, row);

    // 32 columns at a time: three levels of four registers of AVX2 leave room
    // for what is loaded. But a line at least. A vector has one scale. Even and
    // odd columns of bf16 are told apart where they need not be sorted again.
    const bool isPaired = row.element.isBF16() && outRow.element.isBF16();
    const int64_t mostLanes = isPaired ? 32 : 16;
    int64_t widest = scales ? scales->sharedColumns(mostLanes) : mostLanes;
    const int64_t unroll =
        std::max<int64_t>(32, lineBytes / row.elementBytes()) / mostLanes;
    // Where the scales of pieces are in their rows: of the first if all share.
    auto findScales = [&](Value offset, int64_t width, int64_t pieces) {
      if (scales->areShared(widest * unroll))
        pieces = 1;
      SmallVector<Value> offsets;
      for (int64_t piece = 0; piece < pieces; ++piece)
        offsets.push_back(
            scales->offsetOf(b, b.add(offset, b.index(piece * width))));
      return offsets;
    };

    /// Columns [offset, offset + width * pieces) of the result.
    auto reduceColumns = [&](Value offset, int64_t width, int64_t pieces,
                             bool isStreaming) {
      int64_t pieceBytes = width * row.elementBytes();
      LaneOrder order =
          isPaired && width > 1 ? LaneOrder::EvenOdd : LaneOrder::Columns;
      Value byteOffset = b.mul(b.toI64(offset), b.i64(row.elementBytes()));
      SmallVector<Value> scaleOffsets;
      if (scales)
        scaleOffsets = findScales(offset, width, pieces);
      SmallVector<Value> initial = tree.buildStart(b, neutral, pieces, width);
      auto loop = b.create<scf::ForOp>(
          b.index(0), count, b.index(1), initial,
          [&](OpBuilder &, Location, Value i, ValueRange carried) {
            auto pointerOf = [&](Value array) -> Value {
              return b.create<LLVM::LoadOp>(b.ptrType(),
                                            b.element(array, b.ptrType(), i));
            };
            Value pointer = b.advance(pointerOf(pointers), byteOffset);
            // Rows of one token are as far apart as experts are, and no longer
            // than a page or two: hardware has hardly seen a stream when it
            // ends. The first cache has fewer reads under way.
            if (pieceBytes * pieces >= lineBytes)
              b.prefetch(b.advance(pointerOf(nextPointers), byteOffset),
                         pieceBytes * pieces, Cache::Second);
            SmallVector<Value> factors;
            for (Value at : scaleOffsets) {
              Value start = pointerOf(scalePointers);
              factors.push_back(b.broadcastF32(
                  scales->widen(b, scales->load(b, b.advance(start, at))),
                  width));
            }
            Value weight = b.splatF32(1.0f, width);
            if (op.getWeights())
              weight = b.broadcastF32(
                  b.load(op.getWeights(),
                         {op.getToken(), b.add(op.getBegin(), i)}),
                  width);
            SmallVector<Value> sums(carried);
            for (int64_t piece = 0; piece < pieces; ++piece) {
              Value value = b.loadWidened(
                  b.advance(pointer, piece * pieceBytes), row, width, order);
              if (!factors.empty())
                value = b.create<arith::MulFOp>(
                    value, factors[factors.size() == 1 ? 0 : piece]);
              sums[piece] = b.create<math::FmaOp>(weight, value, sums[piece]);
            }
            Value end;
            if (tree.hasRanks())
              end = b.create<LLVM::LoadOp>(b.getI8Type(),
                                           b.element(ends, b.getI8Type(), i));
            b.create<scf::YieldOp>(
                tree.closeBranches(b, end, sums, pieces, width));
          });
      SmallVector<Value> sums(loop.getResults().take_back(pieces));
      storeSums(b, tree.finish(b, sums, width), order, plus, out, outRow,
                offset, width, isStreaming);
    };
    b.chooseStores(op.getStreaming(), outRow, [&](bool isStreaming) {
      b.coverRow(row.hidden, widest, unroll,
                 [&](Value offset, int64_t width, int64_t pieces) {
                   reduceColumns(offset, width, pieces, isStreaming);
                 });
    });
    rewriter.eraseOp(op);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// pipe.merge_row
//===----------------------------------------------------------------------===//

struct LowerMergeRow : OpRewritePattern<MergeRowOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MergeRowOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    RowType outRow(op.getOut().getType());
    RowType row(
        MemRefType::get({ShapedType::kDynamic, outRow.hidden},
                        op.getPartials().value_or(Type(b.getF32Type()))));
    bool isRounded = op.getNode() && row.element.isBF16();
    Value out = b.rowPointer(b.addressOf(op.getOut()), op.getRow(), outRow);
    SmallVector<Addend, 2> plus = getAddends(b, op.getPlus(), op.getRow());
    // -0 is the neutral element of an addition; nothing at all gives +0.
    Value start = b.select(b.compare(Cmp::eq, op.getCount(), b.index(0)),
                           b.f32(0.0f), b.f32(-0.0f));
    auto mergeColumns = [&](Value offset, int64_t width, int64_t pieces,
                            bool isStreaming) {
      Value byteOffset = b.mul(b.toI64(offset), b.i64(row.elementBytes()));
      SmallVector<Value> initial(pieces, b.broadcastF32(start, width));
      SmallVector<Value> sums = llvm::to_vector_of<Value>(b.forRange(
          b.index(0), op.getCount(), initial,
          [&](Value i, ValueRange carried) -> SmallVector<Value> {
            Value pointer = b.advance(
                b.toPointer(b.load(op.getAddresses(), {i})), byteOffset);
            SmallVector<Value> next;
            for (auto [piece, sum] : llvm::enumerate(carried)) {
              Value value = b.loadWidened(
                  b.advance(pointer, piece * width * row.elementBytes()), row,
                  width);
              next.push_back(b.create<arith::AddFOp>(sum, value));
            }
            return next;
          }));
      if (isRounded)
        for (Value &sum : sums)
          sum = b.roundToBF16(sum, width);
      storeSums(b, sums, LaneOrder::Columns, plus, out, outRow, offset, width,
                isStreaming);
    };
    b.chooseStores(op.getStreaming(), outRow, [&](bool isStreaming) {
      b.coverRow(row.hidden, /*width=*/16, /*unroll=*/4,
                 [&](Value offset, int64_t width, int64_t pieces) {
                   mergeColumns(offset, width, pieces, isStreaming);
                 });
    });
    rewriter.eraseOp(op);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// pipe.dot_row
//===----------------------------------------------------------------------===//

struct LowerDotRow : OpRewritePattern<DotRowOp> {
  using OpRewritePattern::OpRewritePattern;

  static constexpr int64_t numLanes = 32;

  /// \p count elements (at most numLanes) from column \p column (index) on,
  /// widened; \p fill in the lanes behind them.
  static Value loadLanes(RowBuilder &b, Value row, const RowType &type,
                         Value column, int64_t count, float fill) {
    row = b.advance(row, b.mul(b.toI64(column), b.i64(type.elementBytes())));
    if (count == numLanes)
      return b.loadWidened(row, type, numLanes);
    Value result = b.splatF32(fill, numLanes);
    int64_t done = 0;
    for (int64_t width = numLanes / 2; width > 0; width /= 2) {
      if (count - done < width)
        continue;
      Value piece = b.loadWidened(b.advance(row, done * type.elementBytes()),
                                  type, width);
      result = b.create<vector::InsertStridedSliceOp>(piece, result, done,
                                                      /*strides=*/1);
      done += width;
    }
    return result;
  }

  LogicalResult matchAndRewrite(DotRowOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    RowType type(op.getRows().getType());
    RowType otherType(cast<MemRefType>(op.getRowType()));
    Value row = b.rowPointer(b.addressOf(op.getRows()), op.getRow(), type);
    Value other = b.toPointer(op.getAddress());
    int64_t whole = type.hidden / numLanes * numLanes;
    // A product of +0 and -0 leaves every sum as it is.
    auto accumulate = [&](Value column, int64_t count, Value sum) -> Value {
      return b.create<math::FmaOp>(
          loadLanes(b, row, type, column, count, 0.0f),
          loadLanes(b, other, otherType, column, count, -0.0f), sum);
    };
    auto loop = b.create<scf::ForOp>(
        b.index(0), b.index(whole), b.index(numLanes),
        ValueRange(b.splatF32(0.0f, numLanes)),
        [&](OpBuilder &, Location, Value column, ValueRange sum) {
          b.create<scf::YieldOp>(accumulate(column, numLanes, sum[0]));
        });
    Value sum = loop.getResult(0);
    if (whole != type.hidden)
      sum = accumulate(b.index(whole), type.hidden - whole, sum);
    for (int64_t half = numLanes / 2; half > 0; half /= 2) {
      auto part = [&](int64_t from) {
        return b.create<vector::ExtractStridedSliceOp>(sum, from, half, 1);
      };
      sum = b.create<arith::AddFOp>(part(0), part(half));
    }
    Value dot = b.create<vector::ExtractOp>(sum, int64_t(0));
    rewriter.replaceOp(op, b.canonicalNan(dot));
    return success();
  }
};

} // namespace

void fusco::populateRowSumsToCpuPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerReduceRow, LowerMergeRow, LowerDotRow>(
      patterns.getContext());
}
