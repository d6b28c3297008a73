//===- DispatchProgram.cpp - Plan, and write rows to their slots ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The program behind a function that plans and dispatches:
///   1. count this rank's assignments per expert;
///   2. tell all ranks the counts, where this rank's output is and what room it
///      has, and whether anything is wrong here;
///   3. if anything is wrong anywhere, leave, all ranks together;
///   4. from all ranks' counts, the exact offsets; check that rows fit;
///   5. give each assignment its row (the descriptors);
///   6. copy each token's row to all its slots, wherever they are;
///   7. counts, offsets and pads of the own output;
///   8. wait until all ranks' rows are here.
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

/// Steps 1 to 5. Returns the turn of the exchange.
static Value buildPlan(ProgramBuilder &p, const DispatchTensors &tensors) {
  ImplicitLocOpBuilder &b = p.b;
  const ShuffleShape &shape = p.shape;
  Value self = p.rank(), zero = p.i64(0);

  // 1. A refused rank has no tokens, so that its counts are zero.
  Value histogram = p.local(shared::histogram);
  Value bad = b.create<HistogramOp>(tensors.ids, histogram);
  Value isBad = p.compare(Cmp::sge, bad, zero);
  Value refusal = b.create<pipe::StatusOp>();
  Value isRefused = p.compare(Cmp::ne, refusal, zero);

  // 2.
  Value routingStatus = b.create<arith::SelectOp>(
      isBad, p.i64(static_cast<int64_t>(Status::InvalidRouting)), zero);
  Header header;
  header.status = b.create<arith::SelectOp>(isRefused, refusal, routingStatus);
  header.rows = b.create<memref::DimOp>(tensors.rows, 0);
  header.window = b.create<WindowOp>(tensors.rows);
  Value turn = b.create<TurnOp>(shared::countsArrived);
  p.exchangeHeaders(
      shared::dispatchHeaders, shared::countsArrived, turn, header,
      [&](Value to) {
        Value counts = p.peer(to, shared::counts);
        p.forRange(p.index(0), p.index(shape.experts), [&](Value expert) {
          p.store(p.load(histogram, {expert}), counts, {turn, self, expert});
        });
      });

  // 3.
  p.failIf(isRefused, Status::Refused, zero, zero, zero);
  Value badId = loadBadId(p, tensors.ids, bad, isBad);
  p.failIf(isBad, Status::InvalidRouting, bad, badId, zero);
  p.failWithPeers(shared::dispatchHeaders, turn);

  // 4.
  OpFoldResult one = b.getIndexAttr(1);
  auto type = cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
      {shape.numRanks(), shape.experts},
      cast<MemRefType>(p.local(shared::counts).getType()),
      {turn, b.getIndexAttr(0), b.getIndexAttr(0)},
      {one, b.getIndexAttr(shape.numRanks()), b.getIndexAttr(shape.experts)},
      {one, one, one}));
  Value counts = b.create<memref::SubViewOp>(
      type, p.local(shared::counts),
      ArrayRef<OpFoldResult>{turn, b.getIndexAttr(0), b.getIndexAttr(0)},
      ArrayRef<OpFoldResult>{one, b.getIndexAttr(shape.numRanks()),
                             b.getIndexAttr(shape.experts)},
      ArrayRef<OpFoldResult>{one, one, one});
  Value bases = p.local(shared::bases), rankRows = p.local(shared::rankRows);
  b.create<PlaceOp>(counts, self, p.local(shared::totals),
                    p.local(shared::starts), bases, rankRows, shape.align);
  p.forEachRank([&](Value rank) {
    Value needed = p.toI64(p.load(rankRows, {rank}));
    Value room = p.roomOf(shared::dispatchHeaders, turn, rank);
    p.failIf(p.compare(Cmp::sgt, needed, room), Status::Capacity, p.toI64(rank),
             needed, room);
  });

  // 5.
  b.create<AssignOp>(
      tensors.ids, tensors.weights, self, bases, p.local(shared::fanout),
      p.local(shared::ranks), p.local(shared::slots), p.local(shared::weights),
      p.local(shared::stats), shape.numRanks(), shape.ranksPerNode);
  return turn;
}

/// Step 7: what this rank's experts will find.
static void buildSegments(ProgramBuilder &p, const DispatchTensors &tensors) {
  ImplicitLocOpBuilder &b = p.b;
  BlockPlacement placement = p.shape.placement();
  Value self = p.rank(), zero = p.index(0);
  Value totals = p.local(shared::totals), starts = p.local(shared::starts);
  Value stats = p.local(shared::stats);
  Value rows = p.load(p.local(shared::rankRows), {self});
  Value endOfRows = p.toIndex(rows);

  // BlockPlacement, as code.
  Value larger = p.index(placement.largerRanks());
  Value first = b.create<arith::AddIOp>(
      b.create<arith::MulIOp>(self, p.index(placement.expertsPerRank())),
      b.create<arith::MinSIOp>(self, larger));
  Value isLarger = p.compare(Cmp::slt, self, larger);
  Value numLocal = b.create<arith::AddIOp>(
      p.index(placement.expertsPerRank()),
      b.create<arith::SelectOp>(isLarger, p.index(1), zero));

  auto loop = b.create<scf::ForOp>(
      zero, p.index(placement.maxLocalExperts()), p.index(1),
      ValueRange{zero, p.i64(0)},
      [&](OpBuilder &, Location, Value i, ValueRange carried) {
        Value isHeld = p.compare(Cmp::slt, i, numLocal);
        Value expert = b.create<arith::SelectOp>(
            isHeld, b.create<arith::AddIOp>(first, i), zero);
        Value count = b.create<arith::SelectOp>(
            isHeld, p.load(totals, {expert}), p.i32(0));
        Value start =
            b.create<arith::SelectOp>(isHeld, p.load(starts, {expert}), rows);
        p.store(count, tensors.counts, {i});
        p.store(start, tensors.offsets, {i});
        Value startIndex = p.toIndex(start);
        b.create<ZeroRowsOp>(tensors.rows, carried[0], startIndex);
        Value end = b.create<arith::AddIOp>(startIndex, p.toIndex(count));
        Value received = b.create<arith::AddIOp>(carried[1], p.toI64(count));
        b.create<scf::YieldOp>(ValueRange{end, received});
      });
  b.create<ZeroRowsOp>(tensors.rows, loop.getResult(0), endOfRows);
  p.store(rows, tensors.offsets, {p.index(placement.maxLocalExperts())});
  // fusco_plan_stats: rowsReceived, rowsPadded.
  p.store(loop.getResult(1), stats, {p.index(6)});
  p.store(p.toI64(rows), stats, {p.index(7)});
}

void fusco::buildDispatch(ProgramBuilder &p, const DispatchTensors &tensors,
                          bool streaming) {
  Value turn = buildPlan(p, tensors);

  // 6.
  p.resolveAddresses(shared::dispatchHeaders, turn);
  Value addresses = p.local(shared::addresses);
  Value fanout = p.local(shared::fanout), ranks = p.local(shared::ranks);
  Value slots = p.local(shared::slots);
  p.forRange(p.index(0), p.b.create<memref::DimOp>(tensors.x, 0),
             [&](Value token) {
               p.b.create<CopyRowOp>(tensors.x, token, addresses, fanout, ranks,
                                     slots, streaming);
             });

  buildSegments(p, tensors);         // 7.
  p.finishRows(shared::rowsArrived); // 8.
}
