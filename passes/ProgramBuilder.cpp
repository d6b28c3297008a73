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

/// Columns of a headers buffer.
enum HeaderField { statusField, roomField, windowField, numHeaderFields };

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

bool fusco::isSharedName(StringRef name) {
  return llvm::is_contained(
      {shared::countsArrived, shared::rowsArrived,     shared::outputsReady,
       shared::outputsTaken,  shared::dispatchHeaders, shared::combineHeaders,
       shared::counts,        shared::stats,           shared::histogram,
       shared::totals,        shared::starts,          shared::bases,
       shared::rankRows,      shared::addresses,       shared::fanout,
       shared::ranks,         shared::slots,           shared::weights,
       shared::unfusedCounts, shared::sendBases},
      name);
}

void fusco::declareSharedMemory(ImplicitLocOpBuilder &builder,
                                const ShuffleShape &shape, bool hasUnfused) {
  Type i32 = builder.getI32Type(), i64 = builder.getI64Type();
  int64_t ranks = shape.numRanks(), experts = shape.experts;
  auto counter = [&](StringRef name, Phase phase) {
    builder.create<CounterOp>(name, phase, ranks, IntegerAttr());
  };
  auto buffer = [&](StringRef name, ArrayRef<int64_t> dims, Type element,
                    Scope scope) {
    builder.create<BufferOp>(name, MemRefType::get(dims, element), scope,
                             IntegerAttr());
  };
  counter(shared::countsArrived, Phase::Plan);
  counter(shared::rowsArrived, Phase::Rows);
  counter(shared::outputsReady, Phase::Ready);
  counter(shared::outputsTaken, Phase::Combine);
  // What ranks exchange stands twice: see pipe.turn.
  buffer(shared::dispatchHeaders, {2, ranks, numHeaderFields}, i64,
         Scope::Symmetric);
  buffer(shared::combineHeaders, {2, ranks, numHeaderFields}, i64,
         Scope::Symmetric);
  buffer(shared::counts, {2, ranks, experts}, i32, Scope::Symmetric);
  // fusco_plan_stats
  buffer(shared::stats, {8}, i64, Scope::Plan);
  // One entry more: what is not an expert. Not in the plan, which a refused
  // rank must not touch.
  buffer(shared::histogram, {experts + 1}, i32, Scope::Symmetric);
  for (StringRef table : {shared::totals, shared::starts, shared::bases})
    buffer(table, {experts}, i32, Scope::Plan);
  buffer(shared::rankRows, {ranks}, i32, Scope::Plan);
  buffer(shared::addresses, {ranks}, i64, Scope::Plan);
  buffer(shared::fanout, {shape.maxTokens}, i32, Scope::Plan);
  for (StringRef table : {shared::ranks, shared::slots})
    buffer(table, {shape.maxTokens, shape.topk}, i32, Scope::Plan);
  buffer(shared::weights, {shape.maxTokens, shape.topk}, builder.getF32Type(),
         Scope::Plan);
  if (hasUnfused) {
    buffer(shared::unfusedCounts, {ranks, experts}, i32, Scope::Plan);
    buffer(shared::sendBases, {experts}, i32, Scope::Plan);
  }
}

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

//===----------------------------------------------------------------------===//
// Scalars and loops
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

void ProgramBuilder::forRange(Value from, Value to,
                              function_ref<void(Value)> body) {
  auto loop = b.create<scf::ForOp>(from, to, index(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void ProgramBuilder::forEachRank(function_ref<void(Value)> body) {
  forRange(index(0), index(shape.numRanks()), body);
}

Value ProgramBuilder::rank() { return b.create<RankOp>(); }

//===----------------------------------------------------------------------===//
// Exchange
//===----------------------------------------------------------------------===//

void ProgramBuilder::failIf(Value condition, Status status, Value a, Value b2,
                            Value c) {
  b.create<FailIfOp>(condition, status, a, b2, c);
}

void ProgramBuilder::signalAll(StringRef counter) {
  forEachRank([&](Value peer) { b.create<SignalOp>(counter, peer); });
}

void ProgramBuilder::waitAll(StringRef counter) {
  forEachRank([&](Value peer) { b.create<WaitOp>(counter, peer); });
}

void ProgramBuilder::exchangeHeaders(StringRef headers, StringRef counter,
                                     Value turn, const Header &header,
                                     function_ref<void(Value)> alsoTo) {
  Value self = rank(), room = toI64(header.rows);
  forEachRank([&](Value to) {
    Value table = peer(to, headers);
    store(header.status, table, {turn, self, index(statusField)});
    store(room, table, {turn, self, index(roomField)});
    store(header.window, table, {turn, self, index(windowField)});
    if (alsoTo)
      alsoTo(to);
  });
  signalAll(counter);
  waitAll(counter);
}

Value ProgramBuilder::ownStatus(Value otherwise, const Shortage &shortage) {
  if (shortage.isShort)
    otherwise = b.create<arith::SelectOp>(
        shortage.isShort, i64(static_cast<int64_t>(Status::Capacity)),
        otherwise);
  Value refusal = b.create<pipe::StatusOp>();
  Value isRefused = compare(arith::CmpIPredicate::ne, refusal, i64(0));
  return b.create<arith::SelectOp>(isRefused, refusal, otherwise);
}

void ProgramBuilder::failIfRefused(const Shortage &shortage) {
  Value refusal = b.create<pipe::StatusOp>(), zero = i64(0);
  failIf(compare(arith::CmpIPredicate::ne, refusal, zero), Status::Refused,
         zero, zero, zero);
  if (shortage.isShort)
    failIf(shortage.isShort, Status::Capacity, toI64(rank()), shortage.needed,
           shortage.has);
}

void ProgramBuilder::failWithPeers(StringRef headers, Value turn) {
  Value table = local(headers);
  forEachRank([&](Value peer) {
    Value status = load(table, {turn, peer, index(statusField)});
    failIf(compare(arith::CmpIPredicate::ne, status, i64(0)),
           Status::PeerFailed, toI64(peer), status, i64(0));
  });
}

Value ProgramBuilder::roomOf(StringRef headers, Value turn, Value rank) {
  return load(local(headers), {turn, rank, index(roomField)});
}

void ProgramBuilder::resolveAddresses(StringRef headers, Value turn) {
  Value table = local(headers), addresses = local(shared::addresses);
  forEachRank([&](Value peer) {
    Value window = load(table, {turn, peer, index(windowField)});
    store(b.create<RemoteOp>(peer, window), addresses, {peer});
  });
}

void ProgramBuilder::addressOwn(Value tensor) {
  Value address = b.create<RemoteOp>(rank(), b.create<WindowOp>(tensor));
  Value addresses = local(shared::addresses);
  forEachRank([&](Value peer) { store(address, addresses, {peer}); });
}

void ProgramBuilder::finishRows(StringRef counter) {
  b.create<FenceOp>();
  signalAll(counter);
  waitAll(counter);
}
