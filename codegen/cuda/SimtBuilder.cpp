//===- SimtBuilder.cpp - Short forms for code of many threads -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See SimtBuilder.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/cuda/SimtBuilder.h"
#include "codegen/cuda/Kernels.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

SimtScope fusco::getSimtScope(Operation *op) {
  for (Operation *parent = op->getParentOp(); parent;
       parent = parent->getParentOp()) {
    if (auto loop = dyn_cast<ForEachOp>(parent))
      return loop.hasRows() ? SimtScope::Warp : SimtScope::Thread;
    if (isa<StageOp, ProgramOp>(parent))
      return SimtScope::Block;
    if (isa<TeamOp>(parent))
      return SimtScope::Rank;
  }
  return SimtScope::Block;
}

void fusco::raiseSharedBytes(Operation *op, int64_t bytes) {
  while (!isa<TeamOp, ProgramOp>(op))
    op = op->getParentOp();
  if (getSharedBytes(op) < bytes)
    op->setAttr(sharedBytesAttrName,
                Builder(op->getContext()).getI64IntegerAttr(bytes));
}

/// A special register, as index.
template <typename Register> static Value readRegister(SimtBuilder &b) {
  Value value = b.create<Register>(b.getI32Type());
  return b.create<arith::IndexCastUIOp>(b.getIndexType(), value);
}

Value SimtBuilder::threadInBlock() {
  return readRegister<NVVM::ThreadIdXOp>(*this);
}

Value SimtBuilder::laneInWarp() {
  return both(threadInBlock(), index(threadsPerWarp - 1));
}

Value SimtBuilder::warpInBlock() {
  return div(threadInBlock(), index(threadsPerWarp));
}

Value SimtBuilder::blockInRank() {
  return readRegister<NVVM::BlockIdXOp>(*this);
}

Value SimtBuilder::blocksOfRank() {
  return readRegister<NVVM::GridDimXOp>(*this);
}

Value SimtBuilder::memberOf(SimtScope scope) {
  switch (scope) {
  case SimtScope::Thread:
    return index(0);
  case SimtScope::Warp:
    return laneInWarp();
  case SimtScope::Block:
    return threadInBlock();
  case SimtScope::Rank:
    return add(mul(blockInRank(), index(threadsPerBlock)), threadInBlock());
  }
  llvm_unreachable("every scope has members");
}

Value SimtBuilder::membersOf(SimtScope scope) {
  switch (scope) {
  case SimtScope::Thread:
    return index(1);
  case SimtScope::Warp:
    return index(threadsPerWarp);
  case SimtScope::Block:
    return index(threadsPerBlock);
  case SimtScope::Rank:
    return mul(blocksOfRank(), index(threadsPerBlock));
  }
  llvm_unreachable("every scope has members");
}

void SimtBuilder::sync(SimtScope scope) {
  switch (scope) {
  case SimtScope::Thread:
    return;
  case SimtScope::Warp:
    create<NVVM::SyncWarpOp>(
        create<LLVM::ConstantOp>(getI32Type(), getI32IntegerAttr(-1)));
    return;
  case SimtScope::Block:
    create<NVVM::Barrier0Op>();
    return;
  case SimtScope::Rank:
    create<MeetOp>();
    return;
  }
}

void SimtBuilder::finish(SimtScope scope) {
  if (scope != SimtScope::Rank)
    sync(scope);
}

Value SimtBuilder::isFirstOf(SimtScope scope) {
  return compare(arith::CmpIPredicate::eq, memberOf(scope), index(0));
}

void SimtBuilder::once(SimtScope scope, function_ref<void()> body) {
  if (scope == SimtScope::Thread)
    return body();
  sync(scope);
  ifThen(isFirstOf(scope), body);
  sync(scope);
}

void SimtBuilder::forMembers(SimtScope scope, Value from, Value to,
                             function_ref<void(Value)> body) {
  create<scf::ForOp>(add(from, memberOf(scope)), to, membersOf(scope),
                     ValueRange{},
                     [&](OpBuilder &, Location, Value i, ValueRange) {
                       body(i);
                       create<scf::YieldOp>();
                     });
}

void SimtBuilder::forPieces(SimtScope scope, Value pieces, int64_t unroll,
                            function_ref<void(ArrayRef<Value>, Value)> body) {
  Value member = memberOf(scope), members = membersOf(scope);
  Value step = mul(members, index(unroll));
  Value whole = mul(div(pieces, step), step);
  create<scf::ForOp>(index(0), whole, step, ValueRange{},
                     [&](OpBuilder &, Location, Value base, ValueRange) {
                       SmallVector<Value> numbers{add(base, member)};
                       while (static_cast<int64_t>(numbers.size()) < unroll)
                         numbers.push_back(add(numbers.back(), members));
                       body(numbers, /*isInside=*/Value());
                       create<scf::YieldOp>();
                     });
  create<scf::ForOp>(whole, pieces, members, ValueRange{},
                     [&](OpBuilder &, Location, Value base, ValueRange) {
                       Value number = add(base, member);
                       Value isInside =
                           compare(arith::CmpIPredicate::slt, number, pieces);
                       body(select(isInside, number, base), isInside);
                       create<scf::YieldOp>();
                     });
}

void SimtBuilder::ifThen(Value condition, function_ref<void()> then) {
  if (!condition)
    return then();
  create<scf::IfOp>(condition, [&](OpBuilder &, Location) {
    then();
    create<scf::YieldOp>();
  });
}

//===----------------------------------------------------------------------===//
// Lanes
//===----------------------------------------------------------------------===//

static Value shuffle(SimtBuilder &b, Value value, Value lane,
                     NVVM::ShflKind kind) {
  return b.create<NVVM::ShflOp>(
      value.getType(), /*thread_mask=*/b.i32(-1), value, lane,
      /*mask_and_clamp=*/b.i32(threadsPerWarp - 1), kind, mlir::UnitAttr());
}

Value SimtBuilder::readLane(Value value, Value lane) {
  auto read = [&](Value word) {
    return shuffle(*this, word, toI32(lane), NVVM::ShflKind::idx);
  };
  if (!value.getType().isInteger(64))
    return read(value);
  auto words = VectorType::get(2, getI32Type());
  Value parts = create<LLVM::BitcastOp>(words, value), result = parts;
  for (int64_t word : {0, 1})
    result = create<LLVM::InsertElementOp>(
        result, read(create<LLVM::ExtractElementOp>(parts, i32(word))),
        i32(word));
  return create<LLVM::BitcastOp>(value.getType(), result);
}

Value SimtBuilder::readPartner(Value value, int64_t bit) {
  return shuffle(*this, value, i32(bit), NVVM::ShflKind::bfly);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

Value SimtBuilder::roundToBits(Value value, const RowType &row, int64_t width) {
  if (row.element.isF32())
    return narrowToBits(value, row, width);
  auto column = [&](int64_t i) {
    return create<LLVM::ExtractElementOp>(value, i32(i));
  };
  // Two at a time; the first becomes the low half.
  bool isBF16 = row.element.isBF16();
  auto halves = VectorType::get(2, row.element);
  StringAttr name = getStringAttr(isBF16 ? "llvm.nvvm.ff2bf16x2.rn"
                                         : "llvm.nvvm.ff2f16x2.rn");
  auto round = [&](Value low, Value high) -> Value {
    auto call =
        create<LLVM::CallIntrinsicOp>(halves, name, ValueRange{high, low});
    return create<LLVM::BitcastOp>(getI32Type(), call.getResults());
  };
  if (width == 1)
    return create<arith::TruncIOp>(getI16Type(), round(column(0), column(0)));
  Value bits = create<LLVM::UndefOp>(VectorType::get(width / 2, getI32Type()));
  for (int64_t i = 0; i < width / 2; ++i)
    bits = create<LLVM::InsertElementOp>(
        bits, round(column(2 * i), column(2 * i + 1)), i32(i));
  return bits;
}

//===----------------------------------------------------------------------===//
// Shared memory, PTX
//===----------------------------------------------------------------------===//

Value SimtBuilder::sharedMemory() {
  constexpr unsigned space = NVVM::NVVMMemorySpace::kSharedMemorySpace;
  return create<LLVM::AddressOfOp>(
      LLVM::LLVMPointerType::get(getContext(), space), sharedMemorySymbol);
}

Value SimtBuilder::ptx(StringRef text, StringRef constraints,
                       ValueRange operands, Type result) {
  auto inlined = create<LLVM::InlineAsmOp>(
      result ? TypeRange(result) : TypeRange(), operands, text, constraints,
      /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::AsmDialectAttr::get(getContext(), LLVM::AsmDialect::AD_ATT),
      /*operand_attrs=*/ArrayAttr());
  return result ? inlined.getResult(0) : Value();
}
