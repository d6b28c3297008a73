//===- RowSumsToCuda.cpp - Sums of rows to SIMT code ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The operations that sum rows, on a GPU. A thread sums columns of 16 bytes of
/// each row, in the order that the CPU has, so that the bits are the same.
///
//===----------------------------------------------------------------------===//

#include "codegen/SumTree.h"
#include "codegen/cuda/CudaPatterns.h"
#include "codegen/cuda/SimtBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

namespace {

/// The widest access of a thread.
constexpr int64_t accessBytes = 16;
/// Pieces that a thread sums at once, at most.
constexpr int64_t maxPieces = 4;
/// Registers for sums, and for the values of two rows: of the 128 that a thread
/// of 512 has.
constexpr int64_t maxRegisters = 72;

/// Columns that threads sum: pieces of the rows that are read, `width` each.
struct Columns {
  Columns(SimtBuilder &b, const RowType &row, ArrayRef<Value> pieces)
      : row(row), width(widthOf(row)), numbers(pieces.begin(), pieces.end()) {
    for (Value piece : pieces)
      offsets.push_back(b.toI64(b.mul(piece, b.index(bytes()))));
  }

  static int64_t widthOf(const RowType &row) {
    return std::min(accessBytes, row.alignment) / row.elementBytes();
  }
  int64_t bytes() const { return width * row.elementBytes(); }
  int64_t size() const { return static_cast<int64_t>(numbers.size()); }

  SmallVector<Value> load(SimtBuilder &b, Value pointer) const {
    SmallVector<Value> elements;
    for (Value offset : offsets)
      elements.push_back(
          b.loadElements(b.advance(pointer, offset), row, width));
    return elements;
  }

  /// Rounds \p sums, and row \p row of \p plus where that is not null, into the
  /// row at \p out, where \p isInside.
  void store(SimtBuilder &b, ValueRange sums, Value plus, Value row, Value out,
             const RowType &outRow, Value isInside) const {
    SmallVector<Value> totals(sums), bits;
    if (plus) {
      RowType type(cast<MemRefType>(plus.getType()));
      Value start = b.rowPointer(b.addressOf(plus), row, type);
      for (auto [number, total] : llvm::zip_equal(numbers, totals)) {
        Value offset =
            b.toI64(b.mul(number, b.index(width * type.elementBytes())));
        total = b.create<arith::AddFOp>(
            total, b.loadWidened(b.advance(start, offset), type, width));
      }
    }
    for (Value total : totals)
      bits.push_back(b.roundToBits(total, outRow, width));
    b.ifThen(isInside, [&] {
      for (auto [number, value] : llvm::zip_equal(numbers, bits)) {
        Value offset =
            b.toI64(b.mul(number, b.index(width * outRow.elementBytes())));
        b.storeBits(value, b.advance(out, offset), outRow, width,
                    /*isStreaming=*/false);
      }
    });
  }

  RowType row;
  int64_t width;
  SmallVector<Value> numbers, offsets;
};

} // namespace

/// sums = add(i, values of row i, sums) for \p count rows; `pointerOf` may be
/// asked for row 0 where there is none. A row's values are under way while the
/// one before it is added.
static ValueRange
addRows(SimtBuilder &b, const Columns &columns, Value count, ValueRange sums,
        function_ref<Value(Value)> pointerOf,
        function_ref<SmallVector<Value>(Value, ValueRange, ValueRange)> add) {
  auto loadIf = [&](Value condition, Value pointer, ValueRange otherwise) {
    auto branch = b.create<scf::IfOp>(
        condition,
        [&](OpBuilder &, Location) {
          b.create<scf::YieldOp>(columns.load(b, pointer));
        },
        [&](OpBuilder &, Location) { b.create<scf::YieldOp>(otherwise); });
    return branch.getResults();
  };
  Type element = columns.row.element;
  if (element.isBF16())
    element = b.getI16Type();
  auto type = VectorType::get(columns.width, element);
  SmallVector<Value> none(
      columns.size(), b.create<arith::ConstantOp>(type, b.getZeroAttr(type)));
  Value zero = b.index(0);
  SmallVector<Value> carried(sums);
  llvm::append_range(
      carried, loadIf(b.compare(Cmp::sgt, count, zero), pointerOf(zero), none));
  ValueRange results =
      b.forRange(zero, count, carried,
                 [&](Value i, ValueRange values) -> SmallVector<Value> {
                   ValueRange elements = values.take_back(columns.size());
                   Value after = b.add(i, b.index(1));
                   Value hasNext = b.compare(Cmp::slt, after, count);
                   Value next = b.select(hasNext, after, i);
                   ValueRange nextElements =
                       loadIf(hasNext, pointerOf(next), elements);
                   SmallVector<Value> wide;
                   for (Value piece : elements)
                     wide.push_back(b.widen(piece, columns.width));
                   SmallVector<Value> yielded =
                       add(i, wide, values.drop_back(columns.size()));
                   llvm::append_range(yielded, nextElements);
                   return yielded;
                 });
  return results.drop_back(columns.size());
}

namespace {

//===----------------------------------------------------------------------===//
// pipe.reduce_row
//===----------------------------------------------------------------------===//

/// Descriptors of a token, one in each lane.
struct Descriptors {
  Value count;   ///< how many lanes hold one
  Value address; ///< of the row, i64
  Value weight;  ///< f32
  Value end;     ///< SumTree::End, i32
};

struct LowerReduceRow : CudaPattern<ReduceRowOp> {
  using CudaPattern::CudaPattern;

  /// Those from number \p first of the \p count on.
  static Descriptors buildDescriptors(SimtBuilder &b, ReduceRowOp op,
                                      const SumTree &tree, const RowType &row,
                                      Value count, int64_t first) {
    Value i = b.add(b.index(first), b.laneInWarp());
    Value none = b.f32(1.0f);
    auto branch = b.create<scf::IfOp>(
        b.compare(Cmp::slt, i, count),
        [&](OpBuilder &, Location) {
          Value at = b.add(op.getBegin(), i);
          Value rank = b.toIndex(b.load(op.getRanks(), {op.getToken(), at}));
          Value slot = b.toI64(b.load(op.getSlots(), {op.getToken(), at}));
          Value address = b.add(b.load(op.getAddresses(), {rank}),
                                b.mul(slot, b.i64(row.bytes)));
          Value weight = op.getWeights()
                             ? b.load(op.getWeights(), {op.getToken(), at})
                             : none;
          Value end = tree.hasRanks()
                          ? b.create<arith::ExtUIOp>(b.getI32Type(),
                                                     tree.buildEnd(b, i, count))
                          : b.i32(0);
          b.create<scf::YieldOp>(ValueRange{address, weight, end});
        },
        [&](OpBuilder &, Location) {
          b.create<scf::YieldOp>(ValueRange{b.i64(0), none, b.i32(0)});
        });
    Value held = b.create<arith::MinSIOp>(b.sub(count, b.index(first)),
                                          b.index(threadsPerWarp));
    return {held, branch.getResult(0), branch.getResult(1),
            branch.getResult(2)};
  }

  LogicalResult matchAndRewrite(ReduceRowOp op,
                                PatternRewriter &rewriter) const override {
    SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    SimtScope scope = getSimtScope(op);
    RowType row(cast<MemRefType>(op.getRowType()));
    RowType outRow(op.getOut().getType());
    SumTree tree(op);
    Value count = b.sub(op.getEnd(), op.getBegin());
    Value out = b.rowPointer(b.addressOf(op.getOut()), op.getRow(), outRow);
    Value neutral = SumTree::buildNeutral(b, count);
    SmallVector<Descriptors> chunks;
    int64_t topk = op.getRanks().getType().getDimSize(1);
    for (int64_t first = 0; first < topk; first += threadsPerWarp)
      chunks.push_back(buildDescriptors(b, op, tree, row, count, first));

    auto reducePieces = [&](ArrayRef<Value> pieces, Value isInside) {
      Columns columns(b, row, pieces);
      int64_t width = columns.width, size = columns.size();
      SmallVector<Value> sums = tree.buildStart(b, neutral, size, width);
      for (const Descriptors &chunk : chunks) {
        auto pointerOf = [&](Value i) {
          return b.toPointer(b.readLane(chunk.address, i));
        };
        auto add = [&](Value i, ValueRange values,
                       ValueRange carried) -> SmallVector<Value> {
          Value weight =
              op.getWeights() ? b.readLane(chunk.weight, i) : b.f32(1.0f);
          weight = b.broadcastF32(weight, width);
          SmallVector<Value> next(carried);
          for (auto [sum, value] : llvm::zip(next, values))
            sum = b.create<math::FmaOp>(weight, value, sum);
          if (!tree.hasRanks())
            return next;
          Value end = b.create<arith::TruncIOp>(b.getI8Type(),
                                                b.readLane(chunk.end, i));
          return tree.closeBranches(b, end, next, size, width);
        };
        sums = llvm::to_vector(
            addRows(b, columns, chunk.count, sums, pointerOf, add));
      }
      columns.store(b, ArrayRef(sums).take_back(size), op.getPlus(),
                    op.getRow(), out, outRow, isInside);
    };
    int64_t width = Columns::widthOf(row);
    int64_t registers = width * static_cast<int64_t>(tree.levels()) +
                        2 * llvm::divideCeil(width * row.elementBytes(), 4);
    b.forPieces(scope, b.index(row.hidden / width),
                std::clamp<int64_t>(maxRegisters / registers, 1, maxPieces),
                reducePieces);
    b.finish(scope);
    rewriter.eraseOp(op);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// pipe.merge_row
//===----------------------------------------------------------------------===//

struct LowerMergeRow : CudaPattern<MergeRowOp> {
  using CudaPattern::CudaPattern;

  LogicalResult matchAndRewrite(MergeRowOp op,
                                PatternRewriter &rewriter) const override {
    SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    SimtScope scope = getSimtScope(op);
    RowType outRow(op.getOut().getType());
    RowType row(
        MemRefType::get({ShapedType::kDynamic, outRow.hidden}, b.getF32Type()));
    Value out = b.rowPointer(b.addressOf(op.getOut()), op.getRow(), outRow);
    Value start = SumTree::buildNeutral(b, op.getCount());
    auto pointerOf = [&](Value i) {
      return b.toPointer(b.load(op.getAddresses(), {i}));
    };
    auto add = [&](Value, ValueRange values, ValueRange sums) {
      SmallVector<Value> next;
      for (auto [sum, value] : llvm::zip_equal(sums, values))
        next.push_back(b.create<arith::AddFOp>(sum, value));
      return next;
    };
    int64_t width = Columns::widthOf(row);
    b.forPieces(
        scope, b.index(row.hidden / width), maxPieces,
        [&](ArrayRef<Value> pieces, Value isInside) {
          Columns columns(b, row, pieces);
          SmallVector<Value> sums(pieces.size(), b.broadcastF32(start, width));
          columns.store(
              b, addRows(b, columns, op.getCount(), sums, pointerOf, add),
              op.getPlus(), op.getRow(), out, outRow, isInside);
        });
    b.finish(scope);
    rewriter.eraseOp(op);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// pipe.dot_row
//===----------------------------------------------------------------------===//

/// The 32 lanes of the order are those of a warp. Every warp of the scope
/// computes it.
struct LowerDotRow : CudaPattern<DotRowOp> {
  using CudaPattern::CudaPattern;

  LogicalResult matchAndRewrite(DotRowOp op,
                                PatternRewriter &rewriter) const override {
    SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    RowType type(op.getRows().getType());
    RowType otherType(cast<MemRefType>(op.getRowType()));
    Value row = b.rowPointer(b.addressOf(op.getRows()), op.getRow(), type);
    Value other = b.toPointer(op.getAddress());
    Value first = b.splatF32(0.0f, /*width=*/1);
    auto loadColumn = [&](Value pointer, const RowType &of, Value column) {
      Value offset = b.toI64(b.mul(column, b.index(of.elementBytes())));
      return b.loadWidened(b.advance(pointer, offset), of, /*width=*/1);
    };
    auto loop = b.create<scf::ForOp>(
        b.laneInWarp(), b.index(type.hidden), b.index(threadsPerWarp), first,
        [&](OpBuilder &, Location, Value column, ValueRange sum) {
          b.create<scf::YieldOp>(ValueRange(b.create<math::FmaOp>(
              loadColumn(row, type, column),
              loadColumn(other, otherType, column), sum[0])));
        });
    Value dot = b.create<LLVM::ExtractElementOp>(loop.getResult(0), b.i32(0));
    // Both of a pair add the same two values, so that all lanes get the sum.
    for (int64_t half = threadsPerWarp / 2; half > 0; half /= 2)
      dot = b.create<arith::AddFOp>(dot, b.readPartner(dot, half));
    rewriter.replaceOp(op, b.canonicalNan(dot));
    return success();
  }
};

} // namespace

void fusco::populateRowSumsToCudaPatterns(RewritePatternSet &patterns,
                                          const CudaLimits &limits) {
  patterns.add<LowerReduceRow, LowerMergeRow, LowerDotRow>(
      patterns.getContext(), limits);
}
