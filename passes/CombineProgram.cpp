//===- CombineProgram.cpp - Sum the experts' rows per token ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The program behind a function that combines. On every rank:
///   1. tell all ranks where this rank's expert outputs are, and whether
///      anything is wrong here; leave together if so;
///   2. sum the rows of each token;
///   3. wait until the ranks of this node have read, since the caller may then
///      write its outputs again.
///
/// 2. in one node, once per assignment: read a token's rows from where they are
/// and write their sum. Otherwise a pipeline over chunks of tokens, where the
/// rank that asks is the token's own, or in other nodes its forwarder:
///   ask      send the descriptors of other nodes to this rank's partners
///            there, and where ranks sum their own rows, those of this node to
///            its ranks;
///   gather   where units are dealt, ask only lists them for the ranks of this
///            node, each of which asks for what it is dealt;
///   relay    likewise pass on to this node's ranks what other nodes ask;
///   partial  sum this rank's rows of a token, into the memory of who asked;
///   sum      for other nodes: sum over the ranks of this node, send the sum;
///   settle   where units are dealt, tell the ranks of this node where the sums
///            are that came for them;
///   finish   sum over the nodes, and round.
/// A slot of the rings is free again once its question is answered, so that
/// nothing else need bound how far ahead a rank runs.
///
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/ProgramBuilder.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

namespace {
class CombineBuilder {
public:
  CombineBuilder(ProgramBuilder &p, const CombineTensors &tensors,
                 const Route &route, bool weighted, Value streaming)
      : p(p), tensors(tensors), route(route), weighted(weighted),
        streaming(streaming) {}

  void build();

private:
  void buildAsk(Value chunk);
  void buildGather(Value chunk);
  void buildSettle(Value chunk);
  void buildRelay(Value chunk);
  void buildPartial(Value chunk);
  void buildSum(Value chunk);
  void buildFinish(Value chunk);
  /// Sums \p run, all of a token's, over the nodes.
  void finishToken(const Descriptors &by, const Run &run);

  /// Adds a token's \p run to what is asked of the node of \p lane; sends that.
  void appendAsk(const Descriptors &by, const Run &run, Value lane);
  void putAsks();
  /// The sum that came from the node of \p lane, of the next of its units:
  /// rows, and which one.
  std::pair<Value, Value> takeSum(Value lane);

  /// Asks ranks of this node about tokens of node \p origin: adds a token's
  /// \p run to the claimed slots; sends these.
  void appendRequests(const Descriptors &by, const Run &run, Value origin);
  void sendRequests(Value origin);
  void releasePartials(Value origin);
  /// The sum over \p run, whose rows are in this node, into row \p row of
  /// \p out.
  void sumRun(const Descriptors &by, const Run &run, Value origin, Value out,
              Value row, Value streaming);
  void sumRows(const Descriptors &by, const Run &run, Value out, Value row,
               Value streaming);

  RingSlot viewAsks(Value ring, Value lane, Value slot) {
    return p.viewSlot(ring, lane, slot, getAsksLayout(p.shape),
                      /*packed=*/nullptr);
  }
  /// The partial sums of a slot; see ProgramBuilder.
  Value viewSums(Value ring, Value lane, Value slot) {
    return p.viewSums(ring, lane, slot, tensors.partials);
  }
  bool isByRank() const { return route.scaleUp == pipe::Unit::Rank; }
  bool hasOtherNodes() const { return p.shape.nodes > 1; }
  bool isDealt() const { return route.forwarders == Forwarders::Balanced; }

  ProgramBuilder &p;
  const CombineTensors &tensors;
  const Route &route;
  bool weighted;
  Value streaming; ///< i1: past the caches; or null
  Value numTokens;
};
} // namespace

/// Scales travel with `y`, as a second tensor of rows.
static constexpr int64_t scalesPayload = 1;

//===----------------------------------------------------------------------===//
// The steps
//===----------------------------------------------------------------------===//

/// What is added to the sums that go to \p out: the result's, not partial ones.
static ValueRange getPlus(const CombineTensors &tensors, Value out) {
  return out == tensors.out ? ValueRange(tensors.summands) : ValueRange();
}

/// How partial sums are rounded; null: not at all.
static TypeAttr getPartials(const CombineTensors &tensors) {
  return tensors.partials.isF32() ? TypeAttr()
                                  : TypeAttr::get(tensors.partials);
}

/// The sum of the rows of \p run, read from where they are.
static void buildSumOfRows(ProgramBuilder &p, const CombineTensors &tensors,
                           const Descriptors &by, const Run &run, Value out,
                           Value row, bool weighted, Value streaming) {
  Value scaleAddresses;
  TypeAttr scaleType;
  IntegerAttr block;
  if (tensors.scales) {
    scaleAddresses = p.local(addressesOf(scalesPayload));
    scaleType = TypeAttr::get(tensors.scales.getType());
    block = p.b.getI64IntegerAttr(tensors.block);
  }
  p.b.create<ReduceRowOp>(
      p.local(shared::addresses), by.ranks, by.slots,
      weighted ? by.weights : Value(), run.token, run.begin, run.end,
      cast<MemRefType>(tensors.y.getType()), scaleAddresses, scaleType, block,
      out, row, getPlus(tensors, out), p.shape.numRanks(), p.shape.ranksPerNode,
      getPartials(tensors), streaming);
}

void fusco::buildSums(ProgramBuilder &p, const CombineTensors &tensors,
                      bool weighted, Value streaming) {
  Descriptors by = p.planDescriptors();
  p.forEach(p.index(0), p.rowsOf(tensors.out), [&](Value token) {
    buildSumOfRows(p, tensors, by, p.wholeRun(by, token), tensors.out, token,
                   weighted, streaming);
  });
}

void CombineBuilder::build() {
  // 1.
  p.setForwarders(route.forwarders);
  numTokens = p.rowsOf(tensors.out);
  Exposure exposed{{tensors.y}};
  Value room = p.rowsOf(tensors.y);
  if (tensors.scales) {
    exposed.rows.push_back(tensors.scales);
    room = p.minimum(room, p.rowsOf(tensors.scales));
  }
  Value turn = buildReadyExchange(p, exposed, numTokens, room);
  p.step("move");
  p.resolveAddresses(shared::combineHeaders, turn, exposed);
  // 2.
  if (!hasOtherNodes() && !isByRank())
    buildSums(p, tensors, weighted, streaming);
  else
    p.buildPipeline(shared::combineHeaders, turn, [&] {
      p.stage("ask", [&](Value chunk) { buildAsk(chunk); });
      if (isDealt())
        p.stage("gather", [&](Value chunk) { buildGather(chunk); });
      if (isByRank() && hasOtherNodes())
        p.stage("relay", [&](Value chunk) { buildRelay(chunk); });
      if (isByRank())
        p.stage("partial", [&](Value chunk) { buildPartial(chunk); });
      if (hasOtherNodes())
        p.stage("sum", [&](Value chunk) { buildSum(chunk); });
      if (isDealt())
        p.stage("settle", [&](Value chunk) { buildSettle(chunk); });
      p.stage("finish", [&](Value chunk) { buildFinish(chunk); });
    });
  p.meet(shared::outputsTaken); // 3.
}

void CombineBuilder::sumRows(const Descriptors &by, const Run &run, Value out,
                             Value row, Value streaming) {
  buildSumOfRows(p, tensors, by, run, out, row, weighted, streaming);
}

//===----------------------------------------------------------------------===//
// Partial sums of ranks
//===----------------------------------------------------------------------===//

void CombineBuilder::appendRequests(const Descriptors &by, const Run &run,
                                    Value origin) {
  Value theirLane = p.partnerIn(origin);
  p.forEachUnit(by, run, pipe::Unit::Rank, [&](const UnitRun &unit) {
    Value i = p.localOf(unit.rank);
    RingSlot request = viewAsks(p.peer(unit.rank, shared::requestsTaken),
                                theirLane, p.loadEntry(shared::rankSlots, i));
    p.appendUnit(request.by, p.takeEntry(shared::rankCounts, i), by, unit.run);
  });
}

void CombineBuilder::sendRequests(Value origin) {
  Value node = p.nodeOf(p.rank());
  Value theirLane = p.partnerIn(origin);
  p.forEachLocal([&](Value i) {
    Value peer = p.rankOf(node, i);
    RingSlot request = viewAsks(p.peer(peer, shared::requestsTaken), theirLane,
                                p.loadEntry(shared::rankSlots, i));
    p.store(p.toI32(p.loadEntry(shared::rankCounts, i)), request.count,
            {p.index(0)});
    p.signal(shared::requests, p.rankOf(origin, i), peer, theirLane);
  });
}

void CombineBuilder::buildPartial(Value chunk) {
  Value own = p.localOf(p.rank());
  p.forEachRank([&](Value source) {
    p.ifHasChunk(source, chunk, [&] {
      // Lanes are numbered as the ranks whose tokens they are about.
      Value asker = p.partnerOf(source);
      Value theirLane = p.rankOf(p.nodeOf(source), own);
      Value slot = p.receive(shared::requests, source, asker);
      Value answer = p.claim(shared::partials, source, asker);
      RingSlot request = viewAsks(p.local(shared::requestsTaken), source, slot);
      Value partials =
          viewSums(p.peer(asker, shared::partialsTaken), theirLane, answer);
      Value count = p.toIndex(p.load(request.count, {p.index(0)}));
      p.forEach(p.index(0), count, [&](Value unit) {
        sumRows(request.by, p.wholeRun(request.by, unit), partials, unit,
                /*streaming=*/Value());
      });
      p.b.create<FenceOp>();
      p.signal(shared::partials, source, asker, theirLane);
      p.release(shared::requests, source, asker, theirLane);
    });
  });
}

void CombineBuilder::releasePartials(Value origin) {
  Value node = p.nodeOf(p.rank());
  p.forEachLocal([&](Value i) {
    p.release(shared::partials, p.rankOf(origin, i), p.rankOf(node, i),
              p.partnerIn(origin));
  });
}

void CombineBuilder::sumRun(const Descriptors &by, const Run &run, Value origin,
                            Value out, Value row, Value streaming) {
  if (!isByRank())
    return sumRows(by, run, out, row, streaming);
  // Ranks are in ascending order, and each one's sums in that of the tokens.
  Value summands = p.local(shared::rankSummands);
  Value ring = p.local(shared::partialsTaken);
  Value number =
      p.forEachUnit(by, run, pipe::Unit::Rank, [&](const UnitRun &unit) {
        Value i = p.localOf(unit.rank);
        Value partials = viewSums(ring, p.rankOf(origin, i),
                                  p.loadEntry(shared::rankSlots, i));
        Value partial = p.takeEntry(shared::rankCounts, i);
        p.store(p.b.create<RowAddressOp>(partials, partial), summands,
                {unit.number});
      });
  p.b.create<MergeRowOp>(summands, number, out, row, getPlus(tensors, out),
                         getPartials(tensors), /*node=*/true, streaming);
}

//===----------------------------------------------------------------------===//
// Sums of nodes
//===----------------------------------------------------------------------===//

void CombineBuilder::appendAsk(const Descriptors &by, const Run &run,
                               Value lane) {
  RingSlot ask = viewAsks(p.local(shared::asksSent), lane,
                          p.loadEntry(shared::nodeSlots, lane));
  p.appendUnit(ask.by, p.takeEntry(shared::nodeCounts, lane), by, run);
}

void CombineBuilder::putAsks() {
  p.forEachOtherNode([&](const OtherNode &to) {
    Value slot = p.loadEntry(shared::nodeSlots, to.lane);
    RingSlot ask = viewAsks(p.local(shared::asksSent), to.lane, slot);
    p.store(p.toI32(p.loadEntry(shared::nodeCounts, to.lane)), ask.count,
            {p.index(0)});
    p.b.create<PutOp>(shared::asksSent, ValueRange{to.lane, slot}, to.peer,
                      shared::asksTaken, ValueRange{to.theirLane, slot},
                      getAsksLayout(p.shape).bytes(), p.index(0),
                      /*bytes_per_unit=*/0, shared::asks, to.lane,
                      to.theirLane);
  });
}

void CombineBuilder::buildAsk(Value chunk) {
  Value self = p.rank(), node = p.nodeOf(self);
  p.ifHasChunk(self, chunk, [&] {
    if (isDealt()) {
      p.claimListSlots(shared::askLists);
      p.startDealing(chunk);
    } else if (hasOtherNodes()) {
      p.claimNodeSlots(shared::asks);
    }
    if (isByRank())
      p.claimRankSlots(shared::requests, node);

    Descriptors by = p.planDescriptors();
    auto askNode = [&](const UnitRun &unit) {
      Value lane = p.laneOfNode(node, p.nodeOf(unit.rank));
      if (isDealt())
        p.appendToList(shared::askListsTaken, by, unit.run, lane);
      else
        appendAsk(by, unit.run, lane);
    };
    p.forEachToken(chunk, numTokens, [&](Value token) {
      p.forEachUnit(by, p.wholeRun(by, token), pipe::Unit::Node,
                    [&](const UnitRun &unit) {
                      auto askRanks = [&] {
                        if (isByRank())
                          appendRequests(by, unit.run, node);
                      };
                      if (!hasOtherNodes())
                        return askRanks();
                      p.ifThen(p.isInOwnNode(unit.rank), askRanks,
                               [&] { askNode(unit); });
                    });
    });

    if (isByRank())
      sendRequests(node);
    if (isDealt())
      p.sendLists(shared::askLists, shared::askListsTaken);
    else if (hasOtherNodes())
      putAsks();
  });
}

void CombineBuilder::buildGather(Value chunk) {
  Value self = p.rank(), node = p.nodeOf(self);
  p.ifHasChunk(self, chunk, [&] {
    p.claimNodeSlots(shared::asks);
    p.forEachLocal([&](Value i) {
      Value slot = p.receive(shared::askLists, i, p.rankOf(node, i));
      RingSlot list = p.viewList(p.local(shared::askListsTaken), i, slot);
      p.forEachInList(list, [&](Value unit, Value, Value lane) {
        appendAsk(list.by, p.wholeRun(list.by, unit), lane);
      });
    });
    putAsks();
  });
}

void CombineBuilder::buildRelay(Value chunk) {
  p.forEachOtherNode([&](const OtherNode &from) {
    p.ifHasChunk(from.peer, chunk, [&] {
      Value slot = p.receive(shared::asks, from.lane, from.peer);
      RingSlot ask = viewAsks(p.local(shared::asksTaken), from.lane, slot);
      p.claimRankSlots(shared::requests, from.node);
      p.forRange(p.index(0), p.toIndex(p.load(ask.count, {p.index(0)})),
                 [&](Value unit) {
                   appendRequests(ask.by, p.wholeRun(ask.by, unit), from.node);
                 });
      sendRequests(from.node);
    });
  });
}

void CombineBuilder::buildSum(Value chunk) {
  p.forEachOtherNode([&](const OtherNode &from) {
    p.ifHasChunk(from.peer, chunk, [&] {
      // Where ranks were asked, buildRelay has received it.
      Value slot = isByRank() ? p.b.create<HeldOp>(p.b.getIndexType(),
                                                   shared::asks, from.lane)
                                    .getResult()
                              : p.receive(shared::asks, from.lane, from.peer);
      RingSlot ask = viewAsks(p.local(shared::asksTaken), from.lane, slot);
      if (isByRank())
        p.receiveRankSlots(shared::partials, from.node);
      Value answer = p.claim(shared::sums, from.lane, from.peer);
      Value sums = viewSums(p.local(shared::sumsSent), from.lane, answer);
      Value count = p.toIndex(p.load(ask.count, {p.index(0)}));
      auto sumUnit = [&](Value unit) {
        sumRun(ask.by, p.wholeRun(ask.by, unit), from.node, sums, unit,
               /*streaming=*/Value());
      };
      // Partial sums are taken in order.
      if (isByRank())
        p.forRange(p.index(0), count, sumUnit);
      else
        p.forEach(p.index(0), count, sumUnit);
      int64_t bytesPerSum =
          tensors.partials.getIntOrFloatBitWidth() / 8 * p.shape.hidden;
      p.b.create<PutOp>(shared::sumsSent, ValueRange{from.lane, answer},
                        from.peer, shared::sumsTaken,
                        ValueRange{from.theirLane, answer},
                        /*head_bytes=*/0, count, bytesPerSum, shared::sums,
                        from.lane, from.theirLane);
      if (isByRank())
        releasePartials(from.node);
      p.release(shared::asks, from.lane, from.peer, from.theirLane);
    });
  });
}

/// The sums of a chunk stay until all ranks of this node have sent the lists of
/// a chunk that takes the same slot, which each does only when it has finished
/// this one: `places` answer `ask_lists`, and rings are of one depth.
void CombineBuilder::buildSettle(Value chunk) {
  Value self = p.rank(), node = p.nodeOf(self), own = p.localOf(self);
  Value otherNodes = p.index(p.shape.nodes - 1);
  p.ifHasChunk(self, chunk, [&] {
    p.receiveNodeSlots(shared::sums);
    p.forEachLocal([&](Value i) {
      Value peer = p.rankOf(node, i);
      Value slot = p.b.create<HeldOp>(p.b.getIndexType(), shared::askLists, i);
      RingSlot list = p.viewList(p.local(shared::askListsTaken), i, slot);
      Value answer = p.claim(shared::places, i, peer);
      Value places = p.peer(peer, shared::placesTaken);
      p.forRange(p.index(0), otherNodes, [&](Value lane) {
        p.store(p.load(p.local(shared::nodeSlots), {lane}), places,
                {own, answer, lane});
        p.store(p.load(p.local(shared::nodeCounts), {lane}), places,
                {own, answer, p.add(otherNodes, lane)});
      });
      // They came in the order in which gather asked.
      p.forEachInList(list, [&](Value, Value, Value lane) {
        p.takeEntry(shared::nodeCounts, lane);
      });
      p.signal(shared::places, i, peer, own);
      p.release(shared::askLists, i, peer, own);
    });
    p.forEachOtherNode([&](const OtherNode &from) {
      p.release(shared::sums, from.lane, from.peer, from.theirLane);
    });
  });
}

void CombineBuilder::buildFinish(Value chunk) {
  Value self = p.rank(), node = p.nodeOf(self), own = p.localOf(self);
  p.ifHasChunk(self, chunk, [&] {
    if (isDealt()) {
      p.receiveListSlots(shared::places);
      p.startDealing(chunk);
      p.zeroEntries(shared::dealtCounts);
    } else if (hasOtherNodes()) {
      p.receiveNodeSlots(shared::sums);
    }
    if (isByRank())
      p.receiveRankSlots(shared::partials, node);

    Descriptors by = p.planDescriptors();
    p.forEachToken(chunk, numTokens, [&](Value token) {
      Run run = p.wholeRun(by, token);
      if (hasOtherNodes())
        finishToken(by, run);
      else
        sumRun(by, run, node, tensors.out, token, streaming);
    });

    if (isByRank())
      releasePartials(node);
    if (isDealt())
      p.forEachLocal([&](Value i) {
        p.release(shared::places, i, p.rankOf(node, i), own);
      });
    else if (hasOtherNodes())
      p.forEachOtherNode([&](const OtherNode &from) {
        p.release(shared::sums, from.lane, from.peer, from.theirLane);
      });
  });
}

std::pair<Value, Value> CombineBuilder::takeSum(Value lane) {
  if (!isDealt())
    return {viewSums(p.local(shared::sumsTaken), lane,
                     p.loadEntry(shared::nodeSlots, lane)),
            p.takeEntry(shared::nodeCounts, lane)};
  Value otherNodes = p.index(p.shape.nodes - 1), from = p.deal(lane);
  Value places = p.local(shared::placesTaken);
  Value answer = p.loadEntry(shared::listSlots, from);
  Value slot = p.toIndex(p.load(places, {from, answer, lane}));
  Value first =
      p.toIndex(p.load(places, {from, answer, p.add(otherNodes, lane)}));
  Value entry = p.add(p.b.create<arith::MulIOp>(from, otherNodes), lane);
  Value ring = p.peer(p.rankOf(p.nodeOf(p.rank()), from), shared::sumsTaken);
  return {viewSums(ring, lane, slot),
          p.add(first, p.takeEntry(shared::dealtCounts, entry))};
}

void CombineBuilder::finishToken(const Descriptors &by, const Run &run) {
  Value node = p.nodeOf(p.rank()), zero = p.index(0);
  Value summands = p.local(shared::summands);
  auto ownType = MemRefType::get({1, p.shape.hidden}, tensors.partials);
  Value ownSum = p.b.create<pipe::ViewOp>(ownType, p.local(shared::ownSum),
                                          ValueRange(zero), /*offset=*/0);
  Value number =
      p.forEachUnit(by, run, pipe::Unit::Node, [&](const UnitRun &unit) {
        auto add = [&](Value sums, Value row) {
          p.store(p.b.create<RowAddressOp>(sums, row), summands, {unit.number});
        };
        p.ifThen(
            p.isInOwnNode(unit.rank),
            [&] {
              sumRun(by, unit.run, node, ownSum, zero, /*streaming=*/Value());
              add(ownSum, zero);
            },
            [&] {
              auto [sums, row] =
                  takeSum(p.laneOfNode(node, p.nodeOf(unit.rank)));
              add(sums, row);
            });
      });
  p.b.create<MergeRowOp>(summands, number, tensors.out, run.token,
                         tensors.summands, getPartials(tensors),
                         /*node=*/false, streaming);
}

void fusco::buildCombine(ProgramBuilder &p, const CombineTensors &tensors,
                         const Route &route, bool weighted, Value streaming) {
  CombineBuilder(p, tensors, route, weighted, streaming).build();
}
