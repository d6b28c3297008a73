//===- PlanSteps.cpp - From ids to exact slots ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The steps of planning that programs share; see ProgramBuilder.h.
///
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/ProgramBuilder.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

/// The id at flat index \p bad, as i64; 0 where there is none (\p bad < 0).
static Value loadBadId(ProgramBuilder &p, Value ids, Value bad, Value isBad) {
  auto branch = p.b.create<scf::IfOp>(
      isBad,
      [&](OpBuilder &, Location) {
        Value flat = p.toIndex(bad), topk = p.index(p.shape.topk);
        Value id = p.load(ids, {p.b.create<arith::DivUIOp>(flat, topk),
                                p.b.create<arith::RemUIOp>(flat, topk)});
        Value wide = id.getType().isInteger(64) ? id : p.toI64(id);
        p.b.create<scf::YieldOp>(wide);
      },
      [&](OpBuilder &, Location) { p.b.create<scf::YieldOp>(p.i64(0)); });
  return branch.getResult(0);
}

/// The ids of a plan in rank_major: of each token's experts, their ranks, each
/// once; -1 for others.
static Value buildRankIds(ProgramBuilder &p, Value ids) {
  Value rankIds = p.local(shared::rankIds);
  Value experts = p.index(p.shape.routedExperts), none = p.i32(-1);
  p.forEach(p.index(0), p.rowsOf(ids), [&](Value token) {
    p.forRange(p.index(0), p.index(p.shape.topk), [&](Value k) {
      Value expert = p.toIndex(p.load(ids, {token, k}));
      // Unsigned: a negative id is larger than any expert.
      Value isExpert = p.compare(Cmp::ult, expert, experts);
      Value known = p.b.create<arith::SelectOp>(isExpert, expert, p.index(0));
      Value rank = p.toI32(p.rankOfExpert(p.shape.routedPlacement(), known));
      Value numSame = p.sum(p.index(0), k, [&](Value before) -> Value {
        Value isSame =
            p.compare(Cmp::eq, p.load(rankIds, {token, before}), rank);
        return p.b.create<arith::ExtUIOp>(p.b.getI32Type(), isSame);
      });
      Value isNew = p.b.create<arith::AndIOp>(
          isExpert, p.compare(Cmp::eq, numSame, p.i32(0)));
      p.store(p.b.create<arith::SelectOp>(isNew, rank, none), rankIds,
              {token, k});
    });
  });
  return p.firstRows(rankIds, p.rowsOf(ids));
}

/// Leaves, all ranks together, if another rank's table of placement is not this
/// one's.
static void failIfTablesDiffer(ProgramBuilder &p, Value turn, Value hash) {
  p.forEachRank([&](Value rank) {
    Value theirs = p.placementHashOf(shared::dispatchHeaders, turn, rank);
    p.failIf(p.compare(Cmp::ne, theirs, hash), Status::InvalidRouting,
             p.toI64(rank), p.i64(0), p.i64(3));
  });
}

/// Where ids were planned anew, units are known only now, and are told in an
/// exchange of their own.
static Value exchangeUnits(ProgramBuilder &p, Value ids) {
  buildUnitCounts(p, ids);
  Header header;
  header.status = p.i64(0);
  header.rows = header.tokens = p.index(0);
  Value turn =
      p.exchangeHeaders(shared::unitHeaders, shared::unitsExchanged, header,
                        HeaderTable{p.local(shared::nodeUnits), p.shape.nodes});
  return p.viewTold(shared::unitHeaders, turn, headerWords, p.shape.nodes);
}

ExchangedCounts fusco::buildCountExchange(ProgramBuilder &p, Value ids,
                                          Value placement,
                                          const Exposure &exposed, Value room,
                                          const Shortage &shortage,
                                          bool tellsUnits) {
  ImplicitLocOpBuilder &b = p.b;
  Value self = p.rank(), zero = p.i64(0);
  const ShuffleShape &shape = p.shape;

  p.step("count");
  // A refused rank has no tokens, so that its counts are zero.
  Value histogram = p.local(shared::histogram);
  Value bad = b.create<HistogramOp>(
      ids, shape.isRankMajor ? p.local(shared::idHistogram) : histogram);
  Value planned = ids;
  if (shape.isRankMajor) {
    planned = buildRankIds(p, ids);
    b.create<HistogramOp>(planned, histogram);
  }
  Value isBad = p.compare(Cmp::sge, bad, zero), isWrong = isBad;
  PlacementCheck check;
  if (placement) {
    check = buildPlacementCheck(p, placement);
    isWrong =
        b.create<arith::OrIOp>(isBad, p.compare(Cmp::ne, check.problem, zero));
  }

  Header header;
  Value status = b.create<arith::SelectOp>(
      isWrong, p.i64(static_cast<int64_t>(Status::InvalidRouting)), zero);
  header.status = p.ownStatus(status, shortage);
  header.rows = room;
  header.exposed = exposed;
  header.tokens = p.rowsOf(ids);
  header.placementHash = check.hash;
  SmallVector<HeaderTable, 2> tables{{histogram, shape.toldExperts()}};
  if (tellsUnits && !shape.plansOtherIds()) {
    buildUnitCounts(p, planned);
    tables.push_back({p.local(shared::nodeUnits), shape.nodes});
  }
  Value turn = p.exchangeHeaders(shared::dispatchHeaders,
                                 shared::countsExchanged, header, tables);

  p.failIfRefused(shortage);
  Value badId = loadBadId(p, ids, bad, isBad);
  p.failIf(isBad, Status::InvalidRouting, bad, badId, zero);
  if (placement)
    p.failIf(p.compare(Cmp::ne, check.problem, zero), Status::InvalidRouting,
             check.where, check.what, check.problem);
  p.failWithPeers(shared::dispatchHeaders, turn);
  if (placement)
    failIfTablesDiffer(p, turn, check.hash);

  Value counts = p.viewTold(shared::dispatchHeaders, turn, headerWords,
                            shape.toldExperts());
  Value placed = counts, units;
  if (placement) {
    p.step("replicas");
    buildQuotas(p, counts);
    planned = buildPhysicalIds(p, ids, counts);
    placed = p.local(shared::placedCounts);
  }
  if (shape.dropsOverflow) {
    p.step("drop");
    planned = buildKeptIds(p, planned, placed);
    placed = buildKeptCounts(p, placed);
  }
  if (tellsUnits)
    units = shape.plansOtherIds()
                ? exchangeUnits(p, planned)
                : p.viewTold(shared::dispatchHeaders, turn,
                             headerWords + shape.toldExperts(), shape.nodes);
  p.step("place");
  Value rankRows = p.local(shared::rankRows);
  b.create<PlaceOp>(
      placed, self, p.local(shared::totals), p.local(shared::starts),
      p.local(shared::bases), rankRows, b.getI64IntegerAttr(shape.align),
      shape.capacity ? b.getI64IntegerAttr(shape.capacity) : IntegerAttr());
  p.forEachRank([&](Value rank) {
    Value needed = p.toI64(p.load(rankRows, {rank}));
    Value has = p.roomOf(shared::dispatchHeaders, turn, rank);
    p.failIf(p.compare(Cmp::sgt, needed, has), Status::Capacity, p.toI64(rank),
             needed, has);
  });
  return {turn, units, counts, planned};
}

/// Whether \p room (index) is too little for the rows that this rank's experts
/// got.
static Shortage buildShortage(ProgramBuilder &p, Value room) {
  ImplicitLocOpBuilder &b = p.b;
  Value zero = p.i64(0);
  // A refused rank must not look at its plan.
  Value isRefused = p.compare(Cmp::ne, b.create<pipe::StatusOp>(), zero);
  auto needed = b.create<scf::IfOp>(
      isRefused, [&](OpBuilder &, Location) { b.create<scf::YieldOp>(zero); },
      [&](OpBuilder &, Location) {
        b.create<scf::YieldOp>(
            p.toI64(p.load(p.local(shared::rankRows), {p.rank()})));
      });
  Value has = p.toI64(room);
  return {p.compare(Cmp::sgt, needed.getResult(0), has), needed.getResult(0),
          has};
}

Value fusco::buildReadyExchange(ProgramBuilder &p, const Exposure &exposed,
                                Value tokens, Value room) {
  Shortage shortage = buildShortage(p, room);
  Header header;
  header.status = p.ownStatus(p.i64(0), shortage);
  header.rows = p.rowsOf(exposed.rows.front());
  header.exposed = exposed;
  header.tokens = tokens;
  Value turn =
      p.exchangeHeaders(shared::combineHeaders, shared::outputsReady, header);
  p.failIfRefused(shortage);
  p.failWithPeers(shared::combineHeaders, turn);
  return turn;
}

Value fusco::buildOtherIds(ProgramBuilder &p, Value ids, Value counts,
                           function_ref<Value(Value, Value)> newId) {
  ImplicitLocOpBuilder &b = p.b;
  Value zero = p.index(0);
  // The number of an assignment is its row, were all experts on one rank and
  // each one's rows to start where lower ranks' end.
  Value numbers = p.local(shared::numbers);
  int64_t experts = cast<MemRefType>(counts.getType()).getDimSize(1);
  p.forEach(zero, p.index(experts), [&](Value expert) {
    p.store(p.sum(zero, p.rank(),
                  [&](Value rank) {
                    return p.load(counts, {rank, expert});
                  }),
            numbers, {expert});
  });
  Descriptors by = p.planDescriptors();
  b.create<AssignOp>(ids, Value(), p.rank(), numbers, by.fanout, by.ranks,
                     by.slots, by.weights, Value(), p.local(shared::stats),
                     /*num_ranks=*/1, /*ranks_per_node=*/1,
                     pipe::Unit::Assignment, pipe::Unit::Assignment);

  Value table = p.local(shared::plannedIds);
  p.forEach(zero, p.rowsOf(ids), [&](Value token) {
    b.create<scf::ForOp>(
        zero, p.index(p.shape.topk), p.index(1), ValueRange(zero),
        [&](OpBuilder &, Location, Value k, ValueRange at) {
          Value expert = p.toIndex(p.load(ids, {token, k}));
          auto next = b.create<scf::IfOp>(
              p.compare(Cmp::sge, expert, zero),
              [&](OpBuilder &, Location) {
                Value number = p.toIndex(p.load(by.slots, {token, at[0]}));
                p.store(p.toI32(newId(expert, number)), table, {token, k});
                b.create<scf::YieldOp>(ValueRange(p.add(at[0], 1)));
              },
              [&](OpBuilder &, Location) {
                p.store(p.i32(-1), table, {token, k});
                b.create<scf::YieldOp>(at);
              });
          b.create<scf::YieldOp>(next.getResults());
        });
  });
  return p.firstRows(table, p.rowsOf(ids));
}

void fusco::buildAssignment(ProgramBuilder &p, Value ids, Value weights,
                            Value bases, const Route &route) {
  p.step("assign");
  Value order =
      p.shape.needs.hasWeightGradient ? p.local(shared::order) : Value();
  p.b.create<AssignOp>(ids, weights, p.rank(), bases, p.local(shared::fanout),
                       p.local(shared::ranks), p.local(shared::slots),
                       p.local(shared::weights), order, p.local(shared::stats),
                       p.shape.numRanks(), p.shape.ranksPerNode, route.scaleOut,
                       route.scaleUp);
}

LocalExperts fusco::buildLocalExperts(ProgramBuilder &p,
                                      const BlockPlacement &placement) {
  ImplicitLocOpBuilder &b = p.b;
  // BlockPlacement, as code.
  Value self = p.rank(), larger = p.index(placement.largerRanks());
  Value first = b.create<arith::AddIOp>(
      b.create<arith::MulIOp>(self, p.index(placement.expertsPerRank())),
      b.create<arith::MinSIOp>(self, larger));
  Value isLarger = p.compare(Cmp::slt, self, larger);
  Value count = b.create<arith::AddIOp>(
      p.index(placement.expertsPerRank()),
      b.create<arith::SelectOp>(isLarger, p.index(1), p.index(0)));
  return {first, count};
}

void fusco::buildSegments(ProgramBuilder &p, Value countsOut, Value offsetsOut,
                          function_ref<void(Value, Value)> zeroRows) {
  p.step("segments");
  ImplicitLocOpBuilder &b = p.b;
  BlockPlacement placement = p.shape.placement();
  Value self = p.rank(), zero = p.index(0);
  Value totals = p.local(shared::totals), starts = p.local(shared::starts);
  Value stats = p.local(shared::stats);
  Value rows = p.load(p.local(shared::rankRows), {self});
  Value endOfRows = p.toIndex(rows);

  LocalExperts held = buildLocalExperts(p, placement);
  auto zeroPads = [&](Value from, Value to) {
    if (!p.shape.capacity) // slots that are not used stay as they are
      zeroRows(from, to);
  };

  auto loop = b.create<scf::ForOp>(
      zero, p.index(placement.maxLocalExperts()), p.index(1),
      ValueRange{zero, p.i64(0)},
      [&](OpBuilder &, Location, Value i, ValueRange carried) {
        Value isHeld = p.compare(Cmp::slt, i, held.count);
        Value expert = b.create<arith::SelectOp>(
            isHeld, b.create<arith::AddIOp>(held.first, i), zero);
        Value count = b.create<arith::SelectOp>(
            isHeld, p.load(totals, {expert}), p.i32(0));
        Value start =
            p.shape.capacity
                ? p.toI32(b.create<arith::MulIOp>(i, p.index(p.shape.capacity)))
                : b.create<arith::SelectOp>(isHeld, p.load(starts, {expert}),
                                            rows);
        if (countsOut)
          p.store(count, countsOut, {i});
        if (offsetsOut)
          p.store(start, offsetsOut, {i});
        Value startIndex = p.toIndex(start);
        zeroPads(carried[0], startIndex);
        Value end = b.create<arith::AddIOp>(startIndex, p.toIndex(count));
        Value received = b.create<arith::AddIOp>(carried[1], p.toI64(count));
        b.create<scf::YieldOp>(ValueRange{end, received});
      });
  zeroPads(loop.getResult(0), endOfRows);
  if (offsetsOut)
    p.store(rows, offsetsOut, {p.index(placement.maxLocalExperts())});
  // fusco_plan_stats: rowsReceived, rowsPadded.
  p.store(loop.getResult(1), stats, {p.index(6)});
  p.store(p.toI64(rows), stats, {p.index(7)});
}

void fusco::buildLocalIds(ProgramBuilder &p, Value ids) {
  p.step("local_ids");
  LocalExperts own = buildLocalExperts(p, p.shape.routedPlacement());
  Value rows = p.load(p.local(shared::rankRows), {p.rank()});
  Type idType = cast<MemRefType>(ids.getType()).getElementType();
  p.forEach(p.index(0), p.toIndex(rows), [&](Value row) {
    p.forRange(p.index(0), p.index(p.shape.topk), [&](Value k) {
      Value expert = p.toIndex(p.load(ids, {row, k}));
      Value local = p.b.create<arith::SubIOp>(expert, own.first);
      // Unsigned: what is below the first is larger than any.
      Value isOwn = p.compare(Cmp::ult, local, own.count);
      Value id = p.b.create<arith::SelectOp>(isOwn, local, p.index(-1));
      p.store(p.b.create<arith::IndexCastOp>(idType, id), ids, {row, k});
    });
  });
}
