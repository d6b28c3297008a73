//===- SumTree.h - The order of a sum of rows -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The tree in which pipe.reduce_row adds rows, as code over vectors. Every
/// target's sums come from here: the order decides their bits.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_SUMTREE_H
#define FUSCO_CODEGEN_SUMTREE_H

#include "codegen/RowBuilder.h"

namespace fusco {

/// The levels that can differ: with one rank there is only the sum within it,
/// with one node no sum of nodes. A level is `pieces` vectors of `width`
/// columns; the sums of all levels are held one behind the other, the rank's
/// first.
class SumTree {
public:
  /// Where a descriptor ends a branch.
  enum End { endsNothing = 0, endsRank = 1, endsNode = 2 };

  explicit SumTree(pipe::ReduceRowOp op);

  bool hasRanks() const { return numRanks > 1; }
  bool hasNodes() const { return numRanks > ranksPerNode; }
  unsigned levels() const { return 1 + hasRanks() + hasNodes(); }

  /// Where the last level starts, a scalar. A sum of \p count = 0 descriptors
  /// stays there, and shall be +0.
  static mlir::Value buildNeutral(RowBuilder &b, mlir::Value count);
  /// The sums of all levels before the first descriptor.
  llvm::SmallVector<mlir::Value> buildStart(RowBuilder &b, mlir::Value neutral,
                                            int64_t pieces,
                                            int64_t width) const;
  /// The End of descriptor \p i of \p count, i8.
  mlir::Value buildEnd(RowBuilder &b, mlir::Value i, mlir::Value count) const;
  /// All levels' \p sums after a descriptor with \p end has been added to the
  /// rank's.
  llvm::SmallVector<mlir::Value> closeBranches(RowBuilder &b, mlir::Value end,
                                               llvm::ArrayRef<mlir::Value> sums,
                                               int64_t pieces,
                                               int64_t width) const;
  /// The last level's \p sums when all branches are closed: of one node or
  /// rank, they are partial sums themselves.
  llvm::SmallVector<mlir::Value>
  finish(RowBuilder &b, llvm::ArrayRef<mlir::Value> sums, int64_t width) const;

private:
  /// \p sum as it is added to the next level.
  mlir::Value close(RowBuilder &b, mlir::Value sum, int64_t width) const;

  mutable pipe::ReduceRowOp op;
  int64_t numRanks, ranksPerNode;
  bool isRounded; ///< partial sums are bf16
};

} // namespace fusco

#endif // FUSCO_CODEGEN_SUMTREE_H
