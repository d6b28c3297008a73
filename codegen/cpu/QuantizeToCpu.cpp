//===- QuantizeToCpu.cpp - Quantisation of a row to vector loops ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe.quantize_row on a CPU. A block at a time, so that its elements are
/// still in registers when its scale is known; and where the row is copied
/// right behind, a piece at a time, so that stores past the caches drain while
/// the next piece is computed.
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

/// The blocks of one row.
class RowQuantizer {
public:
  RowQuantizer(RowBuilder &b, QuantizeRowOp op) : b(b), quantizer(b, op) {}

  /// Runs \p onPiece (column, columns) behind each piece.
  void build(int64_t pieceColumns, function_ref<void(Value, int64_t)> onPiece) {
    int64_t block = quantizer.block, hidden = quantizer.source.hidden;
    int64_t blocks = std::max<int64_t>(1, pieceColumns / block);
    int64_t pieces = hidden / (blocks * block), done = pieces * blocks;
    b.forRange(b.index(0), b.index(pieces), [&](Value piece) {
      Value first = b.mul(piece, b.index(blocks));
      b.forRange(first, b.add(first, b.index(blocks)),
                 [&](Value number) { buildBlock(number, block); });
      onPiece(b.mul(first, b.index(block)), blocks * block);
    });
    int64_t whole = hidden / block;
    b.forRange(b.index(done), b.index(whole),
               [&](Value number) { buildBlock(number, block); });
    if (whole * block != hidden)
      buildBlock(b.index(whole), hidden - whole * block);
    if (done * block != hidden)
      onPiece(b.index(done * block), hidden - done * block);
    quantizer.storeUnusedScales();
  }

private:
  void buildBlock(Value number, int64_t columns);
  Value buildMagnitude(Value from, int64_t columns);

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

/// The largest finite magnitude of the block of \p columns at \p from.
Value RowQuantizer::buildMagnitude(Value from, int64_t columns) {
  constexpr int64_t step = vectorWidth * vectorsPerStep;
  auto magnitudes = [&](Value column, int64_t width, int64_t vectors) {
    SmallVector<Value> values;
    for (int64_t i = 0; i < vectors; ++i)
      values.push_back(
          quantizer.finiteMagnitude(load(from, column, i, width), width));
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

void RowQuantizer::buildBlock(Value number, int64_t columns) {
  Value column = b.mul(number, b.index(quantizer.block));
  Value from = quantizer.sourceAt(column), to = quantizer.dataAt(column);
  BlockScale scale = quantizer.scaleOf(buildMagnitude(from, columns));
  b.coverRow(columns, vectorWidth, vectorsPerStep,
             [&](Value at, int64_t width, int64_t vectors) {
               Value start = b.advance(to, b.toI64(at));
               for (int64_t i = 0; i < vectors; ++i)
                 b.create<LLVM::StoreOp>(
                     quantizer.toFloat8(load(from, at, i, width), scale.inverse,
                                        width),
                     b.advance(start, i * width), /*alignment=*/1);
             });
  quantizer.storeScale(scale.stored, number);
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
    // Enough of a row for stores to be under way while it is computed.
    constexpr int64_t pieceColumns = 512;
    RowBuilder b(op.getLoc(), rewriter);
    CopyRowOp copy = getCopyBehind(op);
    int64_t columns =
        copy ? pieceColumns : op.getSource().getType().getDimSize(1);
    RowQuantizer(b, op).build(columns, [&](Value column, int64_t columns) {
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
