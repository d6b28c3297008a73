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

Value RowBuilder::loadElements(Value pointer, const RowType &row,
                               int64_t width) {
  unsigned alignment = std::min(row.alignment, width * row.elementBytes());
  Type type = row.element.isBF16() ? Type(getI16Type()) : row.element;
  return create<LLVM::LoadOp>(lanes(type, width), pointer, alignment);
}

Value RowBuilder::widen(Value elements, int64_t width) {
  Type type = getElementTypeOrSelf(elements), wide = lanes(getF32Type(), width);
  if (type.isF32())
    return elements;
  if (type.isF16())
    return create<arith::ExtFOp>(wide, elements);
  Type i32 = getI32Type();
  Value bits =
      create<arith::ShLIOp>(create<arith::ExtUIOp>(lanes(i32, width), elements),
                            splatInt(16, i32, width));
  return create<arith::BitcastOp>(wide, bits);
}

Value RowBuilder::canonicalNan(Value value) {
  Value isNan = create<arith::CmpFOp>(arith::CmpFPredicate::UNO, value, value);
  Value nan = create<arith::BitcastOp>(getF32Type(), i32(0x7FFFFFFF));
  return select(isNan, nan, value);
}

Value RowBuilder::narrowToBits(Value value, const RowType &row, int64_t width) {
  Type i32 = getI32Type(), i16 = getI16Type();
  Value isNan = create<arith::CmpFOp>(arith::CmpFPredicate::UNO, value, value);
  Value bits;
  if (row.element.isF32()) {
    bits = create<arith::BitcastOp>(lanes(i32, width), value);
    return select(isNan, splatInt(0x7FFFFFFF, i32, width), bits);
  }
  if (row.element.isBF16()) {
    // Add just under half of the last place, and its parity to break ties. Not
    // the hardware's conversion, which flushes denormals.
    Value sixteen = splatInt(16, i32, width);
    Value wide = create<arith::BitcastOp>(lanes(i32, width), value);
    Value parity =
        both(create<arith::ShRUIOp>(wide, sixteen), splatInt(1, i32, width));
    Value bias = add(parity, splatInt(0x7FFF, i32, width));
    Value rounded = create<arith::ShRUIOp>(add(wide, bias), sixteen);
    bits = create<arith::TruncIOp>(lanes(i16, width), rounded);
  } else {
    Value rounded = create<arith::TruncFOp>(lanes(row.element, width), value);
    bits = create<arith::BitcastOp>(lanes(i16, width), rounded);
  }
  return select(isNan, splatInt(0x7FFF, i16, width), bits);
}

void RowBuilder::storeBits(Value bits, Value pointer, const RowType &row,
                           int64_t width, bool isStreaming) {
  unsigned alignment = std::min(row.alignment, width * row.elementBytes());
  create<LLVM::StoreOp>(bits, pointer, alignment, /*isVolatile=*/false,
                        isStreaming);
}
