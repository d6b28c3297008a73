//===- SplitReplicas.cpp - Experts that are several physical ones ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The steps of planning where experts are placed by a table: what fusco.plan
/// says of it, as code. See ProgramBuilder.h.
///
/// The replicas of expert e are entries replica_starts[e] to replica_starts[e +
/// 1] of `replicas`, in ascending order.
///
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/ProgramBuilder.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

/// What of \p hash a table has for each of its entries. The constants are those
/// of SplitMix64 (Steele, Lea, Flood, Fast splittable pseudorandom number
/// generators, 2014).
static Value buildMix(ProgramBuilder &p, Value entry, Value expert) {
  ImplicitLocOpBuilder &b = p.b;
  auto times = [&](Value value, uint64_t factor) -> Value {
    return b.create<arith::MulIOp>(value, p.i64(static_cast<int64_t>(factor)));
  };
  auto fold = [&](Value value, int64_t bits) -> Value {
    Value high = b.create<arith::ShRUIOp>(value, p.i64(bits));
    return b.create<arith::XOrIOp>(value, high);
  };
  Value both = b.create<arith::OrIOp>(
      b.create<arith::ShLIOp>(p.toI64(entry), p.i64(32)), p.toI64(expert));
  Value mixed = times(both, 0x9E3779B97F4A7C15);
  mixed = times(fold(mixed, 30), 0xBF58476D1CE4E5B9);
  return fold(times(fold(mixed, 27), 0x94D049BB133111EB), 31);
}

PlacementCheck fusco::buildPlacementCheck(ProgramBuilder &p, Value placement) {
  ImplicitLocOpBuilder &b = p.b;
  Value zero = p.index(0), one = p.index(1);
  Value physical = p.index(p.shape.experts);
  Value experts = p.index(p.shape.routedExperts);
  auto expertOf = [&](Value entry) {
    return p.toIndex(p.load(placement, {entry}));
  };
  auto count = [&](Value condition) -> Value {
    return b.create<arith::ExtUIOp>(b.getI32Type(), condition);
  };
  // All entries of lower experts come first. Each thread looks at all of the
  // table, which is short.
  Value starts = p.local(shared::replicaStarts);
  p.forEach(zero, p.add(experts, one), [&](Value expert) {
    p.store(p.sum(zero, physical,
                  [&](Value entry) {
                    return count(p.compare(Cmp::ult, expertOf(entry), expert));
                  }),
            starts, {expert});
  });
  Value list = p.local(shared::replicas);
  p.forEach(zero, physical, [&](Value entry) {
    Value expert = expertOf(entry);
    p.ifThen(p.compare(Cmp::ult, expert, experts), [&] {
      Value before = p.sum(zero, entry, [&](Value other) {
        return count(p.compare(Cmp::eq, expertOf(other), expert));
      });
      Value at = p.toIndex(p.add(p.load(starts, {expert}), before));
      p.store(p.toI32(entry), list, {at});
    });
  });

  // The last entry and the last expert that are wrong, and the hash.
  Value none = p.index(-1);
  auto entries = b.create<scf::ForOp>(
      zero, physical, one, ValueRange{none, p.i64(0)},
      [&](OpBuilder &, Location, Value entry, ValueRange carried) {
        Value expert = expertOf(entry);
        Value isExpert = p.compare(Cmp::ult, expert, experts);
        Value bad = b.create<arith::SelectOp>(isExpert, carried[0], entry);
        Value hash = p.add(carried[1], buildMix(p, entry, expert));
        b.create<scf::YieldOp>(ValueRange{bad, hash});
      });
  auto missing = b.create<scf::ForOp>(
      zero, experts, one, ValueRange(none),
      [&](OpBuilder &, Location, Value expert, ValueRange carried) {
        Value isMissing = p.compare(Cmp::eq, p.load(starts, {expert}),
                                    p.load(starts, {p.add(expert, one)}));
        Value last = b.create<arith::SelectOp>(isMissing, expert, carried[0]);
        b.create<scf::YieldOp>(ValueRange(last));
      });
  Value badEntry = entries.getResult(0), badExpert = missing.getResult(0);
  Value isBad = p.compare(Cmp::sge, badEntry, zero);
  Value isMissing = p.compare(Cmp::sge, badExpert, zero);
  auto either = [&](Value ofEntry, Value ofExpert, Value otherwise) -> Value {
    Value rest = b.create<arith::SelectOp>(isMissing, ofExpert, otherwise);
    return b.create<arith::SelectOp>(isBad, ofEntry, rest);
  };
  Value known = b.create<arith::SelectOp>(isBad, badEntry, zero);
  return {either(p.i64(1), p.i64(2), p.i64(0)),
          p.toI64(either(badEntry, badExpert, zero)), p.toI64(expertOf(known)),
          entries.getResult(1)};
}

//===----------------------------------------------------------------------===//
// Quotas
//===----------------------------------------------------------------------===//

namespace {
/// Builds what one thread does alone.
class QuotaBuilder {
public:
  QuotaBuilder(ProgramBuilder &p, Value counts)
      : p(p), counts(counts), quotas(p.local(shared::quotas)),
        loads(p.local(shared::loads)), totals(p.local(shared::numbers)),
        starts(p.local(shared::replicaStarts)),
        replicas(p.local(shared::replicas)) {}

  void build();

private:
  using Body = function_ref<void(Value expert, Value begin, Value end)>;
  /// Over the experts with one replica, or over those with several that have
  /// assignments.
  void forExperts(bool hasSeveral, Body body);
  void fill(Value expert, Value begin, Value end, Value changed);
  Value replica(Value at) { return p.toIndex(p.load(replicas, {at})); }
  Value rankOf(Value physical) {
    return p.rankOfExpert(p.shape.placement(), physical);
  }
  void addLoad(Value rank, Value rows) {
    p.store(p.add(p.load(loads, {rank}), rows), loads, {rank});
  }
  /// Whether it is the first of its expert's on its rank, and its rank's load
  /// is below \p level (all are i32).
  Value isActive(Value begin, Value at, Value level);

  ProgramBuilder &p;
  Value counts, quotas, loads, totals, starts, replicas;
};
} // namespace

void QuotaBuilder::forExperts(bool hasSeveral, Body body) {
  p.forRange(p.index(0), p.index(p.shape.routedExperts), [&](Value expert) {
    Value begin = p.toIndex(p.load(starts, {expert}));
    Value end = p.toIndex(p.load(starts, {p.add(expert, 1)}));
    Value isOne = p.compare(Cmp::eq, p.add(begin, 1), end);
    if (!hasSeveral)
      return p.ifThen(isOne, [&] { body(expert, begin, end); });
    Value isUsed = p.compare(Cmp::sgt, p.load(totals, {expert}), p.i32(0));
    Value isSplit = p.b.create<arith::AndIOp>(
        isUsed, p.compare(Cmp::slt, p.add(begin, 1), end));
    p.ifThen(isSplit, [&] { body(expert, begin, end); });
  });
}

Value QuotaBuilder::isActive(Value begin, Value at, Value level) {
  // Ranks hold consecutive physical experts.
  Value rank = rankOf(replica(at));
  Value isFirst = p.compare(Cmp::eq, at, begin);
  Value before = p.b.create<arith::SelectOp>(isFirst, at, p.add(at, -1));
  Value isAlone = p.compare(Cmp::ne, rankOf(replica(before)), rank);
  Value isLow = p.compare(Cmp::slt, p.load(loads, {rank}), level);
  return p.b.create<arith::AndIOp>(p.b.create<arith::OrIOp>(isFirst, isAlone),
                                   isLow);
}

/// `changed` (memref of one i32) becomes 1 if a quota does.
void QuotaBuilder::fill(Value expert, Value begin, Value end, Value changed) {
  ImplicitLocOpBuilder &b = p.b;
  Value total = p.load(totals, {expert}), zero = p.i32(0), one = p.i32(1);
  p.forRange(begin, end, [&](Value at) {
    Value physical = replica(at);
    Value quota = p.load(quotas, {physical});
    addLoad(rankOf(physical), b.create<arith::SubIOp>(zero, quota));
  });
  // From a level that no load reaches, down until it stays.
  auto lowered = b.create<scf::WhileOp>(
      TypeRange{b.getI32Type(), b.getI32Type()},
      ValueRange{p.i32(std::numeric_limits<int32_t>::max()), one},
      [&](OpBuilder &, Location, ValueRange at) {
        b.create<scf::ConditionOp>(p.compare(Cmp::ne, at[1], zero), at);
      },
      [&](OpBuilder &, Location, ValueRange now) {
        auto sums = b.create<scf::ForOp>(
            begin, end, p.index(1), ValueRange{total, zero},
            [&](OpBuilder &, Location, Value at, ValueRange carried) {
              Value active = isActive(begin, at, now[0]);
              Value load = p.load(loads, {rankOf(replica(at))});
              auto addIf = [&](Value sum, Value value) -> Value {
                return b.create<arith::SelectOp>(active, p.add(sum, value),
                                                 sum);
              };
              b.create<scf::YieldOp>(
                  ValueRange{addIf(carried[0], load), addIf(carried[1], one)});
            });
        Value number = sums.getResult(1);
        Value rounded =
            p.add(sums.getResult(0), b.create<arith::SubIOp>(number, one));
        Value level = b.create<arith::DivUIOp>(rounded, number);
        Value isLower = b.create<arith::ExtUIOp>(
            b.getI32Type(), p.compare(Cmp::slt, level, now[0]));
        b.create<scf::YieldOp>(ValueRange{level, isLower});
      });
  Value level = lowered.getResult(0);
  b.create<scf::ForOp>(
      begin, end, p.index(1), ValueRange(total),
      [&](OpBuilder &, Location, Value at, ValueRange left) {
        Value physical = replica(at), rank = rankOf(physical);
        Value active = isActive(begin, at, level);
        Value lacks = b.create<arith::SubIOp>(level, p.load(loads, {rank}));
        Value quota =
            b.create<arith::SelectOp>(active, p.minimum(lacks, left[0]), zero);
        p.ifThen(p.compare(Cmp::ne, quota, p.load(quotas, {physical})),
                 [&] { p.store(one, changed, {p.index(0)}); });
        p.store(quota, quotas, {physical});
        addLoad(rank, quota);
        b.create<scf::YieldOp>(
            ValueRange(b.create<arith::SubIOp>(left[0], quota).getResult()));
      });
}

void QuotaBuilder::build() {
  constexpr int64_t mostSweeps = 16;
  ImplicitLocOpBuilder &b = p.b;
  Value zero = p.index(0);
  p.forRange(zero, p.index(p.shape.numRanks()),
             [&](Value rank) { p.store(p.i32(0), loads, {rank}); });
  p.forRange(zero, p.index(p.shape.experts),
             [&](Value physical) { p.store(p.i32(0), quotas, {physical}); });
  forExperts(/*hasSeveral=*/false, [&](Value expert, Value begin, Value) {
    Value physical = replica(begin), total = p.load(totals, {expert});
    p.store(total, quotas, {physical});
    addLoad(rankOf(physical), total);
  });
  Value changed = p.local(shared::quotasChanged);
  b.create<scf::WhileOp>(
      TypeRange(b.getIndexType()), ValueRange(zero),
      [&](OpBuilder &, Location, ValueRange sweep) {
        Value isFirst = p.compare(Cmp::eq, sweep[0], zero);
        Value isMore = p.compare(Cmp::ne, p.load(changed, {zero}), p.i32(0));
        Value isAllowed = p.compare(Cmp::slt, sweep[0], p.index(mostSweeps));
        b.create<scf::ConditionOp>(
            b.create<arith::AndIOp>(isAllowed,
                                    b.create<arith::OrIOp>(isFirst, isMore)),
            sweep);
      },
      [&](OpBuilder &, Location, ValueRange sweep) {
        p.store(p.i32(0), changed, {zero});
        forExperts(/*hasSeveral=*/true,
                   [&](Value expert, Value begin, Value end) {
                     fill(expert, begin, end, changed);
                   });
        b.create<scf::YieldOp>(ValueRange(p.add(sweep[0], 1)));
      });
}

void fusco::buildQuotas(ProgramBuilder &p, Value counts) {
  ImplicitLocOpBuilder &b = p.b;
  Value zero = p.index(0), ranks = p.index(p.shape.numRanks());
  Value totals = p.local(shared::numbers);
  p.forEach(zero, p.index(p.shape.routedExperts), [&](Value expert) {
    p.store(p.sum(zero, ranks,
                  [&](Value rank) {
                    return p.load(counts, {rank, expert});
                  }),
            totals, {expert});
  });
  p.forEach(zero, p.index(1), [&](Value) { QuotaBuilder(p, counts).build(); });

  // A replica takes a range of its expert's assignments, and a rank has a range
  // of these: what they have in common.
  Value placed = p.local(shared::placedCounts),
        quotas = p.local(shared::quotas);
  Value starts = p.local(shared::replicaStarts);
  Value replicas = p.local(shared::replicas);
  p.forEach(zero, p.index(p.shape.routedExperts), [&](Value expert) {
    Value begin = p.toIndex(p.load(starts, {expert}));
    Value end = p.toIndex(p.load(starts, {p.add(expert, 1)}));
    b.create<scf::ForOp>(
        begin, end, p.index(1), ValueRange(p.i32(0)),
        [&](OpBuilder &, Location, Value at, ValueRange from) {
          Value physical = p.toIndex(p.load(replicas, {at}));
          Value to = p.add(from[0], p.load(quotas, {physical}));
          b.create<scf::ForOp>(
              zero, ranks, p.index(1), ValueRange(p.i32(0)),
              [&](OpBuilder &, Location, Value rank, ValueRange first) {
                Value last = p.add(first[0], p.load(counts, {rank, expert}));
                Value common = b.create<arith::SubIOp>(
                    p.minimum(last, to),
                    b.create<arith::MaxSIOp>(first[0], from[0]));
                p.store(b.create<arith::MaxSIOp>(common, p.i32(0)), placed,
                        {rank, physical});
                b.create<scf::YieldOp>(ValueRange(last));
              });
          b.create<scf::YieldOp>(ValueRange(to));
        });
  });
}

//===----------------------------------------------------------------------===//
// Which replica
//===----------------------------------------------------------------------===//

Value fusco::buildPhysicalIds(ProgramBuilder &p, Value ids, Value counts) {
  ImplicitLocOpBuilder &b = p.b;
  Value quotas = p.local(shared::quotas);
  Value starts = p.local(shared::replicaStarts);
  Value replicas = p.local(shared::replicas);
  auto replicaAt = [&](Value at) { return p.toIndex(p.load(replicas, {at})); };
  auto quotaAt = [&](Value at) {
    return p.toIndex(p.load(quotas, {replicaAt(at)}));
  };
  return buildOtherIds(p, ids, counts, [&](Value expert, Value number) {
    // The number is below the sum of all quotas.
    auto found = b.create<scf::WhileOp>(
        TypeRange{b.getIndexType(), b.getIndexType()},
        ValueRange{p.toIndex(p.load(starts, {expert})), number},
        [&](OpBuilder &, Location, ValueRange rest) {
          b.create<scf::ConditionOp>(
              p.compare(Cmp::sge, rest[1], quotaAt(rest[0])), rest);
        },
        [&](OpBuilder &, Location, ValueRange rest) {
          Value left = b.create<arith::SubIOp>(rest[1], quotaAt(rest[0]));
          b.create<scf::YieldOp>(ValueRange{p.add(rest[0], 1), left});
        });
    return replicaAt(found.getResult(0));
  });
}
