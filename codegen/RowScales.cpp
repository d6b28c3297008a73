//===- RowScales.cpp - The scales of float8 rows that are read ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See RowScales.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/RowScales.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

RowScales::RowScales(ReduceRowOp op)
    : addresses(op.getScaleAddresses()),
      type(cast<MemRefType>(*op.getScaleType())), block(*op.getBlock()),
      hidden(op.getOut().getType().getDimSize(1)),
      isPacked(type.element.isInteger(32)) {}

std::optional<RowScales> RowScales::of(ReduceRowOp op) {
  if (!op.getScaleAddresses())
    return std::nullopt;
  return RowScales(op);
}

Value RowScales::rowAddress(RowBuilder &b, Value rank, Value slot) {
  return b.add(b.load(addresses, {rank}),
               b.mul(b.toI64(slot), b.i64(type.pitch)));
}

int64_t RowScales::sharedColumns(int64_t most) const {
  while (!areShared(most))
    most /= 2;
  return most;
}

Value RowScales::offsetOf(RowBuilder &b, Value column) const {
  Value number = b.toI64(b.div(column, b.index(block)));
  return isPacked ? number : b.mul(number, b.i64(4));
}

Type RowScales::storedType(RowBuilder &b) const {
  return isPacked ? Type(b.getI8Type()) : Type(b.getF32Type());
}

Value RowScales::load(RowBuilder &b, Value pointer) const {
  return b.create<LLVM::LoadOp>(storedType(b), pointer);
}

Value RowScales::widen(RowBuilder &b, Value stored) const {
  if (!isPacked)
    return stored;
  // The exponent of a float32; but the least is of a denormal, the largest a
  // NaN's.
  Value exponent = b.create<arith::ExtUIOp>(b.getI32Type(), stored);
  Value bits = b.create<arith::ShLIOp>(exponent, b.i32(23));
  bits =
      b.select(b.compare(Cmp::eq, exponent, b.i32(0)), b.i32(0x00400000), bits);
  bits = b.select(b.compare(Cmp::eq, exponent, b.i32(255)), b.i32(0x7FFFFFFF),
                  bits);
  return b.create<arith::BitcastOp>(b.getF32Type(), bits);
}
