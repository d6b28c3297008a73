//===- ProgramBuilder.cpp - What the builders of programs share -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See ProgramBuilder.h.
///
//===----------------------------------------------------------------------===//

#include "passes/ProgramBuilder.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

void ProgramBuilder::step(StringRef name) {
  if (shape.hasSteps)
    b.create<StepOp>(name);
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value ProgramBuilder::index(int64_t value) {
  return b.create<arith::ConstantIndexOp>(value);
}
Value ProgramBuilder::i32(int64_t value) {
  return b.create<arith::ConstantIntOp>(value, 32);
}
Value ProgramBuilder::i64(int64_t value) {
  return b.create<arith::ConstantIntOp>(value, 64);
}
Value ProgramBuilder::toI64(Value value) {
  if (value.getType().isIndex())
    return b.create<arith::IndexCastOp>(b.getI64Type(), value);
  return b.create<arith::ExtSIOp>(b.getI64Type(), value);
}
Value ProgramBuilder::toI32(Value index) {
  return b.create<arith::IndexCastOp>(b.getI32Type(), index);
}
Value ProgramBuilder::toIndex(Value value) {
  return b.create<arith::IndexCastOp>(b.getIndexType(), value);
}
Value ProgramBuilder::compare(arith::CmpIPredicate predicate, Value lhs,
                              Value rhs) {
  return b.create<arith::CmpIOp>(predicate, lhs, rhs);
}
Value ProgramBuilder::add(Value lhs, Value rhs) {
  return b.create<arith::AddIOp>(lhs, rhs);
}
Value ProgramBuilder::add(Value lhs, int64_t value) {
  return add(lhs, index(value));
}
Value ProgramBuilder::minimum(Value lhs, Value rhs) {
  return b.create<arith::MinSIOp>(lhs, rhs);
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

void ProgramBuilder::forRange(Value from, Value to,
                              function_ref<void(Value)> body) {
  auto loop = b.create<scf::ForOp>(from, to, index(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void ProgramBuilder::forEach(Value from, Value to,
                             function_ref<void(Value)> body) {
  auto loop = b.create<ForEachOp>(from, to);
  OpBuilder::InsertionGuard guard(b);
  Block &block = loop.getBody().emplaceBlock();
  Value i = block.addArgument(b.getIndexType(), b.getLoc());
  b.setInsertionPointToStart(&block);
  body(i);
}

Value ProgramBuilder::sum(Value from, Value to,
                          function_ref<Value(Value)> value) {
  auto loop = b.create<scf::ForOp>(
      from, to, index(1), ValueRange(i32(0)),
      [&](OpBuilder &, Location, Value i, ValueRange carried) {
        Value next = add(carried[0], value(i));
        b.create<scf::YieldOp>(ValueRange(next));
      });
  return loop.getResult(0);
}

void ProgramBuilder::forEachRank(function_ref<void(Value)> body) {
  forRange(index(0), index(shape.numRanks()), body);
}

void ProgramBuilder::forEachLocal(function_ref<void(Value)> body) {
  forRange(index(0), index(shape.ranksPerNode), body);
}

void ProgramBuilder::ifThen(Value condition, function_ref<void()> then,
                            function_ref<void()> otherwise) {
  auto branch = b.create<scf::IfOp>(condition, static_cast<bool>(otherwise));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  then();
  if (otherwise) {
    b.setInsertionPointToStart(branch.elseBlock());
    otherwise();
  }
}

//===----------------------------------------------------------------------===//
// Ranks and nodes
//===----------------------------------------------------------------------===//

Value ProgramBuilder::rank() { return b.create<RankOp>(); }

Value ProgramBuilder::nodeOf(Value rank) {
  return b.create<arith::DivUIOp>(rank, index(shape.ranksPerNode));
}

Value ProgramBuilder::localOf(Value rank) {
  return b.create<arith::RemUIOp>(rank, index(shape.ranksPerNode));
}

Value ProgramBuilder::rankOf(Value node, Value local) {
  return add(b.create<arith::MulIOp>(node, index(shape.ranksPerNode)), local);
}

Value ProgramBuilder::localAfter(Value local) {
  Value after = add(local, 1);
  Value isLast = compare(Cmp::eq, after, index(shape.ranksPerNode));
  return b.create<arith::SelectOp>(isLast, index(0), after);
}

Value ProgramBuilder::rankOfExpert(const BlockPlacement &placement,
                                   Value expert) {
  // BlockPlacement, as code.
  int64_t perRank = placement.expertsPerRank();
  int64_t larger = placement.largerRanks();
  Value rank;
  if (perRank > 0) {
    Value rest = add(expert, -larger * (perRank + 1));
    rank = add(b.create<arith::DivSIOp>(rest, index(perRank)), larger);
  }
  if (larger == 0)
    return rank;
  Value inLarger = b.create<arith::DivUIOp>(expert, index(perRank + 1));
  if (!rank)
    return inLarger;
  Value isInLarger = compare(Cmp::slt, expert, index(larger * (perRank + 1)));
  return b.create<arith::SelectOp>(isInLarger, inLarger, rank);
}

Value ProgramBuilder::partnerIn(Value node) {
  return forwarders == Forwarders::Groups ? loadEntry(shared::partners, node)
                                          : rankOf(node, localOf(rank()));
}

Value ProgramBuilder::partnerOf(Value other) {
  return forwarders == Forwarders::Groups
             ? loadEntry(shared::forwarders, other)
             : rankOf(nodeOf(rank()), localOf(other));
}

Value ProgramBuilder::isInOwnNode(Value of) {
  return compare(Cmp::eq, nodeOf(of), nodeOf(rank()));
}

Value ProgramBuilder::laneOfNode(Value of, Value node) {
  Value isBelow = compare(Cmp::slt, node, of);
  return b.create<arith::SelectOp>(isBelow, node, add(node, -1));
}

void ProgramBuilder::forEachOtherNode(
    function_ref<void(const OtherNode &)> body) {
  Value own = nodeOf(rank());
  forRange(index(0), index(shape.nodes - 1), [&](Value lane) {
    Value isBelow = compare(Cmp::slt, lane, own);
    Value node = b.create<arith::SelectOp>(isBelow, lane, add(lane, 1));
    body({node, lane, partnerIn(node), laneOfNode(node, own)});
  });
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// The type that the buffer \p name is declared with.
MemRefType ProgramBuilder::lookupBufferType(StringRef name) {
  auto symbol = StringAttr::get(b.getContext(), name);
  return SymbolTable::lookupNearestSymbolFrom<BufferOp>(program, symbol)
      .getMemRefType();
}

Value ProgramBuilder::local(StringRef name) {
  return b.create<LocalOp>(lookupBufferType(name), name);
}

Value ProgramBuilder::peer(Value rank, StringRef name) {
  return b.create<PeerOp>(lookupBufferType(name), rank, name);
}

Value ProgramBuilder::load(Value memref, ValueRange indices) {
  return b.create<memref::LoadOp>(memref, indices);
}

void ProgramBuilder::store(Value value, Value memref, ValueRange indices) {
  b.create<memref::StoreOp>(value, memref, indices);
}

Value ProgramBuilder::loadEntry(StringRef name, Value at) {
  return toIndex(load(local(name), {at}));
}

void ProgramBuilder::storeEntry(Value index, StringRef name, Value at) {
  store(toI32(index), local(name), {at});
}

Value ProgramBuilder::takeEntry(StringRef name, Value at) {
  Value entry = loadEntry(name, at);
  storeEntry(add(entry, 1), name, at);
  return entry;
}

void ProgramBuilder::zeroEntries(StringRef name) {
  forEach(index(0), index(lookupBufferType(name).getDimSize(0)),
          [&](Value at) { storeEntry(index(0), name, at); });
}

Value ProgramBuilder::firstRows(Value table, Value count) {
  auto type = cast<MemRefType>(table.getType());
  int64_t columns = type.getDimSize(1);
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  return b.create<memref::SubViewOp>(
      MemRefType::get({ShapedType::kDynamic, columns}, type.getElementType(),
                      StridedLayoutAttr::get(b.getContext(), 0, {columns, 1})),
      table, SmallVector<OpFoldResult>{zero, zero},
      SmallVector<OpFoldResult>{count, b.getIndexAttr(columns)},
      SmallVector<OpFoldResult>{one, one});
}

Value ProgramBuilder::viewElements(Value address, MemRefType type) {
  // More than any tensor has; what is written was checked to fit.
  auto elements = MemRefType::get({std::numeric_limits<int32_t>::max(), 1},
                                  type.getElementType());
  return b.create<RowsAtOp>(elements, address);
}

Value ProgramBuilder::placeByColumns(MemRefType type, Value row, Value column,
                                     Value rows) {
  auto times = [&](Value a, Value factor) -> Value {
    return b.create<arith::MulIOp>(a, factor);
  };
  if (!shape.capacity)
    return add(times(column, rows), row);
  // Each expert's slots by themselves.
  Value capacity = index(shape.capacity);
  Value expert = b.create<arith::DivUIOp>(row, capacity);
  Value slot = b.create<arith::RemUIOp>(row, capacity);
  Value columns = add(times(expert, index(type.getDimSize(1))), column);
  return add(times(columns, capacity), slot);
}

Value ProgramBuilder::rowsOf(Value tensor) {
  return b.create<memref::DimOp>(tensor, 0);
}

RingSlot ProgramBuilder::viewSlot(Value ring, Value lane, Value slot,
                                  const SlotLayout &layout,
                                  const PackedRow *packed) {
  auto viewAs = [&](MemRefType type, int64_t offset) {
    return b.create<pipe::ViewOp>(type, ring, ValueRange{lane, slot}, offset);
  };
  auto view = [&](int64_t offset, ArrayRef<int64_t> dims, Type element) {
    return viewAs(MemRefType::get(dims, element), offset);
  };
  Type i32 = b.getI32Type();
  SmallVector<int64_t> table{layout.units, layout.topk};
  RingSlot result;
  result.count = view(0, {1}, i32);
  result.by = {view(layout.fanoutOffset(), {layout.units}, i32),
               view(layout.ranksOffset(), table, i32),
               view(layout.slotsOffset(), table, i32),
               view(layout.weightsOffset(), table, b.getF32Type())};
  if (packed)
    for (auto [i, offset] : llvm::enumerate(packed->offsets))
      result.rows.push_back(viewAs(packed->getType(i, layout.units),
                                   layout.rowsOffset() + offset));
  return result;
}

Value ProgramBuilder::viewSums(Value ring, Value lane, Value slot,
                               Type element) {
  auto type =
      MemRefType::get({shape.chunking.chunkTokens, shape.hidden}, element);
  return b.create<pipe::ViewOp>(type, ring, ValueRange{lane, slot},
                                /*offset=*/0);
}

RingSlot ProgramBuilder::viewList(Value ring, Value lane, Value slot) {
  PackedRow entry = getListEntryRow(b.getContext());
  return viewSlot(ring, lane, slot, getListLayout(shape), &entry);
}

//===----------------------------------------------------------------------===//
// Descriptors
//===----------------------------------------------------------------------===//

Descriptors ProgramBuilder::planDescriptors() {
  return {local(shared::fanout), local(shared::ranks), local(shared::slots),
          local(shared::weights)};
}

Run ProgramBuilder::wholeRun(const Descriptors &by, Value token) {
  return {token, index(0), toIndex(load(by.fanout, {token}))};
}

Value ProgramBuilder::forEachUnit(const Descriptors &by, const Run &run,
                                  pipe::Unit unit,
                                  function_ref<void(const UnitRun &)> body) {
  auto rankAt = [&](Value i) {
    return toIndex(load(by.ranks, {run.token, i}));
  };
  if (unit == pipe::Unit::Assignment) {
    forRange(run.begin, run.end, [&](Value i) {
      Value number = b.create<arith::SubIOp>(i, run.begin);
      body({{run.token, i, add(i, 1)}, rankAt(i), number});
    });
    return b.create<arith::SubIOp>(run.end, run.begin);
  }
  auto groupOf = [&](Value rank) {
    return unit == pipe::Unit::Node ? nodeOf(rank) : rank;
  };
  Type indexType = b.getIndexType();
  auto units = b.create<scf::WhileOp>(
      TypeRange{indexType, indexType}, ValueRange{run.begin, index(0)},
      [&](OpBuilder &, Location, ValueRange at) {
        b.create<scf::ConditionOp>(compare(Cmp::slt, at[0], run.end), at);
      },
      [&](OpBuilder &, Location, ValueRange at) {
        Value first = rankAt(at[0]), group = groupOf(first);
        auto end = b.create<scf::WhileOp>(
            TypeRange(indexType), ValueRange(add(at[0], 1)),
            [&](OpBuilder &, Location, ValueRange next) {
              Value isIn = compare(Cmp::slt, next[0], run.end);
              Value inside = b.create<arith::SelectOp>(isIn, next[0], at[0]);
              Value isSame = compare(Cmp::eq, groupOf(rankAt(inside)), group);
              b.create<scf::ConditionOp>(b.create<arith::AndIOp>(isIn, isSame),
                                         next);
            },
            [&](OpBuilder &, Location, ValueRange next) {
              b.create<scf::YieldOp>(add(next[0], 1));
            });
        body({{run.token, at[0], end.getResult(0)}, first, at[1]});
        b.create<scf::YieldOp>(ValueRange{end.getResult(0), add(at[1], 1)});
      });
  return units.getResult(1);
}

void ProgramBuilder::appendUnit(const Descriptors &to, Value number,
                                const Descriptors &from, const Run &run) {
  Value fanout = b.create<arith::SubIOp>(run.end, run.begin);
  store(toI32(fanout), to.fanout, {number});
  forEach(index(0), fanout, [&](Value i) {
    Value at = add(run.begin, i);
    store(load(from.ranks, {run.token, at}), to.ranks, {number, i});
    store(load(from.slots, {run.token, at}), to.slots, {number, i});
    store(load(from.weights, {run.token, at}), to.weights, {number, i});
  });
}

//===----------------------------------------------------------------------===//
// Exchange
//===----------------------------------------------------------------------===//

/// Fields of a header, each of two words.
enum HeaderField {
  statusField,
  roomField,
  windowField,
  tokensField,
  outputWindowField,
  moreWindowsField, ///< of payloads but the first
  tokenWindowsField = moreWindowsField + maxPayloads - 1,
  placementHashField = tokenWindowsField + maxPayloads,
  rowWeightsWindowField,
  readyWindowField,
  numHeaderFields
};
static_assert(2 * numHeaderFields <= headerWords, "a header holds all fields");

static int64_t getWindowField(int64_t payload) {
  return payload == 0 ? int64_t(windowField) : moreWindowsField + payload - 1;
}

namespace {
/// Where a header says where `tensor` is, and the table of all ranks' addresses
/// of the like.
struct ExposedTensor {
  Value tensor;
  int64_t windowField;
  std::string addresses;
};
} // namespace

static SmallVector<ExposedTensor> listExposed(const Exposure &exposed) {
  SmallVector<ExposedTensor> list;
  for (auto [payload, rows] : llvm::enumerate(exposed.rows))
    list.push_back({rows, getWindowField(payload), addressesOf(payload)});
  for (auto [x, tokens] : llvm::enumerate(exposed.tokens))
    list.push_back({tokens, static_cast<int64_t>(tokenWindowsField + x),
                    tokenAddressesOf(x)});
  auto addIfThere = [&](Value tensor, HeaderField field, StringRef addresses) {
    if (tensor)
      list.push_back({tensor, field, addresses.str()});
  };
  addIfThere(exposed.outputs, outputWindowField, shared::outputAddresses);
  addIfThere(exposed.rowWeights, rowWeightsWindowField,
             shared::rowWeightAddresses);
  addIfThere(exposed.ready, readyWindowField, shared::readyAddresses);
  return list;
}

void ProgramBuilder::failIf(Value condition, Status status, Value a, Value b2,
                            Value c) {
  b.create<FailIfOp>(condition, status, a, b2, c);
}

Value ProgramBuilder::loadField(Value table, Value turn, Value of,
                                int64_t field) {
  Value low = b.create<arith::ExtUIOp>(
      b.getI64Type(), load(table, {turn, of, index(2 * field)}));
  Value high = toI64(load(table, {turn, of, index(2 * field + 1)}));
  return b.create<arith::OrIOp>(b.create<arith::ShLIOp>(high, i64(32)), low);
}

Value ProgramBuilder::exchangeHeaders(StringRef headers, StringRef exchange,
                                      const Header &header,
                                      ArrayRef<HeaderTable> tables) {
  SmallVector<std::pair<Value, int64_t>> windows;
  for (const ExposedTensor &exposed : listExposed(header.exposed))
    windows.emplace_back(b.create<WindowOp>(exposed.tensor),
                         exposed.windowField);
  step("exchange");
  Value self = rank(), turn = claim(exchange, self, self);
  Value table = local(headers);
  auto storeField = [&](Value value, int64_t field) {
    Value high = b.create<arith::ShRUIOp>(value, i64(32));
    Type i32 = b.getI32Type();
    store(b.create<arith::TruncIOp>(i32, value), table,
          {turn, self, index(2 * field)});
    store(b.create<arith::TruncIOp>(i32, high), table,
          {turn, self, index(2 * field + 1)});
  };
  storeField(header.status, statusField);
  storeField(toI64(header.rows), roomField);
  storeField(toI64(header.tokens), tokensField);
  for (auto [window, field] : windows)
    storeField(window, field);
  if (header.placementHash)
    storeField(header.placementHash, placementHashField);
  int64_t first = headerWords;
  for (auto [entries, count] : tables) {
    forEach(index(0), index(count), [&, entries = entries](Value i) {
      store(load(entries, {i}), table, {turn, self, add(i, first)});
    });
    first += count;
  }

  // What stands in the own table is put to the same place of every peer's.
  int64_t bytes = 4 * lookupBufferType(headers).getShape().back();
  SmallVector<Value> place{turn, self};
  forEachRank([&](Value to) {
    b.create<PutOp>(headers, place, to, headers, place, bytes, index(0),
                    /*bytes_per_unit=*/0, exchange, to, self);
  });
  forEachRank([&](Value from) { receive(exchange, from, from); });
  return turn;
}

Value ProgramBuilder::ownStatus(Value otherwise, const Shortage &shortage) {
  if (shortage.isShort)
    otherwise = b.create<arith::SelectOp>(
        shortage.isShort, i64(static_cast<int64_t>(Status::Capacity)),
        otherwise);
  Value refusal = b.create<pipe::StatusOp>();
  Value isRefused = compare(Cmp::ne, refusal, i64(0));
  return b.create<arith::SelectOp>(isRefused, refusal, otherwise);
}

void ProgramBuilder::failIfRefused(const Shortage &shortage) {
  Value refusal = b.create<pipe::StatusOp>(), zero = i64(0);
  failIf(compare(Cmp::ne, refusal, zero), Status::Refused, zero, zero, zero);
  if (shortage.isShort)
    failIf(shortage.isShort, Status::Capacity, toI64(rank()), shortage.needed,
           shortage.has);
}

void ProgramBuilder::failWithPeers(StringRef headers, Value turn) {
  Value table = local(headers);
  forEachRank([&](Value peer) {
    Value status = loadField(table, turn, peer, statusField);
    failIf(compare(Cmp::ne, status, i64(0)), Status::PeerFailed, toI64(peer),
           status, i64(0));
  });
}

Value ProgramBuilder::viewTold(StringRef headers, Value turn, int64_t first,
                               int64_t count) {
  Value table = local(headers);
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  SmallVector<OpFoldResult> offsets{turn, zero, b.getIndexAttr(first)};
  SmallVector<OpFoldResult> sizes{one, b.getIndexAttr(shape.numRanks()),
                                  b.getIndexAttr(count)};
  SmallVector<OpFoldResult> strides(3, one);
  auto type = cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
      {shape.numRanks(), count}, cast<MemRefType>(table.getType()), offsets,
      sizes, strides));
  return b.create<memref::SubViewOp>(type, table, offsets, sizes, strides);
}

Value ProgramBuilder::placementHashOf(StringRef headers, Value turn, Value of) {
  return loadField(local(headers), turn, of, placementHashField);
}

Value ProgramBuilder::roomOf(StringRef headers, Value turn, Value of) {
  return loadField(local(headers), turn, of, roomField);
}

Value ProgramBuilder::windowOf(StringRef headers, Value turn, Value of) {
  return loadField(local(headers), turn, of, windowField);
}

void ProgramBuilder::resolveAddresses(StringRef headers, Value turn,
                                      const Exposure &exposed) {
  Value table = local(headers), node = nodeOf(rank());
  for (const ExposedTensor &tensor : listExposed(exposed)) {
    Value resolved = local(tensor.addresses);
    forEach(index(0), index(shape.ranksPerNode), [&](Value i) {
      Value peer = rankOf(node, i);
      Value window = loadField(table, turn, peer, tensor.windowField);
      store(b.create<RemoteOp>(peer, window), resolved, {peer});
    });
  }
}

void ProgramBuilder::addressOwn(Value tensor) {
  Value address = b.create<RemoteOp>(rank(), b.create<WindowOp>(tensor));
  Value addresses = local(shared::addresses);
  forEach(index(0), index(shape.numRanks()),
          [&](Value peer) { store(address, addresses, {peer}); });
}

void ProgramBuilder::meet(StringRef channel) {
  step("meet");
  Value node = nodeOf(rank()), own = localOf(rank());
  b.create<FenceOp>();
  forEachLocal(
      [&](Value lane) { signal(channel, lane, rankOf(node, lane), own); });
  forEachLocal([&](Value lane) { receive(channel, lane, rankOf(node, lane)); });
}

//===----------------------------------------------------------------------===//
// Pipelines
//===----------------------------------------------------------------------===//

void ProgramBuilder::buildPipeline(StringRef headers, Value turn,
                                   function_ref<void()> stages) {
  Value table = local(headers), chunks = local(shared::chunks);
  int64_t size = shape.chunking.chunkTokens;
  auto most = b.create<scf::ForOp>(
      index(0), index(shape.numRanks()), index(1), ValueRange(index(0)),
      [&](OpBuilder &, Location, Value source, ValueRange carried) {
        Value tokens = toIndex(loadField(table, turn, source, tokensField));
        Value count =
            b.create<arith::DivUIOp>(add(tokens, size - 1), index(size));
        store(toI32(count), chunks, {source});
        b.create<scf::YieldOp>(ValueRange(
            b.create<arith::MaxSIOp>(carried[0], count).getResult()));
      });
  // Ends of lanes count slots, call after call. Where they change partners, all
  // send as many; ranks that send for each other, as many as any of their node.
  if (shape.needs.hasGroups)
    forEach(index(0), index(shape.numRanks()), [&](Value source) {
      storeEntry(most.getResult(0), shared::chunks, source);
    });
  else if (forwarders == Forwarders::Balanced)
    forEach(index(0), index(shape.nodes), [&](Value node) {
      auto longest = b.create<scf::ForOp>(
          index(0), index(shape.ranksPerNode), index(1), ValueRange(i32(0)),
          [&](OpBuilder &, Location, Value local, ValueRange carried) {
            Value count = load(chunks, {rankOf(node, local)});
            b.create<scf::YieldOp>(ValueRange(
                b.create<arith::MaxSIOp>(carried[0], count).getResult()));
          });
      forRange(index(0), index(shape.ranksPerNode), [&](Value local) {
        store(longest.getResult(0), chunks, {rankOf(node, local)});
      });
    });
  auto pipeline =
      b.create<PipelineOp>(most.getResult(0), /*workers=*/IntegerAttr());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&pipeline.getBody().emplaceBlock());
  numStages = 0;
  stages();
}

void ProgramBuilder::stage(StringRef name, function_ref<void(Value)> body) {
  int64_t lag = numStages++ * shape.chunking.stageLag;
  auto stage = b.create<StageOp>(name, lag);
  OpBuilder::InsertionGuard guard(b);
  Block &block = stage.getBody().emplaceBlock();
  Value chunk = block.addArgument(b.getIndexType(), b.getLoc());
  b.setInsertionPointToStart(&block);
  body(chunk);
}

void ProgramBuilder::ifHasChunk(Value source, Value chunk,
                                function_ref<void()> body) {
  ifThen(compare(Cmp::slt, chunk, loadEntry(shared::chunks, source)), body);
}

void ProgramBuilder::forEachToken(Value chunk, Value tokens,
                                  function_ref<void(Value)> body) {
  int64_t size = shape.chunking.chunkTokens;
  Value from = b.create<arith::MulIOp>(chunk, index(size));
  forRange(from, minimum(add(from, size), tokens), body);
}

Value ProgramBuilder::claim(StringRef channel, Value lane, Value peer) {
  return b.create<ClaimOp>(b.getIndexType(), channel, lane, peer);
}

Value ProgramBuilder::receive(StringRef channel, Value lane, Value peer) {
  return b.create<ReceiveOp>(b.getIndexType(), channel, lane, peer);
}

void ProgramBuilder::signal(StringRef channel, Value lane, Value peer,
                            Value theirLane) {
  b.create<SignalOp>(channel, lane, peer, theirLane);
}

void ProgramBuilder::release(StringRef channel, Value lane, Value peer,
                             Value theirLane) {
  b.create<ReleaseOp>(channel, lane, peer, theirLane);
}

void ProgramBuilder::takeNodeSlots(TakeSlot take, StringRef channel) {
  forEachOtherNode([&](const OtherNode &other) {
    storeEntry((this->*take)(channel, other.lane, other.peer),
               shared::nodeSlots, other.lane);
  });
  zeroEntries(shared::nodeCounts);
}

void ProgramBuilder::claimNodeSlots(StringRef channel) {
  takeNodeSlots(&ProgramBuilder::claim, channel);
}

void ProgramBuilder::receiveNodeSlots(StringRef channel) {
  takeNodeSlots(&ProgramBuilder::receive, channel);
}

void ProgramBuilder::takeRankSlots(TakeSlot take, StringRef channel,
                                   Value origin) {
  Value node = nodeOf(rank());
  forEachLocal([&](Value i) {
    Value slot = (this->*take)(channel, rankOf(origin, i), rankOf(node, i));
    storeEntry(slot, shared::rankSlots, i);
  });
  zeroEntries(shared::rankCounts);
}

void ProgramBuilder::claimRankSlots(StringRef channel, Value origin) {
  takeRankSlots(&ProgramBuilder::claim, channel, origin);
}

void ProgramBuilder::receiveRankSlots(StringRef channel, Value origin) {
  takeRankSlots(&ProgramBuilder::receive, channel, origin);
}

void ProgramBuilder::takeListSlots(TakeSlot take, StringRef channel) {
  Value node = nodeOf(rank());
  forEachLocal([&](Value i) {
    storeEntry((this->*take)(channel, i, rankOf(node, i)), shared::listSlots,
               i);
  });
  zeroEntries(shared::listCounts);
}

void ProgramBuilder::claimListSlots(StringRef channel) {
  takeListSlots(&ProgramBuilder::claim, channel);
}

void ProgramBuilder::receiveListSlots(StringRef channel) {
  takeListSlots(&ProgramBuilder::receive, channel);
}

//===----------------------------------------------------------------------===//
// Dealing
//===----------------------------------------------------------------------===//

void ProgramBuilder::startDealing(Value chunk) {
  Value from = local(shared::dealtFrom), next = local(shared::nextForwarders);
  forEach(index(0), index(shape.nodes - 1), [&](Value lane) {
    store(load(from, {chunk, lane}), next, {lane});
  });
}

Value ProgramBuilder::deal(Value lane) {
  Value dealt = loadEntry(shared::nextForwarders, lane);
  storeEntry(localAfter(dealt), shared::nextForwarders, lane);
  return dealt;
}

void ProgramBuilder::appendToList(StringRef ring, const Descriptors &by,
                                  const Run &run, Value lane) {
  Value own = localOf(rank()), to = deal(lane);
  RingSlot list = viewList(peer(rankOf(nodeOf(rank()), to), ring), own,
                           loadEntry(shared::listSlots, to));
  Value number = takeEntry(shared::listCounts, to);
  appendUnit(list.by, number, by, run);
  store(toI32(run.token), list.rows.front(), {number, index(0)});
  store(toI32(lane), list.rows.front(), {number, index(1)});
}

void ProgramBuilder::sendLists(StringRef channel, StringRef ring) {
  Value node = nodeOf(rank()), own = localOf(rank());
  forEachLocal([&](Value to) {
    Value toRank = rankOf(node, to);
    RingSlot list =
        viewList(peer(toRank, ring), own, loadEntry(shared::listSlots, to));
    store(toI32(loadEntry(shared::listCounts, to)), list.count, {index(0)});
    signal(channel, to, toRank, own);
  });
}

void ProgramBuilder::forEachInList(
    const RingSlot &list, function_ref<void(Value, Value, Value)> body) {
  Value entries = list.rows.front();
  forRange(index(0), toIndex(load(list.count, {index(0)})), [&](Value unit) {
    body(unit, toIndex(load(entries, {unit, index(0)})),
         toIndex(load(entries, {unit, index(1)})));
  });
}
