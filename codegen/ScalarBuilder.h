//===- ScalarBuilder.h - Short forms for scalar code ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the patterns of pipe-ops-to-cpu and pipe-ops-to-cuda build most:
/// constants, casts, loads and loops.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_SCALARBUILDER_H
#define FUSCO_CODEGEN_SCALARBUILDER_H

#include "dialect/Layout.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace fusco {

/// Short forms for scalar code. Values are index unless named otherwise.
struct ScalarBuilder : mlir::ImplicitLocOpBuilder {
  using mlir::ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  mlir::Value index(int64_t value) {
    return create<mlir::arith::ConstantIndexOp>(value);
  }
  mlir::Value i32(int64_t value) {
    return create<mlir::arith::ConstantIntOp>(value, 32);
  }
  mlir::Value i64(int64_t value) {
    return create<mlir::arith::ConstantIntOp>(value, 64);
  }
  mlir::Value f32(float value) {
    return create<mlir::arith::ConstantOp>(getF32FloatAttr(value));
  }
  mlir::Value toIndex(mlir::Value value) {
    return create<mlir::arith::IndexCastOp>(getIndexType(), value);
  }
  /// From index or a narrower integer, sign-extended.
  mlir::Value toI64(mlir::Value value) {
    if (value.getType().isIndex())
      return create<mlir::arith::IndexCastOp>(getI64Type(), value);
    return create<mlir::arith::ExtSIOp>(getI64Type(), value);
  }
  mlir::Value toI32(mlir::Value value) {
    return create<mlir::arith::IndexCastOp>(getI32Type(), value);
  }
  mlir::Value add(mlir::Value a, mlir::Value b) {
    return create<mlir::arith::AddIOp>(a, b);
  }
  mlir::Value sub(mlir::Value a, mlir::Value b) {
    return create<mlir::arith::SubIOp>(a, b);
  }
  mlir::Value mul(mlir::Value a, mlir::Value b) {
    return create<mlir::arith::MulIOp>(a, b);
  }
  mlir::Value div(mlir::Value a, mlir::Value b) {
    return create<mlir::arith::DivUIOp>(a, b);
  }
  mlir::Value rem(mlir::Value a, mlir::Value b) {
    return create<mlir::arith::RemUIOp>(a, b);
  }
  mlir::Value both(mlir::Value a, mlir::Value b) {
    return create<mlir::arith::AndIOp>(a, b);
  }
  mlir::Value compare(mlir::arith::CmpIPredicate predicate, mlir::Value a,
                      mlir::Value b) {
    return create<mlir::arith::CmpIOp>(predicate, a, b);
  }
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b) {
    return create<mlir::arith::SelectOp>(condition, a, b);
  }
  mlir::Value load(mlir::Value memref, mlir::ValueRange at) {
    return create<mlir::memref::LoadOp>(memref, at);
  }
  void store(mlir::Value value, mlir::Value memref, mlir::ValueRange at) {
    create<mlir::memref::StoreOp>(value, memref, at);
  }
  mlir::Value extent(mlir::Value memref, int64_t dimension) {
    return create<mlir::memref::DimOp>(memref, dimension);
  }
  /// \p value, not negative, rounded up to a multiple of \p align.
  mlir::Value alignUp(mlir::Value value, int64_t align) {
    if (align == 1)
      return value;
    mlir::Value multiple = index(align);
    return mul(div(add(value, index(align - 1)), multiple), multiple);
  }
  /// 1 where \p condition, else 0, as i64.
  mlir::Value count(mlir::Value condition) {
    return create<mlir::arith::ExtUIOp>(getI64Type(), condition);
  }

  /// BlockPlacement::rankOfExpert, as code.
  mlir::Value rankOfExpert(const BlockPlacement &placement,
                           mlir::Value expert) {
    int64_t larger = placement.largerRanks(), size = placement.expertsPerRank();
    if (larger == 0)
      return div(expert, index(size));
    mlir::Value inLarger = div(expert, index(size + 1));
    if (size == 0)
      return inLarger;
    mlir::Value boundary = index(larger * (size + 1));
    mlir::Value inRest =
        add(div(sub(expert, boundary), index(size)), index(larger));
    return select(compare(mlir::arith::CmpIPredicate::ult, expert, boundary),
                  inLarger, inRest);
  }

  /// for (i = from; i < to; ++i) carried = body(i, carried); returns carried.
  mlir::ValueRange
  forRange(mlir::Value from, mlir::Value to, mlir::ValueRange carried,
           llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value,
                                                             mlir::ValueRange)>
               body) {
    auto loop =
        create<mlir::scf::ForOp>(from, to, index(1), carried,
                                 [&](mlir::OpBuilder &, mlir::Location,
                                     mlir::Value i, mlir::ValueRange values) {
                                   llvm::SmallVector<mlir::Value> next =
                                       body(i, values);
                                   create<mlir::scf::YieldOp>(next);
                                 });
    return loop.getResults();
  }
  void forRange(mlir::Value from, mlir::Value to,
                llvm::function_ref<void(mlir::Value)> body) {
    forRange(
        from, to, {},
        [&](mlir::Value i, mlir::ValueRange) -> llvm::SmallVector<mlir::Value> {
          body(i);
          return {};
        });
  }
};

} // namespace fusco

#endif // FUSCO_CODEGEN_SCALARBUILDER_H
