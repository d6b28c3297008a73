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

#include "codegen/RowScales.h"
#include "codegen/SumTree.h"
#include "codegen/cuda/CudaPatterns.h"
#include "codegen/cuda/SimtBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
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
  Columns(SimtBuilder &b, const RowType &row, int64_t width,
          ArrayRef<Value> pieces)
      : row(row), width(width), numbers(pieces.begin(), pieces.end()) {
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

  /// What load gives before anything is loaded.
  SmallVector<Value> loadNothing(SimtBuilder &b) const {
    auto type = cast<ShapedType>(b.loadedType(row.element, width));
    return SmallVector<Value>(
        size(), b.create<arith::ConstantOp>(type, b.getZeroAttr(type)));
  }

  /// `width` elements of a row that is added, which may be of a wider type than
  /// the rows that are read. LLVM 19 turns a load of more than an access of f16
  /// that is widened into loads of 16 bits as if they were float32.
  Value loadAddend(SimtBuilder &b, Value pointer, const RowType &type) const {
    int64_t part = std::min(width, accessBytes / type.elementBytes());
    if (part == width)
      return b.loadWidened(pointer, type, width);
    Value whole = b.splatF32(0.0f, width);
    for (int64_t first = 0; first < width; first += part) {
      Value from = b.advance(pointer, first * type.elementBytes());
      whole = b.create<vector::InsertStridedSliceOp>(
          b.loadWidened(from, type, part), whole, first, 1);
    }
    return whole;
  }

  /// Rounds \p sums, and row \p row of each of \p plus or the one row of a
  /// tensor of one, into the row at \p out, where \p isInside.
  void store(SimtBuilder &b, ValueRange sums, ValueRange plus, Value row,
             Value out, const RowType &outRow, Value isInside) const {
    SmallVector<Value> totals(sums), bits;
    for (Value tensor : plus) {
      auto memref = cast<MemRefType>(tensor.getType());
      RowType type(memref);
      Value at = memref.getDimSize(0) == 1 ? b.index(0) : row;
      Value start = b.rowPointer(b.addressOf(tensor), at, type);
      for (auto [number, total] : llvm::zip_equal(numbers, totals)) {
        Value offset =
            b.toI64(b.mul(number, b.index(width * type.elementBytes())));
        total = b.create<arith::AddFOp>(
            total, loadAddend(b, b.advance(start, offset), type));
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

/// sums = add(i, what is loaded of row i, sums) for \p count rows; `pointersOf`
/// may be asked for row 0 where there is none, and \p none stands for it. A
/// row's values are under way while the one before it is added.
static SmallVector<Value>
addRows(SimtBuilder &b, Value count, ArrayRef<Value> sums, ArrayRef<Value> none,
        function_ref<SmallVector<Value>(Value)> pointersOf,
        function_ref<SmallVector<Value>(ArrayRef<Value>)> load,
        function_ref<SmallVector<Value>(Value, ValueRange, ValueRange)> add) {
  auto loadIf = [&](Value condition, Value row, ValueRange otherwise) {
    SmallVector<Value> pointers = pointersOf(row);
    auto branch = b.create<scf::IfOp>(
        condition,
        [&](OpBuilder &, Location) { b.create<scf::YieldOp>(load(pointers)); },
        [&](OpBuilder &, Location) { b.create<scf::YieldOp>(otherwise); });
    return branch.getResults();
  };
  Value zero = b.index(0);
  SmallVector<Value> carried(sums);
  llvm::append_range(carried,
                     loadIf(b.compare(Cmp::sgt, count, zero), zero, none));
  ValueRange results =
      b.forRange(zero, count, carried,
                 [&](Value i, ValueRange values) -> SmallVector<Value> {
                   ValueRange loaded = values.take_back(none.size());
                   Value after = b.add(i, b.index(1));
                   Value hasNext = b.compare(Cmp::slt, after, count);
                   ValueRange nextLoaded =
                       loadIf(hasNext, b.select(hasNext, after, i), loaded);
                   SmallVector<Value> yielded =
                       add(i, loaded, values.drop_back(none.size()));
                   llvm::append_range(yielded, nextLoaded);
                   return yielded;
                 });
  return llvm::to_vector_of<Value>(results.drop_back(none.size()));
}

namespace {

//===----------------------------------------------------------------------===//
// pipe.reduce_row
//===----------------------------------------------------------------------===//

/// Descriptors of a token, one in each lane.
struct Descriptors {
  Value count;        ///< how many lanes hold one
  Value address;      ///< of the row, i64
  Value weight;       ///< f32
  Value end;          ///< SumTree::End, i32
  Value scaleAddress; ///< of the row of its scales, i64; null if not scaled
};

struct LowerReduceRow : CudaPattern<ReduceRowOp> {
  using CudaPattern::CudaPattern;

  /// Those from number \p first of the \p count on.
  static Descriptors buildDescriptors(SimtBuilder &b, ReduceRowOp op,
                                      const SumTree &tree, const RowType &row,
                                      std::optional<RowScales> &scales,
                                      Value count, int64_t first) {
    Value i = b.add(b.index(first), b.laneInWarp());
    Value none = b.f32(1.0f);
    auto branch = b.create<scf::IfOp>(
        b.compare(Cmp::slt, i, count),
        [&](OpBuilder &, Location) {
          Value at = b.add(op.getBegin(), i);
          Value rank = b.toIndex(b.load(op.getRanks(), {op.getToken(), at}));
          Value slot = b.load(op.getSlots(), {op.getToken(), at});
          Value address = b.add(b.load(op.getAddresses(), {rank}),
                                b.mul(b.toI64(slot), b.i64(row.bytes)));
          Value weight = op.getWeights()
                             ? b.load(op.getWeights(), {op.getToken(), at})
                             : none;
          Value end = tree.hasRanks()
                          ? b.create<arith::ExtUIOp>(b.getI32Type(),
                                                     tree.buildEnd(b, i, count))
                          : b.i32(0);
          SmallVector<Value> yielded{address, weight, end};
          if (scales)
            yielded.push_back(scales->rowAddress(b, rank, slot));
          b.create<scf::YieldOp>(yielded);
        },
        [&](OpBuilder &, Location) {
          SmallVector<Value> yielded{b.i64(0), none, b.i32(0)};
          if (scales)
            yielded.push_back(b.i64(0));
          b.create<scf::YieldOp>(yielded);
        });
    Value held = b.create<arith::MinSIOp>(b.sub(count, b.index(first)),
                                          b.index(threadsPerWarp));
    return {held, branch.getResult(0), branch.getResult(1), branch.getResult(2),
            scales ? branch.getResult(3) : Value()};
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
    std::optional<RowScales> scales = RowScales::of(op);
    SmallVector<Descriptors> chunks;
    int64_t topk = op.getRanks().getType().getDimSize(1);
    for (int64_t first = 0; first < topk; first += threadsPerWarp)
      chunks.push_back(
          buildDescriptors(b, op, tree, row, scales, count, first));

    // The columns of a piece share a scale.
    int64_t width = Columns::widthOf(row);
    if (scales)
      width = scales->sharedColumns(width);

    auto reducePieces = [&](ArrayRef<Value> pieces, Value isInside) {
      Columns columns(b, row, width, pieces);
      int64_t size = columns.size();
      SmallVector<Value> none = columns.loadNothing(b), scaleOffsets;
      if (scales) {
        Type type = scales->storedType(b);
        none.append(size, b.create<arith::ConstantOp>(
                              type, cast<TypedAttr>(b.getZeroAttr(type))));
        for (Value piece : pieces)
          scaleOffsets.push_back(
              scales->offsetOf(b, b.mul(piece, b.index(width))));
      }
      // The columns' elements, then their scales.
      auto load = [&](ArrayRef<Value> pointers) {
        SmallVector<Value> loaded = columns.load(b, pointers[0]);
        for (Value offset : scaleOffsets)
          loaded.push_back(scales->load(b, b.advance(pointers[1], offset)));
        return loaded;
      };
      auto valueOf = [&](ValueRange loaded, int64_t piece) -> Value {
        Value value = b.widen(loaded[piece], row.element, width);
        if (!scales)
          return value;
        Value scale = scales->widen(b, loaded[size + piece]);
        return b.create<arith::MulFOp>(value, b.broadcastF32(scale, width));
      };
      SmallVector<Value> sums = tree.buildStart(b, neutral, size, width);
      for (const Descriptors &chunk : chunks) {
        auto pointersOf = [&](Value i) {
          SmallVector<Value> pointers{
              b.toPointer(b.readLane(chunk.address, i))};
          if (scales)
            pointers.push_back(b.toPointer(b.readLane(chunk.scaleAddress, i)));
          return pointers;
        };
        auto add = [&](Value i, ValueRange loaded,
                       ValueRange carried) -> SmallVector<Value> {
          SmallVector<Value> values;
          for (int64_t piece = 0; piece < size; ++piece)
            values.push_back(valueOf(loaded, piece));
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
        sums = addRows(b, chunk.count, sums, none, pointersOf, load, add);
      }
      columns.store(b, tree.finish(b, ArrayRef(sums).take_back(size), width),
                    op.getPlus(), op.getRow(), out, outRow, isInside);
    };
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
        MemRefType::get({ShapedType::kDynamic, outRow.hidden},
                        op.getPartials().value_or(Type(b.getF32Type()))));
    bool isRounded = op.getNode() && row.element.isBF16();
    Value out = b.rowPointer(b.addressOf(op.getOut()), op.getRow(), outRow);
    Value start = SumTree::buildNeutral(b, op.getCount());
    auto pointersOf = [&](Value i) {
      return SmallVector<Value>{b.toPointer(b.load(op.getAddresses(), {i}))};
    };
    int64_t width = Columns::widthOf(row);
    auto add = [&](Value, ValueRange loaded, ValueRange sums) {
      SmallVector<Value> next;
      for (auto [sum, value] : llvm::zip_equal(sums, loaded))
        next.push_back(
            b.create<arith::AddFOp>(sum, b.widen(value, row.element, width)));
      return next;
    };
    b.forPieces(scope, b.index(row.hidden / width), maxPieces,
                [&](ArrayRef<Value> pieces, Value isInside) {
                  Columns columns(b, row, width, pieces);
                  auto load = [&](ArrayRef<Value> pointers) {
                    return columns.load(b, pointers.front());
                  };
                  SmallVector<Value> sums(pieces.size(),
                                          b.broadcastF32(start, width));
                  sums = addRows(b, op.getCount(), sums, columns.loadNothing(b),
                                 pointersOf, load, add);
                  if (isRounded)
                    for (Value &sum : sums)
                      sum = b.roundToBF16(sum, width);
                  columns.store(b, sums, op.getPlus(), op.getRow(), out, outRow,
                                isInside);
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
