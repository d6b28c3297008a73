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
#include "passes/ProgramBuilder.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

void fusco::buildDispatch(ProgramBuilder &p, const DispatchTensors &tensors,
                          bool streaming) {
  // 1. to 4.
  Value room = p.b.create<memref::DimOp>(tensors.rows, 0);
  Value turn = buildCountExchange(p, tensors.ids, tensors.rows, room, {}).turn;
  // 5.
  buildAssignment(p, tensors.ids, tensors.weights, p.local(shared::bases));

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

  buildSegments(p, tensors.rows, tensors.counts, tensors.offsets); // 7.
  p.finishRows(shared::rowsArrived);                               // 8.
}
