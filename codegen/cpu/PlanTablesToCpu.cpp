//===- PlanTablesToCpu.cpp - Planning operations to scalar loops ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe.histogram, pipe.place and pipe.assign on a CPU: one thread, loops over
/// tables that stay in its caches.
///
//===----------------------------------------------------------------------===//

#include "codegen/PlanStats.h"
#include "codegen/ScalarBuilder.h"
#include "codegen/Segments.h"
#include "codegen/cpu/CpuPatterns.h"
#include "dialect/PipeDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

namespace {

//===----------------------------------------------------------------------===//
// pipe.histogram
//===----------------------------------------------------------------------===//

struct LowerHistogram : OpRewritePattern<HistogramOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(HistogramOp op,
                                PatternRewriter &rewriter) const override {
    ScalarBuilder b(op.getLoc(), rewriter);
    Value ids = op.getIds(), histogram = op.getHistogram();
    int64_t numExperts = op.getHistogram().getType().getDimSize(0) - 1;
    int64_t topk = op.getIds().getType().getDimSize(1);
    Value experts = b.index(numExperts), none = b.i64(-1);

    b.forRange(b.index(0), b.index(numExperts + 1),
               [&](Value e) { b.store(b.i32(0), histogram, {e}); });
    // No branch on the id: what is no expert counts in the last entry.
    ValueRange bad = b.forRange(
        b.index(0), b.extent(ids, 0), none,
        [&](Value t, ValueRange outer) -> SmallVector<Value> {
          return b.forRange(
              b.index(0), b.index(topk), outer,
              [&](Value k, ValueRange carried) -> SmallVector<Value> {
                Value id = b.toIndex(b.load(ids, {t, k}));
                // Unsigned: a negative id is larger than any expert.
                Value isExpert = b.compare(Cmp::ult, id, experts);
                Value bin = b.select(isExpert, id, experts);
                Value old = b.load(histogram, {bin});
                b.store(b.add(old, b.i32(1)), histogram, {bin});
                Value isUnrouted = b.compare(Cmp::eq, id, b.index(-1));
                Value isLegal = b.create<arith::OrIOp>(isExpert, isUnrouted);
                Value isKnown = b.compare(Cmp::sge, carried[0], b.i64(0));
                Value flat = b.toI64(b.add(b.mul(t, b.index(topk)), k));
                return {b.select(b.create<arith::OrIOp>(isLegal, isKnown),
                                 carried[0], flat)};
              });
        });
    rewriter.replaceOp(op, bad);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// pipe.place
//===----------------------------------------------------------------------===//

struct LowerPlace : OpRewritePattern<PlaceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(PlaceOp op,
                                PatternRewriter &rewriter) const override {
    ScalarBuilder b(op.getLoc(), rewriter);
    MemRefType type = op.getCounts().getType();
    BlockPlacement placement{type.getDimSize(1), type.getDimSize(0)};
    Value zero = b.index(0), experts = b.index(placement.experts);
    Value ranks = b.index(placement.ranks);

    // Row by row, so that it vectorises: totals over all ranks, and in bases
    // for now the rows of lower ranks.
    b.forRange(zero, experts, [&](Value e) {
      b.store(b.i32(0), op.getTotals(), {e});
      b.store(b.i32(0), op.getBases(), {e});
    });
    auto addRow = [&](Value source, Value table) {
      b.forRange(zero, experts, [&](Value e) {
        b.store(b.add(b.load(table, {e}), b.load(op.getCounts(), {source, e})),
                table, {e});
      });
    };
    b.forRange(zero, op.getRank(),
               [&](Value source) { addRow(source, op.getBases()); });
    b.forRange(zero, ranks,
               [&](Value source) { addRow(source, op.getTotals()); });

    // Expert by expert: segments follow each other on their rank.
    b.forRange(
        zero, ranks, zero,
        [&](Value rank, ValueRange firstExpert) -> SmallVector<Value> {
          Value isLarger =
              b.compare(Cmp::slt, rank, b.index(placement.largerRanks()));
          Value end =
              b.add(firstExpert[0],
                    b.select(isLarger, b.index(placement.expertsPerRank() + 1),
                             b.index(placement.expertsPerRank())));
          // With slots, what is carried is the rows of the fullest expert.
          ValueRange last = b.forRange(
              firstExpert[0], end, b.index(op.getCapacity().value_or(0)),
              [&](Value e, ValueRange rows) -> SmallVector<Value> {
                Value start = buildStartOf(b, op, e, firstExpert[0], rows[0]);
                Value start32 = b.toI32(start);
                b.store(start32, op.getStarts(), {e});
                b.store(b.add(start32, b.load(op.getBases(), {e})),
                        op.getBases(), {e});
                Value total = b.toIndex(b.load(op.getTotals(), {e}));
                return {buildNextOf(b, op, start, total, rows[0])};
              });
          b.store(b.toI32(buildRowsOf(b, op, last[0])), op.getRows(), {rank});
          return {end};
        });
    rewriter.eraseOp(op);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// pipe.assign
//===----------------------------------------------------------------------===//

struct LowerAssign : OpRewritePattern<AssignOp> {
  using OpRewritePattern::OpRewritePattern;

  /// Puts a descriptor into the first n of token t's, behind those of the same
  /// and of lower ranks: insertion sort, since topk is small.
  static void insert(ScalarBuilder &b, AssignOp op, Value t, Value k, Value n,
                     Value rank, Value slot, Value weight) {
    SmallVector<std::pair<Value, Value>> entries{{op.getRanks(), rank},
                                                 {op.getSlots(), slot},
                                                 {op.getWeights(), weight}};
    if (op.getOrder())
      entries.push_back({op.getOrder(), b.toI32(k)});
    Value one = b.index(1), zero = b.index(0);
    auto place = b.create<scf::WhileOp>(
        TypeRange(b.getIndexType()), ValueRange(n),
        [&](OpBuilder &, Location, ValueRange at) {
          Value hasBefore = b.compare(Cmp::sgt, at[0], zero);
          Value before = b.select(hasBefore, b.sub(at[0], one), zero);
          Value isHigher =
              b.compare(Cmp::sgt, b.load(op.getRanks(), {t, before}), rank);
          b.create<scf::ConditionOp>(b.both(hasBefore, isHigher), at[0]);
        },
        [&](OpBuilder &, Location, ValueRange at) {
          Value before = b.sub(at[0], one);
          for (auto [table, value] : entries)
            b.store(b.load(table, {t, before}), table, {t, at[0]});
          b.create<scf::YieldOp>(before);
        });
    Value at = place.getResult(0);
    for (auto [table, value] : entries)
      b.store(value, table, {t, at});
  }

  LogicalResult matchAndRewrite(AssignOp op,
                                PatternRewriter &rewriter) const override {
    ScalarBuilder b(op.getLoc(), rewriter);
    int64_t topk = op.getIds().getType().getDimSize(1);
    BlockPlacement placement{op.getBases().getType().getDimSize(0),
                             static_cast<int64_t>(op.getNumRanks())};
    Value zero = b.index(0), none = b.i64(0), minusOne = b.index(-1);
    Value perNode = b.index(op.getRanksPerNode());
    Value ownNode = b.div(op.getRank(), perNode);
    Value numTokens = b.extent(op.getIds(), 0);

    auto assignToken = [&](Value t) -> Value {
      ValueRange n = b.forRange(
          zero, b.index(topk), zero,
          [&](Value k, ValueRange n) -> SmallVector<Value> {
            Value id = b.toIndex(b.load(op.getIds(), {t, k}));
            auto next = b.create<scf::IfOp>(
                b.compare(Cmp::sge, id, zero),
                [&](OpBuilder &, Location) {
                  Value slot = b.load(op.getBases(), {id});
                  b.store(b.add(slot, b.i32(1)), op.getBases(), {id});
                  Value weight = op.getRouterWeights()
                                     ? b.load(op.getRouterWeights(), {t, k})
                                     : b.f32(1);
                  insert(b, op, t, k, n[0],
                         b.toI32(b.rankOfExpert(placement, id)), slot, weight);
                  b.create<scf::YieldOp>(b.add(n[0], b.index(1)));
                },
                [&](OpBuilder &, Location) { b.create<scf::YieldOp>(n[0]); });
            return {next.getResult(0)};
          });
      b.store(b.toI32(n[0]), op.getFanout(), {t});
      return n[0];
    };

    // rowsUniqueRank, rowsUniqueNode, rowsScaleUp, rowsScaleOut: descriptors
    // are sorted by rank, so that a new rank or node is a change.
    auto countToken = [&](Value t, Value n,
                          ValueRange sums) -> SmallVector<Value> {
      SmallVector<Value> carried(sums);
      carried.append({minusOne, minusOne}); // last rank, last node
      ValueRange counted = b.forRange(
          zero, n, carried, [&](Value i, ValueRange c) -> SmallVector<Value> {
            Value rank = b.toIndex(b.load(op.getRanks(), {t, i}));
            Value node = b.div(rank, perNode);
            Value isNewRank = b.compare(Cmp::ne, rank, c[4]);
            Value isNewNode = b.compare(Cmp::ne, node, c[5]);
            SmallVector<Value> next;
            for (auto [sum, isCounted] : llvm::zip(
                     c, buildStatsOf(b, op, {rank, node, isNewRank, isNewNode},
                                     ownNode)))
              next.push_back(b.add(sum, b.count(isCounted)));
            next.append({rank, node});
            return next;
          });
      return llvm::to_vector(counted.take_front(4));
    };

    ValueRange sums =
        b.forRange(zero, numTokens, {none, none, none, none, none},
                   [&](Value t, ValueRange carried) -> SmallVector<Value> {
                     Value n = assignToken(t);
                     SmallVector<Value> next{b.add(carried[0], b.toI64(n))};
                     next.append(countToken(t, n, carried.drop_front()));
                     return next;
                   });
    // In the order of fusco_plan_stats.
    b.store(b.toI64(numTokens), op.getStats(), {zero});
    for (auto [i, sum] : llvm::enumerate(sums))
      b.store(sum, op.getStats(), {b.index(i + 1)});
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

void fusco::populatePlanTablesToCpuPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerHistogram, LowerPlace, LowerAssign>(patterns.getContext());
}
