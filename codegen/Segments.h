//===- Segments.h - Where an expert's rows start ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the patterns of pipe.place share: a walk over a rank's experts in order
/// that carries one number, from `capacity` (or 0) on. In expert_major it is
/// the end of the last expert's rows; in expert slots the rows of the fullest
/// expert, or the capacity if that is more.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_SEGMENTS_H
#define FUSCO_CODEGEN_SEGMENTS_H

#include "codegen/ScalarBuilder.h"
#include "dialect/PipeDialect.h"

namespace fusco {

/// The first row of \p expert, on a rank whose first one is \p firstExpert.
inline mlir::Value buildStartOf(ScalarBuilder &b, pipe::PlaceOp op,
                                mlir::Value expert, mlir::Value firstExpert,
                                mlir::Value carried) {
  if (op.getCapacity())
    return b.mul(b.sub(expert, firstExpert), b.index(*op.getCapacity()));
  return b.alignUp(carried, op.getAlign());
}

/// What to carry on past an expert with \p total rows.
inline mlir::Value buildNextOf(ScalarBuilder &b, pipe::PlaceOp op,
                               mlir::Value start, mlir::Value total,
                               mlir::Value carried) {
  if (op.getCapacity())
    return b.create<mlir::arith::MaxSIOp>(carried, total);
  return b.add(start, total);
}

/// The rows of a rank, of whose last expert \p carried is left.
inline mlir::Value buildRowsOf(ScalarBuilder &b, pipe::PlaceOp op,
                               mlir::Value carried) {
  mlir::MemRefType type = op.getCounts().getType();
  BlockPlacement placement{type.getDimSize(1), type.getDimSize(0)};
  if (op.getCapacity())
    return b.mul(carried, b.index(placement.maxLocalExperts()));
  return b.alignUp(carried, op.getAlign());
}

} // namespace fusco

#endif // FUSCO_CODEGEN_SEGMENTS_H
