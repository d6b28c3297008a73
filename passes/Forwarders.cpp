//===- Forwarders.cpp - Who forwards, from the exchanged units ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The choice of forwarders that #fusco.hop defines. Ranks tell each other, in
/// the exchange of counts, how many units each has for each node; from that all
/// come to the same choice. See ProgramBuilder.h.
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
// Counting
//===----------------------------------------------------------------------===//

void fusco::buildUnitCounts(ProgramBuilder &p, Value ids) {
  Value counts = p.local(shared::chunkUnits),
        marks = p.local(shared::unitMarks);
  Value nodes = p.index(p.shape.nodes), experts = p.index(p.shape.experts);
  Value own = p.nodeOf(p.rank()), numTokens = p.rowsOf(ids);
  Value zero = p.index(0);
  p.forEach(zero, p.index(p.shape.maxChunks()), [&](Value chunk) {
    p.forRange(zero, nodes, [&](Value node) {
      p.store(p.i32(0), counts, {chunk, node});
      p.store(p.i32(0), marks, {chunk, node});
    });
    p.forEachToken(chunk, numTokens, [&](Value token) {
      // A node is marked with the last token that needs it.
      Value mark = p.toI32(p.add(token, 1));
      p.forRange(zero, p.index(p.shape.topk), [&](Value k) {
        Value id = p.load(ids, {token, k});
        Value expert = p.toIndex(id);
        // Unsigned: a negative id is larger than any expert.
        p.ifThen(p.compare(Cmp::ult, expert, experts), [&] {
          Value node = p.nodeOf(p.rankOfExpert(p.shape.placement(), expert));
          Value isOther = p.compare(Cmp::ne, node, own);
          Value isNew = p.compare(Cmp::ne, p.load(marks, {chunk, node}), mark);
          p.ifThen(p.b.create<arith::AndIOp>(isOther, isNew), [&] {
            p.store(mark, marks, {chunk, node});
            Value count = p.load(counts, {chunk, node});
            p.store(p.b.create<arith::AddIOp>(count, p.i32(1)), counts,
                    {chunk, node});
          });
        });
      });
    });
  });
  Value totals = p.local(shared::nodeUnits);
  p.forEach(zero, nodes, [&](Value node) {
    p.store(p.sum(zero, p.index(p.shape.maxChunks()),
                  [&](Value chunk) {
                    return p.load(counts, {chunk, node});
                  }),
            totals, {node});
  });
}

namespace {
class ForwarderBuilder {
public:
  ForwarderBuilder(ProgramBuilder &p, Value units, Value numTokens)
      : p(p), units(units), numTokens(numTokens), self(p.rank()),
        node(p.nodeOf(self)), own(p.localOf(self)) {}

  void buildGroups();
  void buildDeal();
  void countUnits();
  void countScaleUp(const Route &route);

private:
  /// The units (i32) of rank \p of for \p to; none for its own node.
  Value unitsOf(Value of, Value to) { return p.load(units, {of, to}); }
  /// Those of ranks [begin, end), together.
  Value unitsOf(Value begin, Value end, Value to) {
    return p.sum(begin, end, [&](Value of) { return unitsOf(of, to); });
  }
  Value firstRank(Value of) { return p.rankOf(of, p.index(0)); }
  /// Of \p count units, dealt from local rank 0 on, those of local rank `own`
  /// (i32).
  Value dealtToOwn(Value count);
  /// Those that node \p from has for \p to.
  Value dealtToOwn(Value from, Value to);

  ProgramBuilder &p;
  Value units, numTokens, self, node, own;
};
} // namespace

//===----------------------------------------------------------------------===//
// groups
//===----------------------------------------------------------------------===//

void ForwarderBuilder::buildGroups() {
  int64_t perNode = p.shape.ranksPerNode;
  Value groups = p.local(shared::groups), ranks = p.index(p.shape.numRanks());
  Value nodes = p.index(p.shape.nodes), locals = p.index(perNode);
  Value zero = p.index(0);
  // Totals first, where the groups will be.
  p.forEach(zero, ranks, [&](Value of) {
    p.store(p.sum(zero, nodes, [&](Value to) { return unitsOf(of, to); }),
            groups, {of});
  });
  Value forwarders = p.local(shared::forwarders);
  auto isBefore = [&](Value a, Value b) {
    Value ofA = p.load(groups, {a}), ofB = p.load(groups, {b});
    Value isEqual = p.b.create<arith::AndIOp>(p.compare(Cmp::eq, ofA, ofB),
                                              p.compare(Cmp::slt, a, b));
    return p.b.create<arith::OrIOp>(p.compare(Cmp::sgt, ofA, ofB), isEqual);
  };
  p.forEach(zero, ranks, [&](Value of) {
    Value home = p.nodeOf(of);
    Value place = p.sum(zero, locals, [&](Value local) -> Value {
      Value isLess = isBefore(p.rankOf(home, local), of);
      return p.b.create<arith::ExtUIOp>(p.b.getI32Type(), isLess);
    });
    Value shifted = p.add(p.toIndex(place), home);
    p.storeEntry(p.b.create<arith::RemUIOp>(shifted, locals),
                 shared::forwarders, of);
  });
  p.forEach(zero, ranks,
            [&](Value of) { p.store(p.load(forwarders, {of}), groups, {of}); });
  auto memberOf = [&](Value group, Value ofNode) {
    return p.sum(zero, locals, [&](Value local) -> Value {
      Value rank = p.rankOf(ofNode, local);
      Value isIt = p.compare(Cmp::eq, p.load(groups, {rank}), group);
      return p.b.create<arith::SelectOp>(isIt, p.toI32(rank), p.i32(0));
    });
  };
  p.forEach(zero, nodes, [&](Value other) {
    p.store(memberOf(p.load(groups, {self}), other), p.local(shared::partners),
            {other});
  });
  p.forEach(zero, ranks, [&](Value of) {
    Value isHere = p.compare(Cmp::eq, p.nodeOf(of), node);
    Value member = memberOf(p.load(groups, {of}), node);
    p.store(p.b.create<arith::SelectOp>(isHere, p.toI32(of), member),
            forwarders, {of});
  });
}

//===----------------------------------------------------------------------===//
// balanced
//===----------------------------------------------------------------------===//

void ForwarderBuilder::buildDeal() {
  Value from = p.local(shared::dealtFrom), counts = p.local(shared::chunkUnits);
  Value locals = p.i32(p.shape.ranksPerNode);
  p.forEach(p.index(0), p.index(p.shape.nodes - 1), [&](Value lane) {
    Value isBelow = p.compare(Cmp::slt, lane, node);
    Value to = p.b.create<arith::SelectOp>(isBelow, lane, p.add(lane, 1));
    p.b.create<scf::ForOp>(
        p.index(0), p.index(p.shape.maxChunks()), p.index(1),
        ValueRange(unitsOf(p.index(0), self, to)),
        [&](OpBuilder &, Location, Value chunk, ValueRange before) {
          p.store(p.b.create<arith::RemUIOp>(before[0], locals), from,
                  {chunk, lane});
          p.b.create<scf::YieldOp>(ValueRange(
              p.b.create<arith::AddIOp>(before[0], p.load(counts, {chunk, to}))
                  .getResult()));
        });
  });
}

Value ForwarderBuilder::dealtToOwn(Value count) {
  Value locals = p.i32(p.shape.ranksPerNode);
  Value behind =
      p.b.create<arith::SubIOp>(p.i32(p.shape.ranksPerNode - 1), p.toI32(own));
  return p.b.create<arith::DivUIOp>(p.b.create<arith::AddIOp>(count, behind),
                                    locals);
}

Value ForwarderBuilder::dealtToOwn(Value from, Value to) {
  Value first = firstRank(from), end = p.add(first, p.shape.ranksPerNode);
  Value before = unitsOf(p.index(0), first, to);
  Value after = p.b.create<arith::AddIOp>(before, unitsOf(first, end, to));
  return p.b.create<arith::SubIOp>(dealtToOwn(after), dealtToOwn(before));
}

//===----------------------------------------------------------------------===//
// What is reported
//===----------------------------------------------------------------------===//

/// fusco_plan_stats: unitsSent, unitsForwarded.
void ForwarderBuilder::countUnits() {
  Value table = p.local(shared::forwarderUnits);
  Value sent = p.index(0), taken = p.index(1);
  bool isDealt = p.getForwarders() == Forwarders::Balanced;
  p.forEach(p.index(0), p.index(p.shape.nodes), [&](Value other) {
    p.store(isDealt ? dealtToOwn(node, other) : unitsOf(self, other), table,
            {sent, other});
    p.store(isDealt ? dealtToOwn(other, node)
                    : unitsOf(p.partnerIn(other), node),
            table, {taken, other});
  });
  for (int64_t kind = 0; kind < 2; ++kind) {
    Value units = p.sum(p.index(0), p.index(p.shape.nodes), [&](Value other) {
      return p.load(table, {p.index(kind), other});
    });
    p.store(p.toI64(units), p.local(shared::stats), {p.index(8 + kind)});
  }
}

/// fusco_plan_stats: rowsScaleUp, which pipe.assign counts for rails.
void ForwarderBuilder::countScaleUp(const Route &route) {
  bool isDealt = route.forwarders == Forwarders::Balanced;
  Value rows = p.local(shared::chunkRows), zero = p.index(0);
  Value next = p.local(shared::unitMarks); // which are no longer needed
  Descriptors by = p.planDescriptors();
  auto deal = [&](Value chunk, Value lane) {
    Value dealt = p.toIndex(p.load(next, {chunk, lane}));
    p.store(p.toI32(p.localAfter(dealt)), next, {chunk, lane});
    return dealt;
  };
  p.forEach(zero, p.index(p.shape.maxChunks()), [&](Value chunk) {
    p.store(p.i32(0), rows, {chunk});
    if (isDealt)
      p.forRange(zero, p.index(p.shape.nodes - 1), [&](Value lane) {
        Value from = p.load(p.local(shared::dealtFrom), {chunk, lane});
        p.store(from, next, {chunk, lane});
      });
    auto addIf = [&](Value condition) {
      Value one = p.b.create<arith::ExtUIOp>(p.b.getI32Type(), condition);
      p.store(p.b.create<arith::AddIOp>(p.load(rows, {chunk}), one), rows,
              {chunk});
    };
    p.forEachToken(chunk, numTokens, [&](Value token) {
      p.forEachUnit(
          by, p.wholeRun(by, token), pipe::Unit::Node,
          [&](const UnitRun &unit) {
            Value to = p.nodeOf(unit.rank);
            Value isHere = p.compare(Cmp::eq, to, node);
            auto forwarder = p.b.create<scf::IfOp>(
                isHere,
                [&](OpBuilder &, Location) { p.b.create<scf::YieldOp>(own); },
                [&](OpBuilder &, Location) {
                  Value local = p.localOf(p.partnerIn(to));
                  if (isDealt) {
                    local = deal(chunk, p.laneOfNode(node, to));
                    addIf(p.compare(Cmp::ne, local, own));
                  }
                  p.b.create<scf::YieldOp>(local);
                });
            p.forEachUnit(by, unit.run, route.scaleUp,
                          [&](const UnitRun &part) {
                            addIf(p.compare(Cmp::ne, p.localOf(part.rank),
                                            forwarder.getResult(0)));
                          });
          });
    });
  });
  Value all = p.sum(zero, p.index(p.shape.maxChunks()),
                    [&](Value chunk) { return p.load(rows, {chunk}); });
  p.store(p.toI64(all), p.local(shared::stats), {p.index(4)});
}

void fusco::buildForwarders(ProgramBuilder &p, Value units, Value numTokens,
                            const Route &route) {
  if (!units) {
    for (int64_t i : {8, 9})
      p.store(p.i64(0), p.local(shared::stats), {p.index(i)});
    return;
  }
  p.step("forwarders");
  ForwarderBuilder builder(p, units, numTokens);
  const ProgramNeeds &needs = p.shape.needs;
  if (needs.hasGroups)
    builder.buildGroups();
  if (needs.dispatchesDealt || needs.combinesDealt)
    builder.buildDeal();
  builder.countUnits();
  if (route.forwarders != Forwarders::Rail)
    builder.countScaleUp(route);
}
