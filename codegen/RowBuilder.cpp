//===- RowBuilder.cpp - Short forms for code over rows --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See RowBuilder.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/RowBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

static int64_t getPitch(MemRefType type) {
  auto [strides, offset] = getStridesAndOffset(type);
  return strides.front() * (type.getElementTypeBitWidth() / 8);
}

RowType::RowType(MemRefType type)
    : hidden(type.getDimSize(1)), element(type.getElementType()),
      bytes(hidden * element.getIntOrFloatBitWidth() / 8),
      pitch(getPitch(type)),
      alignment(std::min<int64_t>(lineBytes, int64_t(1) << llvm::countr_zero(
                                                 uint64_t(pitch | bytes)))) {}

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

Type RowBuilder::ptrType() {
  return LLVM::LLVMPointerType::get(getContext(), addressSpace);
}

Value RowBuilder::addressOf(Value memref) {
  return toI64(create<memref::ExtractAlignedPointerAsIndexOp>(memref));
}

Value RowBuilder::toPointer(Value address) {
  return create<LLVM::IntToPtrOp>(ptrType(), address);
}

Value RowBuilder::rowAddress(Value rows, Value row) {
  RowType type(cast<MemRefType>(rows.getType()));
  Value offset = mul(toI64(row), i64(type.pitch));
  return add(addressOf(rows), offset);
}

Value RowBuilder::rowPointer(Value address, Value row, const RowType &type) {
  return toPointer(add(address, mul(toI64(row), i64(type.pitch))));
}

Value RowBuilder::advance(Value pointer, Value bytes) {
  return create<LLVM::GEPOp>(pointer.getType(), getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}

Value RowBuilder::advance(Value pointer, int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return create<LLVM::GEPOp>(
      pointer.getType(), getI8Type(), pointer,
      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)});
}

Value RowBuilder::frameArray(ProgramOp program, Type element, int64_t size) {
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(&program.getBody().front());
  return create<LLVM::AllocaOp>(ptrType(), element, i64(size));
}

Value RowBuilder::element(Value array, Type type, Value i) {
  return create<LLVM::GEPOp>(array.getType(), type, array,
                             ArrayRef<LLVM::GEPArg>{toI64(i)});
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

void RowBuilder::forEvery(Value from, Value to, int64_t step,
                          function_ref<void(Value)> body) {
  create<scf::ForOp>(from, to, index(step), ValueRange{},
                     [&](OpBuilder &, Location, Value i, ValueRange) {
                       body(i);
                       create<scf::YieldOp>();
                     });
}

void RowBuilder::coverRow(int64_t total, int64_t width, int64_t unroll,
                          function_ref<void(Value, int64_t, int64_t)> body) {
  int64_t step = width * unroll, done = total / step * step;
  if (done != 0)
    forEvery(index(0), index(done), step,
             [&](Value offset) { body(offset, width, unroll); });
  for (int64_t piece = width; piece > 0; piece /= 2) {
    if (int64_t pieces = (total - done) / piece) {
      body(index(done), piece, pieces);
      done += pieces * piece;
    }
  }
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

/// Of a float32: what is its bf16.
static constexpr int64_t upperHalf = -0x10000;

Type RowBuilder::lanes(Type type, int64_t width) {
  return VectorType::get(width, type);
}

static Value splat(RowBuilder &b, TypedAttr scalar, int64_t width) {
  auto type = cast<ShapedType>(b.lanes(scalar.getType(), width));
  return b.create<arith::ConstantOp>(DenseElementsAttr::get(type, scalar));
}

Value RowBuilder::splatF32(float value, int64_t width) {
  return splat(*this, getF32FloatAttr(value), width);
}

Value RowBuilder::splatInt(int64_t value, Type type, int64_t width) {
  return splat(*this, getIntegerAttr(type, value), width);
}

Value RowBuilder::broadcastF32(Value scalar, int64_t width) {
  return create<vector::BroadcastOp>(lanes(getF32Type(), width), scalar);
}

Type RowBuilder::loadedType(Type element, int64_t width) {
  bool isAsBits = element.isBF16() || element.getIntOrFloatBitWidth() == 8;
  return lanes(isAsBits ? getIntegerType(element.getIntOrFloatBitWidth())
                        : element,
               width);
}

Value RowBuilder::loadElements(Value pointer, const RowType &row,
                               int64_t width) {
  unsigned alignment = std::min(row.alignment, width * row.elementBytes());
  return create<LLVM::LoadOp>(loadedType(row.element, width), pointer,
                              alignment);
}

/// The bits of bf16, i16, as float32.
static Value widenBF16(RowBuilder &b, Value bits, int64_t width) {
  Type i32 = b.getI32Type();
  Value wide = b.create<arith::ExtUIOp>(b.lanes(i32, width), bits);
  return b.create<arith::BitcastOp>(
      b.lanes(b.getF32Type(), width),
      b.create<arith::ShLIOp>(wide, b.splatInt(16, i32, width)));
}

/// The bits of float8, i8, as float32. By way of f16, which holds all of their
/// numbers, and which every target converts without a detour for denormals.
static Value widenFloat8(RowBuilder &b, Value bits, Type element,
                         int64_t width) {
  Type i16 = b.getI16Type();
  auto splat = [&](int64_t value) { return b.splatInt(value, i16, width); };
  auto shift = [&](Value value, int64_t by) -> Value {
    return b.create<arith::ShLIOp>(value, splat(by));
  };
  Value wide = b.create<arith::ExtUIOp>(b.lanes(i16, width), bits);
  auto asF32 = [&](Value half) -> Value {
    Value number =
        b.create<arith::BitcastOp>(b.lanes(b.getF16Type(), width), half);
    return b.create<arith::ExtFOp>(b.lanes(b.getF32Type(), width), number);
  };
  if (isa<Float8E5M2Type>(element)) // the upper half of one
    return asF32(shift(wide, 8));
  // One less bit of exponent, with another bias: 2^-8 times the number. The
  // magnitude of all ones is the NaN; bit 7 fills f16's exponent.
  Value magnitude = b.both(wide, splat(0x7F));
  Value isNan = b.compare(arith::CmpIPredicate::eq, magnitude, splat(0x7F));
  magnitude = b.select(isNan, splat(0xFF), magnitude);
  Value sign = shift(b.both(wide, splat(0x80)), 8);
  Value half = b.create<arith::OrIOp>(sign, shift(magnitude, 7));
  return b.create<arith::MulFOp>(asF32(half), b.splatF32(0x1p8f, width));
}

Value RowBuilder::widen(Value elements, Type element, int64_t width) {
  if (element.isF32())
    return elements;
  if (element.isF16())
    return create<arith::ExtFOp>(lanes(getF32Type(), width), elements);
  if (element.isBF16())
    return widenBF16(*this, elements, width);
  return widenFloat8(*this, elements, element, width);
}

std::pair<Value, Value> RowBuilder::widenPairs(Value bits, int64_t width) {
  Type i32 = getI32Type();
  int64_t half = width / 2;
  Type f32 = lanes(getF32Type(), half);
  Value pairs = create<vector::BitCastOp>(lanes(i32, half), bits);
  Value even = create<arith::ShLIOp>(pairs, splatInt(16, i32, half));
  Value odd = both(pairs, splatInt(upperHalf, i32, half));
  return {create<arith::BitcastOp>(f32, even),
          create<arith::BitcastOp>(f32, odd)};
}

Value RowBuilder::loadWidened(Value pointer, const RowType &row, int64_t width,
                              LaneOrder order) {
  Value elements = loadElements(pointer, row, width);
  if (order == LaneOrder::Columns)
    return widen(elements, row.element, width);
  SmallVector<int64_t> mask;
  for (int64_t i = 0; i < width; ++i)
    mask.push_back(i);
  if (row.element.isBF16()) {
    auto [even, odd] = widenPairs(elements, width);
    return create<vector::ShuffleOp>(even, odd, mask);
  }
  std::stable_partition(mask.begin(), mask.end(),
                        [](int64_t i) { return i % 2 == 0; });
  Value wide = widen(elements, row.element, width);
  return create<vector::ShuffleOp>(wide, wide, mask);
}

Value RowBuilder::roundToBF16(Value value, int64_t width) {
  RowType row(MemRefType::get({1, width}, getBF16Type()));
  return widenBF16(*this, narrowToBits(value, row, width), width);
}

Value RowBuilder::canonicalNan(Value value) {
  Value isNan = create<arith::CmpFOp>(arith::CmpFPredicate::UNO, value, value);
  Value nan = create<arith::BitcastOp>(getF32Type(), i32(0x7FFFFFFF));
  return select(isNan, nan, value);
}

/// The upper halves of \p values, i32, of which the first half belongs to even
/// lanes of the result and the second to odd ones.
static Value joinPairs(RowBuilder &b, Value values, int64_t width) {
  Type i32 = b.getI32Type();
  int64_t half = width / 2;
  auto part = [&](int64_t from) -> Value {
    return b.create<vector::ExtractStridedSliceOp>(values, from, half, 1);
  };
  Value even = b.create<arith::ShRUIOp>(part(0), b.splatInt(16, i32, half));
  Value odd = b.both(part(half), b.splatInt(upperHalf, i32, half));
  return b.create<vector::BitCastOp>(b.lanes(b.getI16Type(), width),
                                     b.create<arith::OrIOp>(even, odd));
}

Value RowBuilder::narrowToBits(Value value, const RowType &row, int64_t width,
                               LaneOrder order) {
  Type i32 = getI32Type(), i16 = getI16Type();
  Value isNan = create<arith::CmpFOp>(arith::CmpFPredicate::UNO, value, value);
  if (row.element.isF32()) {
    Value bits = create<arith::BitcastOp>(lanes(i32, width), value);
    return select(isNan, splatInt(0x7FFFFFFF, i32, width), bits);
  }
  if (row.element.isF16()) {
    Value rounded = create<arith::TruncFOp>(lanes(row.element, width), value);
    Value bits = create<arith::BitcastOp>(lanes(i16, width), rounded);
    return select(isNan, splatInt(0x7FFF, i16, width), bits);
  }
  // Add just under half of the last place, and its parity to break ties. Not
  // the hardware's conversion, which flushes denormals.
  Value sixteen = splatInt(16, i32, width);
  Value wide = create<arith::BitcastOp>(lanes(i32, width), value);
  Value parity =
      both(create<arith::ShRUIOp>(wide, sixteen), splatInt(1, i32, width));
  Value bias = add(parity, splatInt(0x7FFF, i32, width));
  Value rounded = add(wide, bias);
  if (order == LaneOrder::EvenOdd) {
    rounded = select(isNan, splatInt(0x7FFFFFFF, i32, width), rounded);
    return joinPairs(*this, rounded, width);
  }
  Value bits = create<arith::TruncIOp>(
      lanes(i16, width), create<arith::ShRUIOp>(rounded, sixteen));
  return select(isNan, splatInt(0x7FFF, i16, width), bits);
}

void RowBuilder::storeBits(Value bits, Value pointer, const RowType &row,
                           int64_t width, bool isStreaming) {
  unsigned alignment = std::min(row.alignment, width * row.elementBytes());
  create<LLVM::StoreOp>(bits, pointer, alignment, /*isVolatile=*/false,
                        isStreaming);
}

void RowBuilder::chooseStores(Value streaming, const RowType &rows,
                              function_ref<void(bool)> body) {
  if (!streaming || rows.alignment != lineBytes)
    return body(false);
  auto buildBranch = [&](bool isStreaming) {
    return [&body, isStreaming](OpBuilder &b, Location loc) {
      body(isStreaming);
      b.create<scf::YieldOp>(loc);
    };
  };
  create<scf::IfOp>(streaming, buildBranch(true), buildBranch(false));
}

void RowBuilder::prefetch(Value pointer, int64_t bytes, Cache cache) {
  for (int64_t at = 0; at < bytes; at += lineBytes)
    create<LLVM::Prefetch>(advance(pointer, at), /*rw=*/0u,
                           /*hint=*/cache == Cache::First ? 3u : 2u,
                           /*cache=*/1u);
}
