//===- QuantizeToCuda.cpp - Quantisation of a row to SIMT code ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe.quantize_row on a GPU. A warp takes a block of a row at a time; its
/// lanes find the largest magnitude together.
///
//===----------------------------------------------------------------------===//

#include "codegen/Quantizer.h"
#include "codegen/cuda/CudaPatterns.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

/// This warp's number among the warps of \p scope, and how many these are.
static Value warpOf(SimtBuilder &b, SimtScope scope) {
  return b.div(b.memberOf(scope), b.index(threadsPerWarp));
}
static Value warpsOf(SimtBuilder &b, SimtScope scope) {
  return b.div(b.membersOf(scope), b.index(threadsPerWarp));
}

namespace {

/// The blocks of one row.
class RowQuantizer {
public:
  RowQuantizer(SimtBuilder &b, QuantizeRowOp op)
      : b(b), quantizer(b, op), width(chooseWidth()) {}

  void build(SimtScope scope);

private:
  /// Elements that a lane takes at once: all blocks are made of such pieces.
  int64_t chooseWidth() const {
    constexpr int64_t widest = 4;
    int64_t width = widest;
    while (quantizer.block % width != 0 ||
           quantizer.source.hidden % width != 0 ||
           quantizer.source.alignment < width * quantizer.source.elementBytes())
      width /= 2;
    return width;
  }
  /// Runs \p body on the columns [from, to) of a block, a piece at a time, lane
  /// by lane; returns what it carries.
  Value forPieces(Value from, Value to, Value carried,
                  function_ref<Value(Value column, Value carried)> body);
  Value load(Value column) {
    return quantizer.loadBits(quantizer.sourceAt(column), width);
  }
  Value reduceInWarp(Value magnitude);
  void buildBlock(Value number);

  SimtBuilder &b;
  Quantizer quantizer;
  const int64_t width;
};

} // namespace

Value RowQuantizer::forPieces(Value from, Value to, Value carried,
                              function_ref<Value(Value, Value)> body) {
  Value first = b.add(from, b.mul(b.laneInWarp(), b.index(width)));
  auto loop = b.create<scf::ForOp>(
      first, to, b.index(width * threadsPerWarp), ValueRange(carried),
      [&](OpBuilder &, Location, Value column, ValueRange values) {
        b.create<scf::YieldOp>(body(column, values[0]));
      });
  return loop.getResult(0);
}

/// The largest of all lanes' \p magnitude, in all lanes.
Value RowQuantizer::reduceInWarp(Value magnitude) {
  Type type = magnitude.getType(), i32 = b.getI32Type(), f32 = b.getF32Type();
  bool isNarrow = type != i32;
  if (isNarrow)
    magnitude = b.create<arith::ExtUIOp>(i32, magnitude);
  for (int64_t bit = threadsPerWarp / 2; bit > 0; bit /= 2) {
    Value partner =
        b.readPartner(b.create<arith::BitcastOp>(f32, magnitude), bit);
    magnitude = b.create<arith::MaxSIOp>(
        magnitude, b.create<arith::BitcastOp>(i32, partner));
  }
  return isNarrow ? b.create<arith::TruncIOp>(type, magnitude) : magnitude;
}

void RowQuantizer::buildBlock(Value number) {
  Value from = b.mul(number, b.index(quantizer.block));
  Value to = b.create<arith::MinSIOp>(b.add(from, b.index(quantizer.block)),
                                      b.index(quantizer.source.hidden));
  auto lane = [&](Value vector, int64_t i) -> Value {
    return b.create<LLVM::ExtractElementOp>(vector, b.i32(i));
  };
  Value zero = quantizer.zeroMagnitude();
  Value own = forPieces(from, to, zero, [&](Value column, Value largest) {
    Value magnitudes = quantizer.finiteMagnitude(load(column), width);
    for (int64_t i = 0; i < width; ++i)
      largest = b.create<arith::MaxSIOp>(largest, lane(magnitudes, i));
    return largest;
  });
  b.sync(SimtScope::Warp); // lanes may have had unequal numbers of pieces
  BlockScale scale = quantizer.scaleOf(reduceInWarp(own));
  forPieces(from, to, zero, [&](Value column, Value none) {
    b.create<LLVM::StoreOp>(
        quantizer.toFloat8(load(column), scale.inverse, width, Elements::Any),
        quantizer.dataAt(column), width);
    return none;
  });
  b.ifThen(b.isFirstOf(SimtScope::Warp),
           [&] { quantizer.storeScale(scale.stored, number); });
}

void RowQuantizer::build(SimtScope scope) {
  b.create<scf::ForOp>(warpOf(b, scope), b.index(quantizer.numBlocks()),
                       warpsOf(b, scope), ValueRange{},
                       [&](OpBuilder &, Location, Value number, ValueRange) {
                         buildBlock(number);
                         b.create<scf::YieldOp>();
                       });
  b.ifThen(b.isFirstOf(scope), [&] { quantizer.storeUnusedScales(); });
}

namespace {

struct LowerQuantizeRow : CudaPattern<QuantizeRowOp> {
  using CudaPattern::CudaPattern;

  LogicalResult matchAndRewrite(QuantizeRowOp op,
                                PatternRewriter &rewriter) const override {
    SimtBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    SimtScope scope = getSimtScope(op);
    // The row that was there before may still be read.
    b.sync(scope);
    RowQuantizer(b, op).build(scope);
    fenceBulkCopies(b);
    b.finish(scope);
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

void fusco::populateQuantizeToCudaPatterns(RewritePatternSet &patterns,
                                           const CudaLimits &limits) {
  patterns.add<LowerQuantizeRow>(patterns.getContext(), limits);
}
