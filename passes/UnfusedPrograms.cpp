//===- UnfusedPrograms.cpp - Permute, exchange, permute -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The programs behind the unfused form, what a framework does today: each step
/// a pass over memory of its own. They give the same bits as the fused ones,
/// and are the baseline that those are measured against.
///
/// Dispatch: permute rows by destination into `send`; copy each destination's
/// block into its `recv`; permute `recv` into segments of experts.
/// Combine: the same steps backwards, and a sum over `send`.
///
/// Runs of rows that stay together are copied together.
///
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/ProgramBuilder.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

/// Runs `body(expert, carried)` over the experts [first, first + count), and
/// returns what it carries out.
static Value forExperts(ProgramBuilder &p, Value first, Value count,
                        Value carried, function_ref<Value(Value, Value)> body) {
  ImplicitLocOpBuilder &b = p.b;
  auto loop = b.create<scf::ForOp>(
      first, b.create<arith::AddIOp>(first, count), p.index(1),
      ValueRange(carried),
      [&](OpBuilder &, Location, Value expert, ValueRange values) {
        b.create<scf::YieldOp>(body(expert, values[0]));
      });
  return loop.getResult(0);
}

/// The sum of row \p rank of \p counts over the experts [first, first + count).
static Value sumCounts(ProgramBuilder &p, Value counts, Value rank, Value first,
                       Value count) {
  return forExperts(p, first, count, p.index(0), [&](Value expert, Value sum) {
    return p.b.create<arith::AddIOp>(sum,
                                     p.toIndex(p.load(counts, {rank, expert})));
  });
}

static Value addressOf(ProgramBuilder &p, Value tensor) {
  return p.b.create<RemoteOp>(p.rank(), p.b.create<WindowOp>(tensor));
}

/// Walks the runs of rows that `recv` and the segments of experts have in
/// common: one for each source rank and local expert.
/// `copyRun(recvRow, segmentRow, count)`.
static void forEachRun(ProgramBuilder &p, Value counts,
                       function_ref<void(Value, Value, Value)> copyRun) {
  ImplicitLocOpBuilder &b = p.b;
  LocalExperts held = buildLocalExperts(p, p.shape.placement());
  Value starts = p.local(shared::starts), cursors = p.local(shared::bases);
  forExperts(p, held.first, held.count, p.index(0),
             [&](Value expert, Value none) {
               p.store(p.load(starts, {expert}), cursors, {expert});
               return none;
             });
  b.create<scf::ForOp>(
      p.index(0), p.index(p.shape.numRanks()), p.index(1),
      ValueRange(p.index(0)),
      [&](OpBuilder &, Location, Value source, ValueRange row) {
        Value next =
            forExperts(p, held.first, held.count, row[0],
                       [&](Value expert, Value recvRow) -> Value {
                         Value count32 = p.load(counts, {source, expert});
                         Value cursor = p.load(cursors, {expert});
                         Value count = p.toIndex(count32);
                         copyRun(recvRow, p.toIndex(cursor), count);
                         p.store(b.create<arith::AddIOp>(cursor, count32),
                                 cursors, {expert});
                         return b.create<arith::AddIOp>(recvRow, count);
                       });
        b.create<scf::YieldOp>(next);
      });
}

/// Runs `body(rank, firstExpert, numExperts, block)` for every rank, where
/// block is the carried first row of the rank's block; body returns its rows.
static void forEachBlock(ProgramBuilder &p,
                         function_ref<Value(Value, Value, Value, Value)> body) {
  ImplicitLocOpBuilder &b = p.b;
  BlockPlacement placement = p.shape.placement();
  b.create<scf::ForOp>(
      p.index(0), p.index(p.shape.numRanks()), p.index(1),
      ValueRange{p.index(0), p.index(0)},
      [&](OpBuilder &, Location, Value rank, ValueRange carried) {
        Value isLarger =
            p.compare(Cmp::slt, rank, p.index(placement.largerRanks()));
        Value experts = b.create<arith::SelectOp>(
            isLarger, p.index(placement.expertsPerRank() + 1),
            p.index(placement.expertsPerRank()));
        Value rows = body(rank, carried[0], experts, carried[1]);
        b.create<scf::YieldOp>(
            ValueRange{b.create<arith::AddIOp>(carried[0], experts),
                       b.create<arith::AddIOp>(carried[1], rows)});
      });
}

namespace {
/// The all-to-all: blocks of rows to a tensor of every rank.
class RowExchange {
public:
  RowExchange(ProgramBuilder &p, StringRef channel, StringRef headers,
              Value turn, const Exposure &exposed)
      : p(p), channel(channel), headers(headers), turn(turn) {
    p.step("all_to_all");
    p.resolveAddresses(headers, turn, exposed);
  }

  /// Copies \p count rows of \p source, from \p from on, to the tensor of rank
  /// \p to, from its row \p row on.
  void copy(Value source, Value from, Value to, Value row, Value count,
            Value streaming) {
    p.ifThen(
        p.isInOwnNode(to),
        [&] {
          Value address = p.load(p.local(shared::addresses), {to});
          p.b.create<CopyRowsOp>(source, from, address, row, count, streaming);
        },
        [&] {
          p.b.create<PutRowsOp>(source, from, to, p.windowOf(headers, turn, to),
                                row, count, channel, to, p.rank());
        });
  }

  /// Waits until all ranks' blocks are here.
  void finish() {
    p.b.create<FenceOp>();
    Value node = p.nodeOf(p.rank());
    p.forEachLocal([&](Value i) {
      Value peer = p.rankOf(node, i);
      p.signal(channel, peer, peer, p.rank());
    });
    p.forEachRank([&](Value from) { p.receive(channel, from, from); });
  }

private:
  ProgramBuilder &p;
  StringRef channel, headers;
  Value turn;
};
} // namespace

void fusco::buildUnfusedDispatch(ProgramBuilder &p,
                                 const DispatchTensors &tensors,
                                 const Workspace &workspace, Value streaming) {
  ImplicitLocOpBuilder &b = p.b;
  Value self = p.rank();
  Value x = tensors.tokens(), expertRows = tensors.rows().front();
  Value numTokens = p.rowsOf(x);

  // Plan. Peers write into recv, and from there rows go to the output.
  Value room = p.minimum(p.rowsOf(expertRows), p.rowsOf(workspace.recv));
  Shortage shortage;
  shortage.needed =
      p.toI64(b.create<arith::MulIOp>(numTokens, p.index(p.shape.topk)));
  shortage.has = p.toI64(p.rowsOf(workspace.send));
  shortage.isShort = p.compare(Cmp::sgt, shortage.needed, shortage.has);
  const Exposure exposed{{workspace.recv}};
  ExchangedCounts exchanged =
      buildCountExchange(p, tensors.ids, /*placement=*/{}, exposed, room,
                         shortage, /*tellsUnits=*/false);

  // Combine needs the counts too, and by then the exchanged ones may be others.
  Value counts = p.local(shared::unfusedCounts);
  p.forEach(p.index(0), p.index(p.shape.numRanks()), [&](Value rank) {
    p.forRange(p.index(0), p.index(p.shape.experts), [&](Value expert) {
      p.store(p.load(exchanged.counts, {rank, expert}), counts, {rank, expert});
    });
  });

  // Permute: in send, experts follow each other in ascending order, which is
  // that of the ranks that hold them.
  Value sendBases = p.local(shared::sendBases);
  forExperts(p, p.index(0), p.index(p.shape.experts), p.index(0),
             [&](Value expert, Value row) -> Value {
               p.store(p.toI32(row), sendBases, {expert});
               return b.create<arith::AddIOp>(
                   row, p.toIndex(p.load(counts, {self, expert})));
             });
  buildAssignment(p, tensors.ids, tensors.weights, sendBases,
                  {pipe::Unit::Assignment, pipe::Unit::Assignment, Type()});
  p.step("permute");
  p.addressOwn(workspace.send);
  Descriptors by = p.planDescriptors();
  p.forEach(p.index(0), numTokens, [&](Value token) {
    Run run = p.wholeRun(by, token);
    b.create<CopyRowOp>(x, token, p.local(shared::addresses), by.ranks,
                        by.slots, /*weights=*/Value(), run.token, run.begin,
                        run.end, cast<MemRefType>(workspace.send.getType()),
                        streaming);
  });

  // All-to-all: behind the rows of lower ranks, which bases has counted.
  RowExchange rowExchange(p, shared::unfusedRows, shared::dispatchHeaders,
                          exchanged.turn, exposed);
  Value bases = p.local(shared::bases), starts = p.local(shared::starts);
  forEachBlock(p, [&](Value rank, Value first, Value experts, Value sendRow) {
    Value count = sumCounts(p, counts, self, first, experts);
    Value recvRow = forExperts(
        p, first, experts, p.index(0), [&](Value expert, Value sum) -> Value {
          Value before = b.create<arith::SubIOp>(p.load(bases, {expert}),
                                                 p.load(starts, {expert}));
          return b.create<arith::AddIOp>(sum, p.toIndex(before));
        });
    rowExchange.copy(workspace.send, sendRow, rank, recvRow, count, streaming);
    return count;
  });
  rowExchange.finish();

  // Permute.
  p.step("permute");
  Value rows = addressOf(p, expertRows);
  forEachRun(p, counts, [&](Value recvRow, Value segmentRow, Value count) {
    b.create<CopyRowsOp>(workspace.recv, recvRow, rows, segmentRow, count,
                         streaming);
  });
  buildSegments(p, tensors.counts, tensors.offsets, [&](Value from, Value to) {
    p.b.create<ZeroRowsOp>(expertRows, from, to);
  });
  b.create<FenceOp>();
}

void fusco::buildUnfusedCombine(ProgramBuilder &p,
                                const CombineTensors &tensors,
                                const Workspace &workspace, bool weighted,
                                Value streaming) {
  ImplicitLocOpBuilder &b = p.b;

  // Tell the ranks where send is; peers write into it.
  Value room = p.minimum(p.rowsOf(tensors.y), p.rowsOf(workspace.recv));
  const Exposure exposed{{workspace.send}};
  Value turn = buildReadyExchange(p, exposed, p.rowsOf(tensors.out), room);
  Value counts = p.local(shared::unfusedCounts);
  p.forEachRank([&](Value rank) {
    Value needed = p.toI64(
        sumCounts(p, counts, rank, p.index(0), p.index(p.shape.experts)));
    Value has = p.roomOf(shared::combineHeaders, turn, rank);
    p.failIf(p.compare(Cmp::sgt, needed, has), Status::Capacity, p.toI64(rank),
             needed, has);
  });

  // Unpermute, into the order of recv.
  p.step("unpermute");
  Value recv = addressOf(p, workspace.recv);
  forEachRun(p, counts, [&](Value recvRow, Value segmentRow, Value count) {
    b.create<CopyRowsOp>(tensors.y, segmentRow, recv, recvRow, count,
                         streaming);
  });

  // All-to-all: each rank's block to where it was sent from.
  RowExchange rowExchange(p, shared::unfusedOutputs, shared::combineHeaders,
                          turn, exposed);
  LocalExperts held = buildLocalExperts(p, p.shape.placement());
  forEachBlock(p, [&](Value rank, Value, Value, Value recvRow) {
    Value count = sumCounts(p, counts, rank, held.first, held.count);
    Value sendRow = sumCounts(p, counts, rank, p.index(0), held.first);
    rowExchange.copy(workspace.recv, recvRow, rank, sendRow, count, streaming);
    return count;
  });
  rowExchange.finish();

  // Unpermute: the sum.
  p.step("unpermute");
  p.addressOwn(workspace.send);
  CombineTensors sent;
  sent.y = workspace.send;
  sent.out = tensors.out;
  sent.partials = tensors.partials;
  buildSums(p, sent, weighted, streaming);
  b.create<FenceOp>();
}
