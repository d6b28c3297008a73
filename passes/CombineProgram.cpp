//===- CombineProgram.cpp - Sum the experts' rows per token ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The program behind a function that combines:
///   1. tell all ranks where this rank's expert outputs are, and whether
///      anything is wrong here; leave together if so;
///   2. for each token, read its rows from where they are and write their sum;
///   3. wait until all ranks have read, since the caller may then write again.
///
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/ProgramBuilder.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

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

Value fusco::buildReadyExchange(ProgramBuilder &p, Value exposed, Value room) {
  ImplicitLocOpBuilder &b = p.b;
  Shortage shortage = buildShortage(p, room);
  Header header;
  header.status = p.ownStatus(p.i64(0), shortage);
  header.rows = b.create<memref::DimOp>(exposed, 0);
  header.window = b.create<WindowOp>(exposed);
  Value turn = b.create<TurnOp>(shared::outputsReady);
  p.exchangeHeaders(shared::combineHeaders, shared::outputsReady, turn, header);
  p.failIfRefused(shortage);
  p.failWithPeers(shared::combineHeaders, turn);
  return turn;
}

void fusco::buildSums(ProgramBuilder &p, Value out, bool weighted,
                      bool streaming) {
  Value addresses = p.local(shared::addresses);
  Value fanout = p.local(shared::fanout), ranks = p.local(shared::ranks);
  Value slots = p.local(shared::slots);
  Value weights = weighted ? p.local(shared::weights) : Value();
  p.forRange(p.index(0), p.b.create<memref::DimOp>(out, 0), [&](Value token) {
    p.b.create<ReduceRowOp>(addresses, fanout, ranks, slots, weights, out,
                            token, p.shape.numRanks(), p.shape.ranksPerNode,
                            streaming);
  });
}

void fusco::buildCombine(ProgramBuilder &p, const CombineTensors &tensors,
                         bool weighted, bool streaming) {
  // 1.
  Value room = p.b.create<memref::DimOp>(tensors.y, 0);
  Value turn = buildReadyExchange(p, tensors.y, room);
  // 2.
  p.resolveAddresses(shared::combineHeaders, turn);
  buildSums(p, tensors.out, weighted, streaming);
  p.finishRows(shared::outputsTaken); // 3.
}
