//===- DispatchProgram.cpp - Plan, then every row to its slots ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The program behind a function that dispatches. On every rank:
///   1. count the assignments of each expert;
///   2. tell all ranks the counts, where this rank's output is and what room it
///      has, and whether anything is wrong here;
///   3. if anything is wrong anywhere, leave, all ranks together;
///   4. from all ranks' counts, the exact offsets; check that rows fit;
///   5. give each assignment its row (the descriptors);
///   6. move the rows: each of its tensors' row, or what it is quantised to;
///   7. counts, offsets and pads of the own output; before 6. where arrivals
///      are counted;
///   8. wait until all rows are here; where that is asked for, make ids of
///      experts local.
/// With a plan that is made already, 1 to 5 are an exchange of places only.
///
/// 6. in one node, once per assignment: copy each token's row to all its slots.
/// Otherwise a pipeline over chunks of tokens:
///   send       rows for ranks of this node to their slots; those for other
///              nodes, with their descriptors, to this rank's partner there;
///   gather     where units are dealt, send only lists them for the ranks of
///              this node, each of which reads the rows that it is to put;
///   forward    what came from other nodes to the slots of this node's ranks;
///   duplicate  where a row comes once per rank: copy it from its first slot to
///              its others, as the sender's list says;
///   collect    gradients of weights that forwarders computed.
///
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/ProgramBuilder.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

/// The packed row of \p tensors' payloads.
static PackedRow packRows(const DispatchTensors &tensors) {
  return PackedRow(llvm::map_to_vector(
      tensors.payloads, [](const Payload &payload) { return payload.wire; }));
}

namespace {
/// A row of each payload, wherever it is read from.
struct SourceRow {
  Value rows, row;
};
using SourceRows = SmallVector<SourceRow, 2>;

class DispatchBuilder {
public:
  DispatchBuilder(ProgramBuilder &p, const DispatchTensors &tensors,
                  const Route &route, bool weighted, Value streaming)
      : p(p), tensors(tensors), route(route), weighted(weighted),
        streaming(streaming), packed(packRows(tensors)) {}

  void build();

private:
  void moveRows();
  void buildStages();
  void buildSend(Value chunk);
  void buildGather(Value chunk);
  void buildForward(Value chunk);
  void buildDuplicate(Value chunk);
  void buildCollect(Value chunk);

  /// The rows of \p token that travel; quantises where that is asked for.
  /// \p xs are allTokens() of the rank that has it.
  SourceRows readToken(Value token, ArrayRef<Value> xs);
  SourceRows readToken(Value token) {
    return readToken(token, tensors.allTokens());
  }
  /// Adds a row of \p sources for each unit of \p run to the slot that is under
  /// way to the node of \p lane.
  void appendRows(const SourceRows &sources, const Descriptors &by,
                  const Run &run, Value lane);
  void putRows();
  /// \p sources to the slots of \p run, which are in this node. \p origin: the
  /// node of the rank whose token it is.
  void spread(const SourceRows &sources, const Descriptors &by, const Run &run,
              Value origin);
  /// Payload \p i of \p rank of this node, where it is stored by columns: all
  /// its elements, and how many rows there are.
  struct ColumnView {
    MemRefType type;
    Value elements, rows;
  };
  ColumnView viewColumns(unsigned i, Value rank);
  /// body(column, placeOf), where placeOf(row) are indices into the elements.
  void forEachColumn(
      const ColumnView &view,
      function_ref<void(Value, function_ref<SmallVector<Value>(Value)>)> body);
  /// \p source to row \p to of payload \p i, which is stored by columns, on
  /// \p rank of this node; here, row \p from to row \p to, and zeros to rows
  /// [from, to).
  void storeByColumns(unsigned i, const SourceRow &source, Value rank,
                      Value to);
  void copyByColumns(unsigned i, Value from, Value to);
  void zeroByColumns(unsigned i, Value from, Value to);
  void zeroRows(Value from, Value to);
  /// Writes the weights of \p run beside the rows.
  void placeWeights(const Descriptors &by, const Run &run);
  /// Counts the rows of \p run as arrived, where that is asked for.
  void arrive(const Descriptors &by, const Run &run);
  void arriveAt(Value rank, Value slot) {
    Value tile = p.b.create<arith::DivUIOp>(slot, p.index(p.shape.tileRows()));
    p.b.create<ArriveOp>(readyOf(rank), p.add(tile, 1));
  }
  Value readyOf(Value rank) {
    return p.load(p.local(shared::readyAddresses), {rank});
  }
  /// What this rank does with its token's \p run, of \p sources, in its own
  /// node.
  void place(const SourceRows &sources, const Descriptors &by, const Run &run);
  /// Sends the lists of copies of a chunk that came from node \p origin.
  void sendCopies(Value origin);
  /// The dot product of row \p row of \p source and the expert's output of
  /// descriptor \p i.
  Value buildDot(Value source, Value row, const Descriptors &by, Value token,
                 Value i);
  /// Stores the gradient of descriptor \p i of this rank's \p token.
  void storeGradient(Value gradient, Value token, Value i);
  /// Runs \p own on the descriptors of \p token in this node, and \p other on
  /// those in each other.
  void forEachDestination(const Descriptors &by, Value token,
                          function_ref<void(const Run &)> own,
                          function_ref<void(const Run &, Value lane)> other);
  RingSlot viewRows(StringRef ring, Value lane, Value slot) {
    return p.viewSlot(p.local(ring), lane, slot, getRowsLayout(p.shape),
                      &packed);
  }
  /// The gradients of a chunk's units: [units, topk].
  Value viewGradients(StringRef ring, Value lane, Value slot) {
    SlotLayout layout = getRowsLayout(p.shape);
    auto type = MemRefType::get({layout.units, layout.topk}, p.b.getF32Type());
    return p.b.create<pipe::ViewOp>(type, p.local(ring), ValueRange{lane, slot},
                                    0);
  }
  bool isByRank() const { return route.scaleUp == pipe::Unit::Rank; }
  bool hasOtherNodes() const { return p.shape.nodes > 1; }
  bool isDealt() const { return route.forwarders == Forwarders::Balanced; }
  StringRef rowsOut() const {
    return tensors.weightGradient ? shared::gradientRowsOut : shared::rowsOut;
  }

  ProgramBuilder &p;
  const DispatchTensors &tensors;
  const Route &route;
  bool weighted;
  Value streaming;  ///< i1: past the caches; or null
  PackedRow packed; ///< what travels between nodes
  StringRef headers;
  Value turn, numTokens;
};
} // namespace

//===----------------------------------------------------------------------===//
// The steps
//===----------------------------------------------------------------------===//

void DispatchBuilder::build() {
  p.setForwarders(route.forwarders);
  numTokens = p.rowsOf(tensors.tokens());
  SmallVector<Value, 2> rows = tensors.rows();
  Value room = p.rowsOf(rows.front());
  for (Value other : ArrayRef<Value>(rows).drop_front())
    room = p.minimum(room, p.rowsOf(other));
  if (tensors.rowWeights)
    room = p.minimum(room, p.rowsOf(tensors.rowWeights));
  Exposure exposed{
      rows, {}, tensors.outputs, tensors.rowWeights, tensors.ready};
  if (isDealt())
    exposed.tokens = tensors.allTokens();
  if (tensors.ids) {
    // 1. to 5.
    headers = shared::dispatchHeaders;
    ExchangedCounts exchanged =
        buildCountExchange(p, tensors.ids, tensors.placement, exposed, room,
                           /*shortage=*/{}, p.shape.tellsUnits());
    turn = exchanged.turn;
    buildAssignment(p, exchanged.ids, tensors.weights, p.local(shared::bases),
                    route);
    buildDropReport(p, tensors.ids, exchanged.ids, tensors.keptIds);
    buildForwarders(p, exchanged.units, numTokens, route);
  } else {
    headers = shared::combineHeaders;
    if (tensors.outputs)
      room = p.minimum(room, p.rowsOf(tensors.outputs));
    turn = buildReadyExchange(p, exposed, numTokens, room);
  }
  p.step("move");
  p.resolveAddresses(headers, turn, exposed);
  if (p.shape.needs.hasByColumns)
    p.forEachLocal([&](Value i) {
      Value peer = p.rankOf(p.nodeOf(p.rank()), i);
      p.store(p.b.create<arith::TruncIOp>(p.b.getI32Type(),
                                          p.roomOf(headers, turn, peer)),
              p.local(shared::roomRows), {peer});
    });
  auto buildOwnSegments = [&] {
    buildSegments(p, tensors.counts, tensors.offsets,
                  [&](Value from, Value to) { zeroRows(from, to); });
  };
  if (tensors.ready) {
    buildOwnSegments();
    p.b.create<FenceOp>();
    p.b.create<ArriveOp>(readyOf(p.rank()), p.index(0));
    p.step("move");
  }
  moveRows(); // 6.
  if (!tensors.ready)
    buildOwnSegments();     // 7.
  p.meet(shared::rowsDone); // 8.
  if (tensors.localIds)
    buildLocalIds(p, tensors.localIds);
}

void DispatchBuilder::moveRows() {
  if (tensors.weightGradient)
    p.forEach(p.index(0), numTokens, [&](Value token) {
      Value zero = p.b.create<arith::ConstantOp>(p.b.getF32FloatAttr(0));
      p.forRange(p.index(0), p.index(p.shape.topk), [&](Value k) {
        p.store(zero, tensors.weightGradient, {token, k});
      });
    });
  if (hasOtherNodes() || isByRank()) {
    p.buildPipeline(headers, turn, [&] { buildStages(); });
    return;
  }
  Descriptors by = p.planDescriptors();
  p.forEach(p.index(0), numTokens, [&](Value token) {
    place(readToken(token), by, p.wholeRun(by, token));
  });
}

void DispatchBuilder::buildStages() {
  p.stage("send", [&](Value chunk) { buildSend(chunk); });
  if (isDealt())
    p.stage("gather", [&](Value chunk) { buildGather(chunk); });
  if (hasOtherNodes())
    p.stage("forward", [&](Value chunk) { buildForward(chunk); });
  if (isByRank())
    p.stage("duplicate", [&](Value chunk) { buildDuplicate(chunk); });
  if (hasOtherNodes() && tensors.weightGradient)
    p.stage("collect", [&](Value chunk) { buildCollect(chunk); });
}

//===----------------------------------------------------------------------===//
// Rows within a node
//===----------------------------------------------------------------------===//

void DispatchBuilder::sendCopies(Value origin) {
  Value node = p.nodeOf(p.rank());
  Value theirLane = p.partnerIn(origin), zero = p.index(0);
  p.b.create<FenceOp>();
  p.forEachLocal([&](Value i) {
    Value peer = p.rankOf(node, i);
    Value count = p.loadEntry(shared::rankCounts, i);
    p.store(p.toI32(count), p.peer(peer, shared::copyLists),
            {theirLane, p.loadEntry(shared::rankSlots, i), zero});
    p.signal(shared::copies, p.rankOf(origin, i), peer, theirLane);
  });
}

SourceRows DispatchBuilder::readToken(Value token, ArrayRef<Value> xs) {
  SourceRows sources;
  for (const Payload &payload : tensors.payloads) {
    sources.push_back({payload.x ? xs.front() : Value(), token});
    xs = xs.drop_front(payload.x ? 1 : 0);
  }
  if (tensors.quantizations.empty())
    return sources;
  Value scratch = p.local(shared::scratch), first = p.index(0);
  Value worker = p.b.create<WorkerOp>(p.b.getIndexType());
  auto viewRow = [&](unsigned payload) -> Value {
    return p.b.create<pipe::ViewOp>(packed.getType(payload, 1), scratch,
                                    ValueRange{worker},
                                    packed.offsets[payload]);
  };
  for (const Quantization &made : tensors.quantizations) {
    Value data = viewRow(made.data), scales = viewRow(made.scales);
    p.b.create<QuantizeRowOp>(xs.front(), token, data, scales, first,
                              made.block);
    xs = xs.drop_front();
    sources[made.data] = {data, first};
    sources[made.scales] = {scales, first};
  }
  return sources;
}

void DispatchBuilder::spread(const SourceRows &sources, const Descriptors &by,
                             const Run &run, Value origin) {
  auto copy = [&](const Run &destinations) {
    for (auto [i, source] : llvm::enumerate(sources)) {
      if (tensors.payloads[i].isByColumns) {
        p.forRange(destinations.begin, destinations.end, [&](Value at) {
          storeByColumns(i, source,
                         p.toIndex(p.load(by.ranks, {destinations.token, at})),
                         p.toIndex(p.load(by.slots, {destinations.token, at})));
        });
        continue;
      }
      p.b.create<CopyRowOp>(
          source.rows, source.row, p.local(addressesOf(i)), by.ranks, by.slots,
          weighted ? by.weights : Value(), destinations.token,
          destinations.begin, destinations.end,
          cast<MemRefType>(tensors.payloads[i].rows.getType()), streaming);
    }
  };
  placeWeights(by, run);
  if (!isByRank()) {
    copy(run);
    return arrive(by, run);
  }
  Value theirLane = p.partnerIn(origin);
  p.forEachUnit(by, run, pipe::Unit::Rank, [&](const UnitRun &unit) {
    Value token = unit.run.token, first = unit.run.begin;
    Value second = p.add(first, 1), i = p.localOf(unit.rank);
    copy({token, first, second});
    arrive(by, {token, first, second});
    p.forRange(second, unit.run.end, [&](Value other) {
      Value number = p.takeEntry(shared::rankCounts, i);
      Value at = p.add(p.b.create<arith::MulIOp>(number, p.index(2)), 1);
      Value list = p.peer(unit.rank, shared::copyLists);
      Value slot = p.loadEntry(shared::rankSlots, i);
      p.store(p.load(by.slots, {token, first}), list, {theirLane, slot, at});
      p.store(p.load(by.slots, {token, other}), list,
              {theirLane, slot, p.add(at, 1)});
    });
  });
}

DispatchBuilder::ColumnView DispatchBuilder::viewColumns(unsigned i,
                                                         Value rank) {
  auto type = cast<MemRefType>(tensors.payloads[i].rows.getType());
  Value address = p.load(p.local(addressesOf(i)), {rank});
  return {type, p.viewElements(address, type),
          p.loadEntry(shared::roomRows, rank)};
}

void DispatchBuilder::forEachColumn(
    const ColumnView &view,
    function_ref<void(Value, function_ref<SmallVector<Value>(Value)>)> body) {
  p.forEach(p.index(0), p.index(view.type.getDimSize(1)), [&](Value column) {
    body(column, [&](Value row) -> SmallVector<Value> {
      return {p.placeByColumns(view.type, row, column, view.rows), p.index(0)};
    });
  });
}

void DispatchBuilder::storeByColumns(unsigned i, const SourceRow &source,
                                     Value rank, Value to) {
  ColumnView view = viewColumns(i, rank);
  forEachColumn(view, [&](Value column, auto placeOf) {
    p.store(p.load(source.rows, {source.row, column}), view.elements,
            placeOf(to));
  });
}

void DispatchBuilder::copyByColumns(unsigned i, Value from, Value to) {
  ColumnView view = viewColumns(i, p.rank());
  forEachColumn(view, [&](Value, auto placeOf) {
    p.store(p.load(view.elements, placeOf(from)), view.elements, placeOf(to));
  });
}

void DispatchBuilder::zeroByColumns(unsigned i, Value from, Value to) {
  ColumnView view = viewColumns(i, p.rank());
  Value zero = p.b.create<arith::ConstantOp>(
      p.b.getZeroAttr(view.type.getElementType()));
  forEachColumn(view, [&](Value, auto placeOf) {
    p.forRange(from, to,
               [&](Value row) { p.store(zero, view.elements, placeOf(row)); });
  });
}

void DispatchBuilder::zeroRows(Value from, Value to) {
  for (auto [i, payload] : llvm::enumerate(tensors.payloads)) {
    if (payload.isByColumns)
      zeroByColumns(i, from, to);
    else
      p.b.create<ZeroRowsOp>(payload.rows, from, to);
  }
  if (tensors.rowWeights)
    p.b.create<ZeroRowsOp>(tensors.rowWeights, from, to);
}

void DispatchBuilder::placeWeights(const Descriptors &by, const Run &run) {
  if (!tensors.rowWeights)
    return;
  auto type = cast<MemRefType>(tensors.rowWeights.getType());
  p.forRange(run.begin, run.end, [&](Value i) {
    Value rank = p.toIndex(p.load(by.ranks, {run.token, i}));
    Value slot = p.toIndex(p.load(by.slots, {run.token, i}));
    Value elements = p.viewElements(
        p.load(p.local(shared::rowWeightAddresses), {rank}), type);
    p.store(p.load(by.weights, {run.token, i}), elements, {slot, p.index(0)});
  });
}

void DispatchBuilder::arrive(const Descriptors &by, const Run &run) {
  if (!tensors.ready)
    return;
  p.b.create<FenceOp>();
  p.forRange(run.begin, run.end, [&](Value i) {
    arriveAt(p.toIndex(p.load(by.ranks, {run.token, i})),
             p.toIndex(p.load(by.slots, {run.token, i})));
  });
}

void DispatchBuilder::place(const SourceRows &sources, const Descriptors &by,
                            const Run &run) {
  Value token = run.token;
  spread(sources, by, run, p.nodeOf(p.rank()));
  if (tensors.weightGradient)
    p.forRange(run.begin, run.end, [&](Value i) {
      storeGradient(buildDot(tensors.tokens(), token, by, token, i), token, i);
    });
}

void DispatchBuilder::buildDuplicate(Value chunk) {
  Value own = p.localOf(p.rank());
  p.forEachRank([&](Value source) {
    p.ifHasChunk(source, chunk, [&] {
      // The source itself, or its forwarder. Lanes are numbered as ranks are.
      Value sender = p.partnerOf(source);
      Value slot = p.receive(shared::copies, source, sender);
      Value list = p.local(shared::copyLists);
      Value count = p.toIndex(p.load(list, {source, slot, p.index(0)}));
      p.forEach(p.index(0), count, [&](Value number) {
        Value at = p.add(p.b.create<arith::MulIOp>(number, p.index(2)), 1);
        Value from = p.toIndex(p.load(list, {source, slot, at}));
        Value to = p.toIndex(p.load(list, {source, slot, p.add(at, 1)}));
        for (auto [i, payload] : llvm::enumerate(tensors.payloads)) {
          if (payload.isByColumns)
            copyByColumns(i, from, to);
          else
            p.b.create<StoreRowOp>(payload.rows, from, payload.rows, to,
                                   streaming);
        }
        if (tensors.ready) {
          p.b.create<FenceOp>();
          arriveAt(p.rank(), to);
        }
      });
      p.release(shared::copies, source, sender,
                p.rankOf(p.nodeOf(source), own));
    });
  });
}

//===----------------------------------------------------------------------===//
// Rows between nodes
//===----------------------------------------------------------------------===//

void DispatchBuilder::forEachDestination(
    const Descriptors &by, Value token, function_ref<void(const Run &)> own,
    function_ref<void(const Run &, Value)> other) {
  Run whole = p.wholeRun(by, token);
  if (!hasOtherNodes())
    return own(whole);
  Value node = p.nodeOf(p.rank());
  p.forEachUnit(by, whole, pipe::Unit::Node, [&](const UnitRun &part) {
    Value destination = p.nodeOf(part.rank);
    p.ifThen(
        p.compare(Cmp::eq, destination, node), [&] { own(part.run); },
        [&] { other(part.run, p.laneOfNode(node, destination)); });
  });
}

void DispatchBuilder::appendRows(const SourceRows &sources,
                                 const Descriptors &by, const Run &run,
                                 Value lane) {
  p.forEachUnit(by, run, route.scaleOut, [&](const UnitRun &unit) {
    Value number = p.takeEntry(shared::nodeCounts, lane);
    RingSlot sent =
        viewRows(shared::rowsSent, lane, p.loadEntry(shared::nodeSlots, lane));
    for (auto [source, to] : llvm::zip_equal(sources, sent.rows))
      p.b.create<StoreRowOp>(source.rows, source.row, to, number,
                             /*streaming=*/Value());
    p.appendUnit(sent.by, number, by, unit.run);
  });
}

void DispatchBuilder::putRows() {
  p.forEachOtherNode([&](const OtherNode &to) {
    SlotLayout layout = getRowsLayout(p.shape);
    Value slot = p.loadEntry(shared::nodeSlots, to.lane);
    Value count = p.loadEntry(shared::nodeCounts, to.lane);
    RingSlot sent = viewRows(shared::rowsSent, to.lane, slot);
    p.store(p.toI32(count), sent.count, {p.index(0)});
    p.b.create<PutOp>(shared::rowsSent, ValueRange{to.lane, slot}, to.peer,
                      shared::rowsForwarded, ValueRange{to.theirLane, slot},
                      layout.rowsOffset(), count, packed.bytes, rowsOut(),
                      to.lane, to.theirLane);
  });
}

void DispatchBuilder::buildSend(Value chunk) {
  Value self = p.rank(), node = p.nodeOf(self);
  p.ifHasChunk(self, chunk, [&] {
    if (isDealt()) {
      p.claimListSlots(shared::rowLists);
      p.startDealing(chunk);
    } else if (hasOtherNodes()) {
      p.claimNodeSlots(rowsOut());
    }
    if (isByRank())
      p.claimRankSlots(shared::copies, node);

    Descriptors by = p.planDescriptors();
    p.forEachToken(chunk, numTokens, [&](Value token) {
      if (isDealt()) // one rank reads the row for this node, others for others
        return forEachDestination(
            by, token,
            [&](const Run &run) { place(readToken(token), by, run); },
            [&](const Run &run, Value lane) {
              p.appendToList(shared::rowListsTaken, by, run, lane);
            });
      SourceRows sources = readToken(token);
      forEachDestination(
          by, token, [&](const Run &run) { place(sources, by, run); },
          [&](const Run &run, Value lane) {
            appendRows(sources, by, run, lane);
          });
    });

    if (isByRank())
      sendCopies(node);
    if (isDealt())
      p.sendLists(shared::rowLists, shared::rowListsTaken);
    else if (hasOtherNodes())
      putRows();
  });
}

void DispatchBuilder::buildGather(Value chunk) {
  Value self = p.rank(), node = p.nodeOf(self), own = p.localOf(self);
  p.ifHasChunk(self, chunk, [&] {
    p.claimNodeSlots(rowsOut());
    p.forEachLocal([&](Value i) {
      Value peer = p.rankOf(node, i);
      Value slot = p.receive(shared::rowLists, i, peer);
      RingSlot list = p.viewList(p.local(shared::rowListsTaken), i, slot);
      SmallVector<Value, 2> xs;
      for (Value x : tensors.allTokens()) {
        auto type = cast<MemRefType>(x.getType());
        Value addresses = p.local(tokenAddressesOf(xs.size()));
        xs.push_back(p.b.create<RowsAtOp>(
            MemRefType::get(
                {std::max<int64_t>(1, p.shape.maxTokens), type.getDimSize(1)},
                type.getElementType()),
            p.load(addresses, {peer})));
      }
      p.forEachInList(list, [&](Value unit, Value token, Value lane) {
        appendRows(readToken(token, xs), list.by, p.wholeRun(list.by, unit),
                   lane);
      });
      p.release(shared::rowLists, i, peer, own);
    });
    putRows();
  });
}

void DispatchBuilder::buildForward(Value chunk) {
  p.forEachOtherNode([&](const OtherNode &from) {
    p.ifHasChunk(from.peer, chunk, [&] {
      Value slot = p.receive(rowsOut(), from.lane, from.peer);
      RingSlot taken = viewRows(shared::rowsForwarded, from.lane, slot);
      Value count = p.toIndex(p.load(taken.count, {p.index(0)}));
      if (isByRank())
        p.claimRankSlots(shared::copies, from.node);
      auto spreadUnit = [&](Value unit) {
        SourceRows sources;
        for (Value rows : taken.rows)
          sources.push_back({rows, unit});
        spread(sources, taken.by, p.wholeRun(taken.by, unit), from.node);
      };
      // Lists of copies are written in order.
      if (isByRank())
        p.forRange(p.index(0), count, spreadUnit);
      else
        p.forEach(p.index(0), count, spreadUnit);
      if (isByRank())
        sendCopies(from.node);
      if (tensors.weightGradient) {
        Value answer = p.claim(shared::gradients, from.lane, from.peer);
        Value sent = viewGradients(shared::gradientsSent, from.lane, answer);
        p.forEach(p.index(0), count, [&](Value unit) {
          Run run = p.wholeRun(taken.by, unit);
          p.forRange(run.begin, run.end, [&](Value i) {
            p.store(buildDot(taken.rows.front(), unit, taken.by, unit, i), sent,
                    {unit, i});
          });
        });
        p.b.create<PutOp>(shared::gradientsSent, ValueRange{from.lane, answer},
                          from.peer, shared::gradientsTaken,
                          ValueRange{from.theirLane, answer}, /*head_bytes=*/0,
                          count, 4 * p.shape.topk, shared::gradients, from.lane,
                          from.theirLane);
      }
      p.release(rowsOut(), from.lane, from.peer, from.theirLane);
    });
  });
}

//===----------------------------------------------------------------------===//
// Gradients of weights
//===----------------------------------------------------------------------===//

Value DispatchBuilder::buildDot(Value source, Value row, const Descriptors &by,
                                Value token, Value i) {
  auto type = cast<MemRefType>(tensors.outputs.getType());
  int64_t bytesPerRow = type.getDimSize(1) * type.getElementTypeBitWidth() / 8;
  Value rank = p.toIndex(p.load(by.ranks, {token, i}));
  Value offset = p.b.create<arith::MulIOp>(
      p.toI64(p.load(by.slots, {token, i})), p.i64(bytesPerRow));
  Value address =
      p.add(p.load(p.local(shared::outputAddresses), {rank}), offset);
  return p.b.create<DotRowOp>(p.b.getF32Type(), source, row, address, type);
}

void DispatchBuilder::storeGradient(Value gradient, Value token, Value i) {
  Value k = p.toIndex(p.load(p.local(shared::order), {token, i}));
  p.store(gradient, tensors.weightGradient, {token, k});
}

void DispatchBuilder::buildCollect(Value chunk) {
  p.ifHasChunk(p.rank(), chunk, [&] {
    p.receiveNodeSlots(shared::gradients);
    Descriptors by = p.planDescriptors();
    p.forEachToken(chunk, numTokens, [&](Value token) {
      forEachDestination(
          by, token, [](const Run &) {},
          [&](const Run &run, Value lane) {
            p.forEachUnit(by, run, route.scaleOut, [&](const UnitRun &unit) {
              Value number = p.takeEntry(shared::nodeCounts, lane);
              Value taken = viewGradients(shared::gradientsTaken, lane,
                                          p.loadEntry(shared::nodeSlots, lane));
              p.forRange(unit.run.begin, unit.run.end, [&](Value i) {
                Value at = p.b.create<arith::SubIOp>(i, unit.run.begin);
                storeGradient(p.load(taken, {number, at}), token, i);
              });
            });
          });
    });
    p.forEachOtherNode([&](const OtherNode &from) {
      p.release(shared::gradients, from.lane, from.peer, from.theirLane);
    });
  });
}

void fusco::buildDispatch(ProgramBuilder &p, const DispatchTensors &tensors,
                          const Route &route, bool weighted, Value streaming) {
  DispatchBuilder(p, tensors, route, weighted, streaming).build();
}
