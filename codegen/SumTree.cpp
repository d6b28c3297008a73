//===- SumTree.cpp - The order of a sum of rows ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See SumTree.h. -0 is the neutral element of an addition, +0 where a rank's
/// sum starts.
///
//===----------------------------------------------------------------------===//

#include "codegen/SumTree.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

SumTree::SumTree(ReduceRowOp op)
    : op(op), numRanks(op.getNumRanks()), ranksPerNode(op.getRanksPerNode()),
      isRounded(op.getPartials() && op.getPartials()->isBF16()) {}

Value SumTree::buildNeutral(RowBuilder &b, Value count) {
  return b.select(b.compare(Cmp::eq, count, b.index(0)), b.f32(0.0f),
                  b.f32(-0.0f));
}

SmallVector<Value> SumTree::buildStart(RowBuilder &b, Value neutral,
                                       int64_t pieces, int64_t width) const {
  SmallVector<Value> sums(pieces, b.splatF32(0.0f, width));
  if (hasNodes())
    sums.append(pieces, b.splatF32(-0.0f, width));
  if (hasRanks())
    sums.append(pieces, b.broadcastF32(neutral, width));
  return sums;
}

Value SumTree::buildEnd(RowBuilder &b, Value i, Value count) const {
  auto rankOf = [&](Value descriptor) {
    Value at = b.add(op.getBegin(), descriptor);
    return b.toIndex(b.load(op.getRanks(), {op.getToken(), at}));
  };
  Value isLast = b.compare(Cmp::eq, i, b.sub(count, b.index(1)));
  Value next = b.select(isLast, i, b.add(i, b.index(1)));
  Value rank = rankOf(i), nextRank = rankOf(next);
  auto ending = [&](Value a, Value c, End end) -> Value {
    Value isEnd = b.create<arith::OrIOp>(isLast, b.compare(Cmp::ne, a, c));
    return b.select(isEnd, b.create<arith::ConstantIntOp>(end, 8),
                    b.create<arith::ConstantIntOp>(endsNothing, 8));
  };
  Value perNode = b.index(ranksPerNode);
  return b.create<arith::OrIOp>(
      ending(rank, nextRank, endsRank),
      ending(b.div(rank, perNode), b.div(nextRank, perNode), endsNode));
}

SmallVector<Value> SumTree::closeBranches(RowBuilder &b, Value end,
                                          ArrayRef<Value> sums, int64_t pieces,
                                          int64_t width) const {
  if (!hasRanks())
    return llvm::to_vector(sums);
  auto isSet = [&](End bit) {
    Value set = b.both(end, b.create<arith::ConstantIntOp>(bit, 8));
    return b.compare(Cmp::ne, set, b.create<arith::ConstantIntOp>(0, 8));
  };
  // Adds level `from` to the next one and restarts it.
  auto fold = [&](ArrayRef<Value> values, unsigned from, float start) {
    SmallVector<Value> next(values);
    for (int64_t piece = 0; piece < pieces; ++piece) {
      Value &lower = next[from * pieces + piece];
      Value &upper = next[(from + 1) * pieces + piece];
      upper = b.create<arith::AddFOp>(upper, close(b, lower, width));
      lower = b.splatF32(start, width);
    }
    return next;
  };
  auto when = [&](Value condition, ArrayRef<Value> values,
                  function_ref<SmallVector<Value>(ArrayRef<Value>)> then) {
    auto branch = b.create<scf::IfOp>(
        condition,
        [&](OpBuilder &, Location) { b.create<scf::YieldOp>(then(values)); },
        [&](OpBuilder &, Location) { b.create<scf::YieldOp>(values); });
    return llvm::to_vector_of<Value>(branch.getResults());
  };
  return when(isSet(endsRank), sums, [&](ArrayRef<Value> values) {
    SmallVector<Value> folded = fold(values, 0, 0.0f);
    if (!hasNodes())
      return folded;
    return when(isSet(endsNode), folded,
                [&](ArrayRef<Value> inner) { return fold(inner, 1, -0.0f); });
  });
}

Value SumTree::close(RowBuilder &b, Value sum, int64_t width) const {
  return isRounded ? b.roundToBF16(sum, width) : sum;
}

SmallVector<Value> SumTree::finish(RowBuilder &b, ArrayRef<Value> sums,
                                   int64_t width) const {
  SmallVector<Value> finished(sums);
  if (!hasNodes())
    for (Value &sum : finished)
      sum = close(b, sum, width);
  return finished;
}
