//===- RowScales.h - The scales of float8 rows that are read ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the patterns of reduce_row share where rows are scaled: which scale a
/// column has, and its value. dialect/FuscoOps.td, at fusco.dequantize, says
/// what is computed.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_ROWSCALES_H
#define FUSCO_CODEGEN_ROWSCALES_H

#include "codegen/RowBuilder.h"

namespace fusco {

/// The scales of the rows that one reduce_row reads.
class RowScales {
public:
  /// Nothing where rows are not scaled.
  static std::optional<RowScales> of(pipe::ReduceRowOp op);

  /// The address of the row of scales of slot \p slot of rank \p rank (index),
  /// i64.
  mlir::Value rowAddress(RowBuilder &b, mlir::Value rank, mlir::Value slot);
  /// Whether \p columns columns, from a multiple of that on, share a scale.
  bool areShared(int64_t columns) const {
    return block == hidden || block % columns == 0;
  }
  /// The most columns, a power of two up to \p most, of which that holds.
  int64_t sharedColumns(int64_t most) const;
  /// Where the scale of column \p column (index) is in its row, bytes as i64.
  mlir::Value offsetOf(RowBuilder &b, mlir::Value column) const;
  /// The scale at \p pointer, as it is stored; and its value, f32.
  mlir::Value load(RowBuilder &b, mlir::Value pointer) const;
  mlir::Value widen(RowBuilder &b, mlir::Value stored) const;
  /// What load gives.
  mlir::Type storedType(RowBuilder &b) const;

private:
  explicit RowScales(pipe::ReduceRowOp op);

  mlir::Value addresses;
  RowType type;
  int64_t block, hidden;
  bool isPacked;
};

} // namespace fusco

#endif // FUSCO_CODEGEN_ROWSCALES_H
