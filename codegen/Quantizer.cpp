//===- Quantizer.cpp - The arithmetic of fusco.quantize -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Quantizer.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/Quantizer.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

static constexpr int64_t f32MantissaBits = 23, f32Bias = 127;

static int64_t bitsOf(float value) { return llvm::bit_cast<uint32_t>(value); }

/// The rows of \p type, in blocks of \p block elements: their alignment is that
/// of the start of any block.
static RowType getBlocks(MemRefType type, int64_t block) {
  RowType row(type);
  int64_t bytes = block * row.elementBytes();
  row.alignment = std::min(row.alignment, bytes & -bytes);
  return row;
}

Quantizer::Quantizer(RowBuilder &builder, QuantizeRowOp op)
    : source(getBlocks(op.getSource().getType(), op.getBlock())),
      block(op.getBlock()), b(builder), scales(op.getScales().getType()),
      isPacked(scales.element.isInteger(32)) {
  RowType data(op.getData().getType());
  sourceRow = b.rowPointer(b.addressOf(op.getSource()), op.getFrom(), source);
  dataRow = b.rowPointer(b.addressOf(op.getData()), op.getTo(), data);
  scalesRow = b.rowPointer(b.addressOf(op.getScales()), op.getTo(), scales);
  auto type = cast<FloatType>(source.element);
  bitsType = b.getIntegerType(type.getWidth());
  signBit = int64_t(1) << (type.getWidth() - 1);
  infinity = signBit - (int64_t(1) << (type.getFPMantissaWidth() - 1));
  bool isE4M3 = isa<Float8E4M3FNType>(data.element);
  mantissaBits = isE4M3 ? 3 : 2;
  bias = isE4M3 ? 7 : 15;
  largest = isE4M3 ? 448.0f : 57344.0f;
}

Value Quantizer::sourceAt(Value column) {
  return b.advance(sourceRow,
                   b.mul(b.toI64(column), b.i64(source.elementBytes())));
}

Value Quantizer::dataAt(Value column) {
  return b.advance(dataRow, b.toI64(column));
}

void Quantizer::storeScale(Value stored, Value number) {
  Value offset = b.mul(b.toI64(number), b.i64(bytesPerScale()));
  b.create<LLVM::StoreOp>(stored, b.advance(scalesRow, offset));
}

void Quantizer::storeUnusedScales() {
  Value zero = b.create<arith::ConstantIntOp>(0, 8);
  for (int64_t at = numBlocks() * bytesPerScale(); at < scales.bytes; ++at)
    b.create<LLVM::StoreOp>(zero, b.advance(scalesRow, at));
}

Value Quantizer::loadBits(Value pointer, int64_t width) {
  Value elements = b.loadElements(pointer, source, width);
  return b.create<arith::BitcastOp>(b.lanes(bitsType, width), elements);
}

Value Quantizer::finiteMagnitude(Value bits, int64_t width) {
  Value magnitude = magnitudeOf(bits, width);
  Value isFinite = b.compare(Cmp::ult, magnitude, splatBits(infinity, width));
  return b.select(isFinite, magnitude, splatBits(0, width));
}

Value Quantizer::isFinite(Value magnitude) {
  return b.compare(
      Cmp::ult, magnitude,
      b.create<arith::ConstantOp>(b.getIntegerAttr(bitsType, infinity)));
}

Value Quantizer::zeroMagnitude() {
  return b.create<arith::ConstantOp>(b.getIntegerAttr(bitsType, 0));
}

Value Quantizer::widenMagnitude(Value bits, int64_t width) {
  return b.widen(
      source.element.isBF16()
          ? bits
          : b.create<arith::BitcastOp>(b.lanes(source.element, width), bits),
      source.element, width);
}

BlockScale Quantizer::scaleOf(Value magnitude) {
  Type f32 = b.getF32Type();
  Value lane = b.create<vector::BroadcastOp>(b.lanes(bitsType, 1), magnitude);
  Value number = b.create<vector::ExtractOp>(widenMagnitude(lane, 1), 0);
  // What is smaller would have an infinite inverse. Positive numbers are in the
  // order of their bits.
  Value amax = b.create<arith::BitcastOp>(
      f32, b.create<arith::MaxSIOp>(
               b.create<arith::BitcastOp>(b.getI32Type(), number),
               b.i32(bitsOf(0x1p-110f))));
  Value quotient = b.create<arith::DivFOp>(amax, b.f32(largest));
  if (!isPacked)
    return {b.create<arith::DivFOp>(b.f32(largest), amax), quotient};
  // The next power of two, unless it is one. None is rounded to one from above:
  // `largest` is 7 times a power of two, so that the smallest quotient above
  // one is 4/7 of a last place away from it.
  Value bits = b.create<arith::BitcastOp>(b.getI32Type(), quotient);
  Value exponent = b.create<arith::ShRUIOp>(
      b.add(bits, b.i32((int64_t(1) << f32MantissaBits) - 1)),
      b.i32(f32MantissaBits));
  Value opposite = b.sub(b.i32(2 * f32Bias), exponent);
  Value inverse = b.create<arith::BitcastOp>(
      f32, b.create<arith::ShLIOp>(opposite, b.i32(f32MantissaBits)));
  return {inverse, b.create<arith::TruncIOp>(b.getI8Type(), exponent)};
}

SmallVector<Value, 2> Quantizer::widenMagnitudes(Value bits, int64_t width) {
  if (!source.element.isBF16() || width % 2 != 0)
    return {widenMagnitude(bits, width)};
  auto [even, odd] = b.widenPairs(bits, width);
  return {even, odd};
}

Value Quantizer::joinBytes(ValueRange parts, int64_t width) {
  Value joined = parts.front();
  if (parts.size() == 2) {
    Type i32 = b.getI32Type();
    int64_t half = width / 2;
    Value even = b.both(parts[0], b.splatInt(0xFFFF, i32, half));
    Value odd = b.create<arith::ShLIOp>(parts[1], b.splatInt(16, i32, half));
    joined = b.create<vector::BitCastOp>(b.lanes(b.getIntegerType(16), width),
                                         b.create<arith::OrIOp>(even, odd));
  }
  return b.create<arith::TruncIOp>(b.lanes(b.getI8Type(), width), joined);
}

/// The bits of a float32 of \p exponent alone.
static int64_t inPlace(int64_t exponent) {
  return (exponent + f32Bias) << f32MantissaBits;
}

int64_t Quantizer::encodingBase() const {
  int64_t dropped = f32MantissaBits - mantissaBits;
  return inPlace(1 - bias + dropped) >> dropped & 0xFF;
}

Value Quantizer::encode(Value product) {
  Type i32 = b.getI32Type();
  int64_t width = cast<VectorType>(product.getType()).getNumElements();
  auto splat = [&](int64_t value) { return b.splatInt(value, i32, width); };
  auto asBits = [&](Value value) -> Value {
    return b.create<arith::BitcastOp>(b.lanes(i32, width), value);
  };
  // Added to 2^(e + dropped), a number with the exponent e has its last place
  // that is kept in the sum's last place; denormals have the least exponent.
  // The exponent's share of the encoding stands as far up in the sum, whose low
  // byte was 0 before.
  int64_t dropped = f32MantissaBits - mantissaBits, leastExponent = 1 - bias;
  Value exponent = b.create<arith::MaxSIOp>(
      b.both(asBits(product), splat(inPlace(f32Bias + 1))),
      splat(inPlace(leastExponent)));
  Value aligner = b.create<arith::BitcastOp>(
      product.getType(), b.add(exponent, splat(dropped << f32MantissaBits)));
  Value sum = asBits(b.create<arith::AddFOp>(product, aligner));
  return b.add(sum, b.create<arith::ShRUIOp>(sum, splat(dropped)));
}

Value Quantizer::toFloat8(Value bits, Value inverse, int64_t width,
                          Elements elements) {
  Type i8 = b.getI8Type();
  // Magnitudes first; what is said here of NaNs does not matter.
  Value magnitude = magnitudeOf(bits, width);
  SmallVector<Value, 2> parts = widenMagnitudes(magnitude, width);
  int64_t lanes = width / static_cast<int64_t>(parts.size());
  for (Value &part : parts) {
    Value product =
        b.create<arith::MulFOp>(part, b.broadcastF32(inverse, lanes));
    if (elements == Elements::Any) {
      Value most = b.splatF32(largest, lanes);
      Value isInside =
          b.create<arith::CmpFOp>(arith::CmpFPredicate::OLT, product, most);
      product = b.select(isInside, product, most);
    }
    part = encode(product);
  }
  Value encoded =
      b.sub(joinBytes(parts, width), b.splatInt(encodingBase(), i8, width));

  int64_t signByte = bitsType.getIntOrFloatBitWidth() - 8;
  Value high = b.create<arith::TruncIOp>(
      b.lanes(i8, width),
      b.create<arith::ShRUIOp>(bits, splatBits(signByte, width)));
  Value result = b.create<arith::OrIOp>(
      encoded, b.both(high, b.splatInt(0x80, i8, width)));
  if (elements == Elements::Finite)
    return result;
  Value isNan = b.compare(Cmp::ugt, magnitude, splatBits(infinity, width));
  return b.select(isNan, b.splatInt(0x7F, i8, width), result);
}
