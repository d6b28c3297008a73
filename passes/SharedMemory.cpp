//===- SharedMemory.cpp - Buffers and channels of programs ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See SharedMemory.h.
///
//===----------------------------------------------------------------------===//

#include "passes/SharedMemory.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

//===----------------------------------------------------------------------===//
// Packed rows
//===----------------------------------------------------------------------===//

PackedRow::PackedRow(ArrayRef<WireRows> rows) : rows(rows) {
  if (rows.size() == 1) {
    offsets = {0};
    bytes = rows.front().bytes();
    return;
  }
  for (const WireRows &one : rows) {
    offsets.push_back(bytes);
    bytes += alignUp(one.bytes(), SlotLayout::alignment);
  }
}

MemRefType PackedRow::getType(unsigned i, int64_t count) const {
  auto [columns, element] = rows[i];
  if (rows.size() == 1)
    return MemRefType::get({count, columns}, element);
  int64_t elementBytes = element.getIntOrFloatBitWidth() / 8;
  return MemRefType::get({count, columns}, element,
                         StridedLayoutAttr::get(element.getContext(), 0,
                                                {bytes / elementBytes, 1}));
}

//===----------------------------------------------------------------------===//
// Slots
//===----------------------------------------------------------------------===//

SlotLayout fusco::getRowsLayout(const ShuffleShape &shape) {
  return {shape.chunking.chunkTokens * shape.unitsPerToken, shape.topk,
          shape.wireBytesPerRow};
}

SlotLayout fusco::getAsksLayout(const ShuffleShape &shape) {
  return {shape.chunking.chunkTokens, shape.topk, /*bytesPerRow=*/0};
}

int64_t fusco::getSumsBytes(const ShuffleShape &shape) {
  return alignUp(shape.chunking.chunkTokens * shape.hidden * shape.partialBytes,
                 SlotLayout::alignment);
}

SlotLayout fusco::getListLayout(const ShuffleShape &shape) {
  // The units for each node are dealt evenly.
  int64_t perNode = shape.chunking.chunkTokens / shape.ranksPerNode;
  int64_t units = std::min((shape.nodes - 1) * perNode,
                           shape.chunking.chunkTokens * shape.topk);
  return {units, shape.topk, 2 * sizeof(int32_t)};
}

PackedRow fusco::getListEntryRow(MLIRContext *context) {
  return PackedRow(WireRows{2, IntegerType::get(context, 32)});
}

int64_t fusco::getCopyListWords(const ShuffleShape &shape) {
  return 1 + 2 * shape.chunking.chunkTokens * (shape.topk - 1);
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

std::string fusco::addressesOf(int64_t payload) {
  if (payload == 0)
    return shared::addresses.str();
  return (shared::addresses + "_" + Twine(payload)).str();
}

std::string fusco::tokenAddressesOf(int64_t x) {
  constexpr StringLiteral tokenAddresses{"token_addresses"};
  if (x == 0)
    return tokenAddresses.str();
  return (tokenAddresses + "_" + Twine(x)).str();
}

bool fusco::isSharedName(StringRef name) {
  using namespace shared;
  if (name.starts_with("addresses_") || name.starts_with("token_addresses"))
    return true;
  return llvm::is_contained({countsExchanged,
                             outputsReady,
                             rowsDone,
                             outputsTaken,
                             dispatchHeaders,
                             combineHeaders,
                             rowsOut,
                             rowsSent,
                             rowsForwarded,
                             copies,
                             copyLists,
                             asks,
                             asksSent,
                             asksTaken,
                             sums,
                             sumsSent,
                             sumsTaken,
                             requests,
                             requestsTaken,
                             partials,
                             partialsTaken,
                             gradientRowsOut,
                             gradients,
                             gradientsSent,
                             gradientsTaken,
                             histogram,
                             idHistogram,
                             rankIds,
                             replicaStarts,
                             replicas,
                             placedCounts,
                             quotas,
                             quotasChanged,
                             loads,
                             numbers,
                             plannedIds,
                             unitsExchanged,
                             unitHeaders,
                             chunks,
                             nodeSlots,
                             nodeCounts,
                             rankSlots,
                             rankCounts,
                             summands,
                             rankSummands,
                             ownSum,
                             stats,
                             totals,
                             starts,
                             bases,
                             rankRows,
                             addresses,
                             outputAddresses,
                             fanout,
                             ranks,
                             slots,
                             weights,
                             order,
                             unfusedRows,
                             unfusedOutputs,
                             unfusedCounts,
                             sendBases,
                             scratch,
                             rowLists,
                             rowListsTaken,
                             askLists,
                             askListsTaken,
                             places,
                             placesTaken,
                             listSlots,
                             listCounts,
                             nextForwarders,
                             dealtCounts,
                             chunkUnits,
                             unitMarks,
                             nodeUnits,
                             dealtFrom,
                             forwarderUnits,
                             chunkRows,
                             groups,
                             partners,
                             forwarders,
                             rowWeightAddresses,
                             readyAddresses,
                             roomRows},
                            name);
}

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

namespace {
/// Declares, at one place of a module.
class Declarer {
public:
  Declarer(ImplicitLocOpBuilder &builder, const ShuffleShape &shape)
      : b(builder), shape(shape) {}

  void declareMeetings();
  void declareDispatch();
  void declareCombine();
  void declareTables();
  void declarePlan();
  void declareForwarders();
  void declareOtherIds();
  void declareUnfused();

private:
  void channel(StringRef name, Phase phase, Link link, int64_t lanes,
               int64_t depth, Freeing freedBy, StringRef answer = "",
               int64_t chunks = 0) {
    b.create<ChannelOp>(
        name, phase, link, lanes, depth, freedBy,
        answer.empty() ? FlatSymbolRefAttr()
                       : FlatSymbolRefAttr::get(b.getContext(), answer),
        chunks == 0 ? IntegerAttr() : b.getI64IntegerAttr(chunks),
        IntegerAttr());
  }
  /// A channel whose slots carry chunks one way.
  void stream(StringRef name, Phase phase, Link link, int64_t lanes) {
    bool isExact = depth >= shape.maxChunks();
    channel(name, phase, link, lanes, depth,
            isExact ? Freeing::Start : Freeing::Credit, "",
            isExact ? shape.maxChunks() : 0);
  }
  /// Two channels, of questions and of answers, a slot for each chunk.
  void conversation(StringRef question, StringRef answer, Phase phase,
                    Link link, int64_t lanes) {
    channel(question, phase, link, lanes, depth, Freeing::Answer, answer);
    channel(answer, phase, link, lanes, depth, Freeing::Question);
  }
  void buffer(StringRef name, ArrayRef<int64_t> dims, Type element,
              Scope scope = Scope::Symmetric) {
    b.create<BufferOp>(name, MemRefType::get(dims, element), scope,
                       IntegerAttr());
  }
  /// A slot of \p bytes bytes for each slot of \p lanes lanes. It is where
  /// slots arrive, or what they are put from: either end may use one again only
  /// when the channel says that the slot is free, and by then the put is over.
  void ring(StringRef name, int64_t lanes, int64_t bytes) {
    buffer(name, {lanes, depth, bytes}, b.getI8Type());
  }

  ImplicitLocOpBuilder &b;
  const ShuffleShape &shape;
  const ProgramNeeds &needs = shape.needs;
  int64_t ranks = shape.numRanks(), otherNodes = shape.nodes - 1;
  Link toAll = otherNodes > 0 ? Link::ScaleOut : Link::ScaleUp; ///< ranks
  int64_t depth = shape.chunking.ringChunks;
  Type i32 = b.getI32Type(), i64 = b.getI64Type(), f32 = b.getF32Type();
};
} // namespace

void Declarer::declareMeetings() {
  constexpr int64_t twice = 2;
  auto exchange = [&](StringRef name, Phase phase) {
    channel(name, phase, toAll, ranks, twice, Freeing::Rounds);
  };
  auto meeting = [&](StringRef name, Phase phase) {
    channel(name, phase, Link::ScaleUp, shape.ranksPerNode, 1, Freeing::Rounds);
  };
  exchange(shared::countsExchanged, Phase::Plan);
  meeting(shared::rowsDone, Phase::Rows);
  exchange(shared::outputsReady, Phase::Ready);
  meeting(shared::outputsTaken, Phase::Combine);
  int64_t told = headerWords + shape.toldExperts();
  if (shape.tellsUnits() && !shape.plansOtherIds())
    told += shape.nodes;
  buffer(shared::dispatchHeaders, {twice, ranks, told}, i32);
  if (shape.tellsUnits() && shape.plansOtherIds()) {
    exchange(shared::unitsExchanged, Phase::Plan);
    buffer(shared::unitHeaders, {twice, ranks, headerWords + shape.nodes}, i32);
  }
  buffer(shared::combineHeaders, {twice, ranks, headerWords}, i32);
}

void Declarer::declareDispatch() {
  if (needs.dispatches && otherNodes > 0) {
    stream(shared::rowsOut, Phase::Rows, Link::ScaleOut, otherNodes);
    if (needs.hasWeightGradient) {
      conversation(shared::gradientRowsOut, shared::gradients, Phase::Rows,
                   Link::ScaleOut, otherNodes);
      int64_t bytes = alignUp(getRowsLayout(shape).units * shape.topk * 4,
                              SlotLayout::alignment);
      ring(shared::gradientsSent, otherNodes, bytes);
      ring(shared::gradientsTaken, otherNodes, bytes);
    }
    int64_t bytes = getRowsLayout(shape).bytes();
    ring(shared::rowsSent, otherNodes, bytes);
    ring(shared::rowsForwarded, otherNodes, bytes);
  }
  if (needs.dispatchesByRank) {
    stream(shared::copies, Phase::Rows, Link::ScaleUp, ranks);
    buffer(shared::copyLists, {ranks, depth, getCopyListWords(shape)}, i32);
  }
}

void Declarer::declareCombine() {
  int64_t asksBytes = getAsksLayout(shape).bytes();
  int64_t sumsBytes = getSumsBytes(shape);
  if (needs.combines && otherNodes > 0) {
    conversation(shared::asks, shared::sums, Phase::Combine, Link::ScaleOut,
                 otherNodes);
    ring(shared::asksSent, otherNodes, asksBytes);
    ring(shared::asksTaken, otherNodes, asksBytes);
    ring(shared::sumsSent, otherNodes, sumsBytes);
    ring(shared::sumsTaken, otherNodes, sumsBytes);
    buffer(shared::ownSum, {1, shape.partialBytes * shape.hidden},
           b.getI8Type());
    buffer(shared::summands, {shape.nodes}, i64);
  }
  if (needs.combinesByRank) {
    conversation(shared::requests, shared::partials, Phase::Combine,
                 Link::ScaleUp, ranks);
    ring(shared::requestsTaken, ranks, asksBytes);
    ring(shared::partialsTaken, ranks, sumsBytes);
    buffer(shared::rankSummands, {shape.ranksPerNode}, i64);
  }
}

void Declarer::declareTables() {
  // One entry more: what is not an expert. Not in the plan, which a refused
  // rank must not touch.
  buffer(shared::histogram, {shape.toldExperts() + 1}, i32);
  if (shape.isRankMajor) {
    buffer(shared::idHistogram, {shape.routedExperts + 1}, i32);
    buffer(shared::rankIds, {shape.maxTokens, shape.topk}, i32, Scope::Plan);
  }
  buffer(shared::chunks, {ranks}, i32);
  if (otherNodes > 0) {
    buffer(shared::nodeSlots, {otherNodes}, i32);
    buffer(shared::nodeCounts, {otherNodes}, i32);
  }
  if (needs.dispatchesByRank || needs.combinesByRank) {
    buffer(shared::rankSlots, {shape.ranksPerNode}, i32);
    buffer(shared::rankCounts, {shape.ranksPerNode}, i32);
  }
}

void Declarer::declarePlan() {
  // fusco_plan_stats
  buffer(shared::stats, {11}, i64, Scope::Plan);
  for (StringRef table : {shared::totals, shared::starts, shared::bases})
    buffer(table, {shape.experts}, i32, Scope::Plan);
  buffer(shared::rankRows, {ranks}, i32, Scope::Plan);
  for (int64_t payload = 0; payload < shape.numPayloads; ++payload)
    buffer(addressesOf(payload), {ranks}, i64, Scope::Plan);
  if (needs.hasRowWeights)
    buffer(shared::rowWeightAddresses, {ranks}, i64, Scope::Plan);
  if (needs.hasByColumns)
    buffer(shared::roomRows, {ranks}, i32, Scope::Plan);
  if (needs.hasReady)
    buffer(shared::readyAddresses, {ranks}, i64, Scope::Plan);
  // A quantised row, until it is where it goes.
  if (shape.scratchBytes > 0)
    buffer(shared::scratch, {shape.rowWorkers, shape.scratchBytes},
           b.getI8Type(), Scope::Plan);
  buffer(shared::fanout, {shape.maxTokens}, i32, Scope::Plan);
  for (StringRef table : {shared::ranks, shared::slots})
    buffer(table, {shape.maxTokens, shape.topk}, i32, Scope::Plan);
  buffer(shared::weights, {shape.maxTokens, shape.topk}, f32, Scope::Plan);
  if (needs.hasWeightGradient) {
    buffer(shared::order, {shape.maxTokens, shape.topk}, i32, Scope::Plan);
    buffer(shared::outputAddresses, {ranks}, i64, Scope::Plan);
  }
}

void Declarer::declareForwarders() {
  int64_t nodes = shape.nodes, perNode = shape.ranksPerNode;
  if (!shape.tellsUnits())
    return;
  // Not in the plan, since they are counted before ranks are known to be well.
  for (StringRef table : {shared::chunkUnits, shared::unitMarks})
    buffer(table, {shape.maxChunks(), nodes}, i32);
  buffer(shared::nodeUnits, {nodes}, i32);
  buffer(shared::forwarderUnits, {2, nodes}, i32, Scope::Plan);
  buffer(shared::chunkRows, {shape.maxChunks()}, i32, Scope::Plan);
  if (needs.hasGroups) {
    buffer(shared::groups, {ranks}, i32, Scope::Plan);
    buffer(shared::partners, {nodes}, i32, Scope::Plan);
    buffer(shared::forwarders, {ranks}, i32, Scope::Plan);
  }
  if (!needs.dispatchesDealt && !needs.combinesDealt)
    return;
  buffer(shared::dealtFrom, {shape.maxChunks(), otherNodes}, i32, Scope::Plan);
  buffer(shared::nextForwarders, {otherNodes}, i32);
  for (StringRef table : {shared::listSlots, shared::listCounts})
    buffer(table, {perNode}, i32);
  int64_t bytes = getListLayout(shape).bytes();
  if (needs.dispatchesDealt) {
    stream(shared::rowLists, Phase::Rows, Link::ScaleUp, perNode);
    ring(shared::rowListsTaken, perNode, bytes);
    for (int64_t x = 0; x < shape.numPayloads; ++x)
      buffer(tokenAddressesOf(x), {ranks}, i64, Scope::Plan);
  }
  if (needs.combinesDealt) {
    conversation(shared::askLists, shared::places, Phase::Combine,
                 Link::ScaleUp, perNode);
    ring(shared::askListsTaken, perNode, bytes);
    buffer(shared::placesTaken, {perNode, depth, 2 * otherNodes}, i32);
    buffer(shared::dealtCounts, {perNode * otherNodes}, i32);
  }
}

void Declarer::declareOtherIds() {
  if (!shape.plansOtherIds())
    return;
  buffer(shared::numbers, {shape.experts}, i32, Scope::Plan);
  buffer(shared::placedCounts, {ranks, shape.experts}, i32, Scope::Plan);
  buffer(shared::plannedIds, {shape.maxTokens, shape.topk}, i32, Scope::Plan);
  if (!shape.hasTable)
    return;
  buffer(shared::replicaStarts, {shape.routedExperts + 1}, i32);
  buffer(shared::replicas, {shape.experts}, i32);
  buffer(shared::quotas, {shape.experts}, i32, Scope::Plan);
  buffer(shared::quotasChanged, {1}, i32, Scope::Plan);
  buffer(shared::loads, {ranks}, i32, Scope::Plan);
}

void Declarer::declareUnfused() {
  auto exchange = [&](StringRef name, Phase phase) {
    channel(name, phase, toAll, ranks, 1, Freeing::Rounds);
  };
  exchange(shared::unfusedRows, Phase::Rows);
  exchange(shared::unfusedOutputs, Phase::Combine);
  buffer(shared::unfusedCounts, {ranks, shape.experts}, i32, Scope::Plan);
  buffer(shared::sendBases, {shape.experts}, i32, Scope::Plan);
}

void fusco::declareSharedMemory(ImplicitLocOpBuilder &builder,
                                const ShuffleShape &shape) {
  Declarer declarer(builder, shape);
  declarer.declareMeetings();
  declarer.declareDispatch();
  declarer.declareCombine();
  declarer.declareTables();
  declarer.declarePlan();
  declarer.declareForwarders();
  declarer.declareOtherIds();
  if (shape.needs.hasUnfused)
    declarer.declareUnfused();
}
