//===- PlanStats.h - What a descriptor counts as ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What fusco_plan_stats counts of a token's descriptors, for any target.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_PLANSTATS_H
#define FUSCO_CODEGEN_PLANSTATS_H

#include "codegen/ScalarBuilder.h"
#include "dialect/PipeDialect.h"

namespace fusco {

/// Where a descriptor goes, and whether none of its token that is before it, in
/// the order of ranks, has its rank, or its node (i1).
struct Destination {
  mlir::Value rank, node, isNewRank, isNewNode;
};

/// Whether (i1) a descriptor counts in each of fusco_plan_stats from
/// rowsUniqueRank to rowsScaleOut. \p ownNode is that of `op`'s rank.
llvm::SmallVector<mlir::Value> buildStatsOf(ScalarBuilder &b, pipe::AssignOp op,
                                            const Destination &to,
                                            mlir::Value ownNode);

} // namespace fusco

#endif // FUSCO_CODEGEN_PLANSTATS_H
