//===- DropOverflow.cpp - Assignments that have no slot -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The steps of planning where #fusco.expert_slots drops what overflows: from
/// all ranks' counts each rank knows which of its assignments are among the
/// first `capacity` of their expert. See ProgramBuilder.h.
///
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/ProgramBuilder.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

Value fusco::buildKeptCounts(ProgramBuilder &p, Value counts) {
  ImplicitLocOpBuilder &b = p.b;
  Value kept = p.local(shared::placedCounts);
  p.forEach(p.index(0), p.index(p.shape.experts), [&](Value expert) {
    // Ranks in order take what slots are left.
    b.create<scf::ForOp>(
        p.index(0), p.index(p.shape.numRanks()), p.index(1),
        ValueRange(p.i32(p.shape.capacity)),
        [&](OpBuilder &, Location, Value rank, ValueRange left) {
          Value taken = p.minimum(p.load(counts, {rank, expert}), left[0]);
          p.store(taken, kept, {rank, expert});
          b.create<scf::YieldOp>(
              ValueRange(b.create<arith::SubIOp>(left[0], taken).getResult()));
        });
  });
  return kept;
}

Value fusco::buildKeptIds(ProgramBuilder &p, Value ids, Value counts) {
  return buildOtherIds(p, ids, counts, [&](Value expert, Value number) {
    Value hasSlot = p.compare(Cmp::slt, number, p.index(p.shape.capacity));
    return p.b.create<arith::SelectOp>(hasSlot, expert, p.index(-1));
  });
}

void fusco::buildDropReport(ProgramBuilder &p, Value ids, Value planned,
                            Value keptIds) {
  ImplicitLocOpBuilder &b = p.b;
  Value stats = p.local(shared::stats), at = p.index(10); // assignmentsDropped
  if (!p.shape.dropsOverflow)
    return p.store(p.i64(0), stats, {at});
  Value zero = p.index(0), tokens = p.rowsOf(ids), topk = p.index(p.shape.topk);
  if (keptIds)
    p.forEach(zero, tokens, [&](Value token) {
      p.forRange(zero, topk, [&](Value k) {
        Value isKept =
            p.compare(Cmp::sge, p.toIndex(p.load(planned, {token, k})), zero);
        Value id = p.toIndex(p.load(ids, {token, k}));
        Value kept = b.create<arith::SelectOp>(isKept, id, p.index(-1));
        Type type = cast<MemRefType>(keptIds.getType()).getElementType();
        p.store(b.create<arith::IndexCastOp>(type, kept), keptIds, {token, k});
      });
    });
  Value histogram = p.local(shared::histogram);
  Value routed = p.sum(zero, p.index(p.shape.toldExperts()), [&](Value expert) {
    return p.load(histogram, {expert});
  });
  Value kept = p.load(stats, {p.index(1)});
  p.store(b.create<arith::SubIOp>(p.toI64(routed), kept), stats, {at});
}
