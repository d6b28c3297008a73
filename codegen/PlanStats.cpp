//===- PlanStats.cpp - What a descriptor counts as ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See PlanStats.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/PlanStats.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

SmallVector<Value> fusco::buildStatsOf(ScalarBuilder &b, AssignOp op,
                                       const Destination &to, Value ownNode) {
  Value perNode = b.index(op.getRanksPerNode());
  Value isFar = b.compare(Cmp::ne, to.node, ownNode);
  // A row comes to a node at the rank of the same local index.
  Value isOther =
      b.compare(Cmp::ne, b.rem(to.rank, perNode), b.rem(op.getRank(), perNode));
  // Per assignment, every descriptor is a unit.
  auto startsUnit = [&](Value place, Unit unit) {
    return unit == Unit::Node   ? b.both(place, to.isNewNode)
           : unit == Unit::Rank ? b.both(place, to.isNewRank)
                                : place;
  };
  return {to.isNewRank, startsUnit(isFar, Unit::Node),
          startsUnit(isOther, op.getScaleUp()),
          startsUnit(isFar, op.getScaleOut())};
}
