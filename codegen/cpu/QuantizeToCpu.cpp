//===- QuantizeToCpu.cpp - Quantisation of a row to vector loops ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe.quantize_row on a CPU. A group of blocks at a time: first the scales of
/// all, so that none is waited for, then the elements, which are still in the
/// first cache; where all of a group are finite, as is usual, with less work.
/// Where the row is copied right behind, each group is at once, so that stores
/// past the caches drain while the next is computed.
///
//===----------------------------------------------------------------------===//

#include "codegen/Quantizer.h"
#include "codegen/cpu/CpuPatterns.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

namespace {

/// Lanes of a vector, and vectors of a step.
constexpr int64_t vectorWidth = 32, vectorsPerStep = 4;

/// Of the source, between what is quantised and what is fetched.
constexpr int64_t bytesAhead = 2048;

/// Columns and most blocks of a group.
constexpr int64_t groupColumns = 512, maxGroupBlocks = 16;

/// The blocks of one row.
class RowQuantizer {
public:
  RowQuantizer(RowBuilder &b, QuantizeRowOp op) : b(b), quantizer(b, op) {}

  /// Runs \p onColumns (column, columns) behind each group.
  void build(function_ref<void(Value, int64_t)> onColumns) {
    int64_t block = quantizer.block, hidden = quantizer.source.hidden;
    int64_t size = std::clamp<int64_t>(groupColumns / block, 1, maxGroupBlocks);
    int64_t groups = hidden / (size * block), done = groups * size;
    b.forRange(b.index(0), b.index(groups), [&](Value group) {
      Value first = b.mul(group, b.index(size));
      buildGroup(first, size);
      onColumns(b.mul(first, b.index(block)), size * block);
    });
    int64_t whole = hidden / block;
    b.forRange(b.index(done), b.index(whole),
               [&](Value number) { buildBlock(number, block); });
    if (whole * block != hidden)
      buildBlock(b.index(whole), hidden - whole * block);
    if (done * block != hidden)
      onColumns(b.index(done * block), hidden - done * block);
    quantizer.storeUnusedScales();
  }

private:
  void buildGroup(Value first, int64_t size);
  void buildBlock(Value number, int64_t columns);
  Value buildMagnitude(Value number, int64_t columns, Elements elements);
  void convert(Value number, int64_t columns, BlockScale scale,
               Elements elements);

  Value columnOf(Value number) {
    return b.mul(number, b.index(quantizer.block));
  }
  Value load(Value from, Value column, int64_t vector, int64_t width) {
    int64_t bytes = quantizer.source.elementBytes();
    Value at = b.advance(from, b.mul(b.toI64(column), b.i64(bytes)));
    return quantizer.loadBits(b.advance(at, vector * width * bytes), width);
  }

  RowBuilder &b;
  Quantizer quantizer;
};

/// The largest of \p values, lane by lane.
Value maximum(RowBuilder &b, ArrayRef<Value> values) {
  if (values.size() == 1)
    return values.front();
  return b.create<arith::MaxSIOp>(
      maximum(b, values.take_front(values.size() / 2)),
      maximum(b, values.drop_front(values.size() / 2)));
}

Value reduce(RowBuilder &b, Value lanes) {
  return b.create<vector::ReductionOp>(vector::CombiningKind::MAXSI, lanes);
}

} // namespace

/// The largest magnitude of block \p number, of \p columns; of its finite
/// elements if they may be any.
Value RowQuantizer::buildMagnitude(Value number, int64_t columns,
                                   Elements elements) {
  constexpr int64_t step = vectorWidth * vectorsPerStep;
  Value from = quantizer.sourceAt(columnOf(number));
  auto magnitudes = [&](Value column, int64_t width, int64_t vectors) {
    SmallVector<Value> values;
    for (int64_t i = 0; i < vectors; ++i) {
      Value bits = load(from, column, i, width);
      values.push_back(elements == Elements::Finite
                           ? quantizer.magnitudeOf(bits, width)
                           : quantizer.finiteMagnitude(bits, width));
    }
    return maximum(b, values);
  };
  Value result = quantizer.zeroMagnitude();
  int64_t done = columns / step * step;
  if (done == step) {
    result = reduce(b, magnitudes(b.index(0), vectorWidth, vectorsPerStep));
  } else if (done != 0) {
    Value zeros = b.create<vector::BroadcastOp>(
        b.lanes(result.getType(), vectorWidth), result);
    auto loop = b.create<scf::ForOp>(
        b.index(0), b.index(done), b.index(step), ValueRange(zeros),
        [&](OpBuilder &, Location, Value column, ValueRange largest) {
          Value value = b.create<arith::MaxSIOp>(
              largest[0], magnitudes(column, vectorWidth, vectorsPerStep));
          b.create<scf::YieldOp>(value);
        });
    result = reduce(b, loop.getResult(0));
  }
  for (int64_t width = vectorWidth; width > 0; width /= 2)
    if (int64_t vectors = (columns - done) / width) {
      result = b.create<arith::MaxSIOp>(
          result, reduce(b, magnitudes(b.index(done), width, vectors)));
      done += vectors * width;
    }
  return result;
}

void RowQuantizer::convert(Value number, int64_t columns, BlockScale scale,
                           Elements elements) {
  Value column = columnOf(number);
  Value from = quantizer.sourceAt(column), to = quantizer.dataAt(column);
  b.coverRow(columns, vectorWidth, vectorsPerStep,
             [&](Value at, int64_t width, int64_t vectors) {
               Value start = b.advance(to, b.toI64(at));
               for (int64_t i = 0; i < vectors; ++i)
                 b.create<LLVM::StoreOp>(
                     quantizer.toFloat8(load(from, at, i, width), scale.inverse,
                                        width, elements),
                     b.advance(start, i * width), /*alignment=*/1);
             });
  quantizer.storeScale(scale.stored, number);
}

void RowQuantizer::buildBlock(Value number, int64_t columns) {
  Value largest = buildMagnitude(number, columns, Elements::Any);
  convert(number, columns, quantizer.scaleOf(largest), Elements::Any);
}

/// Blocks [first, first + size), all whole.
void RowQuantizer::buildGroup(Value first, int64_t size) {
  SmallVector<Value> numbers, largest;
  // Hardware has hardly begun to read ahead when the copies end.
  int64_t bytes = size * quantizer.block * quantizer.source.elementBytes();
  b.prefetch(b.advance(quantizer.sourceAt(columnOf(first)), bytesAhead), bytes,
             Cache::First);
  for (int64_t i = 0; i < size; ++i) {
    numbers.push_back(b.add(first, b.index(i)));
    largest.push_back(
        buildMagnitude(numbers.back(), quantizer.block, Elements::Finite));
  }
  b.create<scf::IfOp>(
      quantizer.isFinite(maximum(b, largest)),
      [&](OpBuilder &, Location) {
        SmallVector<BlockScale> scales;
        for (Value magnitude : largest)
          scales.push_back(quantizer.scaleOf(magnitude));
        for (auto [number, scale] : llvm::zip_equal(numbers, scales))
          convert(number, quantizer.block, scale, Elements::Finite);
        b.create<scf::YieldOp>();
      },
      [&](OpBuilder &, Location) {
        b.forRange(first, b.add(first, b.index(size)),
                   [&](Value number) { buildBlock(number, quantizer.block); });
        b.create<scf::YieldOp>();
      });
}

/// The copy of what \p op makes, as it is, among those that come next. Pieces
/// of rows start at lines only where blocks do.
static CopyRowOp getCopyBehind(QuantizeRowOp op) {
  if (op.getBlock() % lineBytes != 0)
    return {};
  for (Operation *next = op->getNextNode(); next; next = next->getNextNode()) {
    auto copy = dyn_cast<CopyRowOp>(next);
    if (copy && copy.getSource() == op.getData() &&
        copy.getRow() == op.getTo() && !copy.getWeights())
      return copy;
    if (!copy && !isPure(next))
      return {};
  }
  return {};
}

namespace {
struct LowerQuantizeRow : OpRewritePattern<QuantizeRowOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeRowOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    CopyRowOp copy = getCopyBehind(op);
    RowQuantizer(b, op).build([&](Value column, int64_t columns) {
      if (copy)
        copyColumns(b, copy, column, columns);
    });
    if (copy)
      rewriter.eraseOp(copy);
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void fusco::populateQuantizeToCpuPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerQuantizeRow>(patterns.getContext());
}
