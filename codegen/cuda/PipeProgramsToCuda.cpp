//===- PipeProgramsToCuda.cpp - Programs to kernels -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe-programs-to-cuda:
///   1. a team becomes a function that all threads of all blocks call;
///   2. a program becomes a kernel: the first block does what the program says,
///      the others wait for teams and do their part of them;
///   3. in both, operations that name memory become arithmetic on addresses,
///      and what waits or counts is done by the first thread of the block;
///   4. waits and failures become branches to the function's exit.
///
//===----------------------------------------------------------------------===//

#include "codegen/Passes.h"
#include "codegen/ProgramLowering.h"
#include "codegen/cuda/DeviceLibrary.h"
#include "codegen/cuda/Kernels.h"
#include "codegen/cuda/SimtBuilder.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "passes/Passes.h"

#include "fusco/library.h"

namespace fusco {
#define GEN_PASS_DEF_PIPEPROGRAMSTOCUDAPASS
#include "codegen/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

namespace {

/// Lowers a program or a team.
class CudaProgramLowering : public ProgramLowering {
public:
  CudaProgramLowering(Operation *op, const LLVMTypeConverter &converter,
                      int64_t threadsPerBlock, int32_t programNumber)
      : ProgramLowering(op, converter), module(op->getParentOfType<ModuleOp>()),
        threadsPerBlock(threadsPerBlock), programNumber(programNumber) {}

  void runTeam(TeamOp team);
  /// \p teams: the program's, already lowered, by number.
  void runProgram(ProgramOp program, ArrayRef<func::FuncOp> teams);

private:
  void buildWait(Operation *op, ChannelOp channel, Value counter,
                 Value expected, Value peer) override;
  void buildCount(Operation *op, ChannelOp channel, Value peer, Value lane,
                  Value offset) override;
  void buildTransfer(Operation *op, ChannelOp channel, const Transfer &transfer,
                     Value lane, Value offset) override;
  Value loadNetworkPeers() override {
    return loadField(arguments, offsetof(fusco_device_args, networkPeers),
                     arguments.getType());
  }
  void once(function_ref<void()> body) override;
  void buildMark(Edge edge, int32_t span, Value value) override;
  Value lowerForTarget(Operation *op) override;

  /// Counts what \p transfer has written, and where its peer is in another node
  /// has the host do both. For one thread.
  void countTransfer(ChannelOp channel, const Transfer &transfer, Value lane,
                     Value offset);
  void lowerFailIf(FailIfOp op);
  void lowerFork(ForkOp op);
  /// The block's first thread calls \p call; where that gives anything but 0,
  /// all threads leave.
  void callAndLeave(Operation *op, DeviceCall call, ValueRange operands);
  /// The same of the status (i32) that \p build builds for the first thread.
  void askAndLeave(Operation *op,
                   function_ref<Value(ImplicitLocOpBuilder &)> build);
  /// The block notes an end of a span. For one thread.
  void callMark(ImplicitLocOpBuilder &at, Edge edge, int32_t span, Value value);
  void leaveWhere(Operation *op, Value isBad);
  /// Where the other blocks of a program's rank wait for teams.
  Block *buildHelpers(func::FuncOp function, ArrayRef<func::FuncOp> teams);
  /// What the host says of the call, and where the plan is only read, whether
  /// it is filled.
  Value loadStatus(ProgramOp program);
  /// Where a plan says whether it is filled.
  Value trailer();

  Value call(DeviceCall which, ValueRange operands) {
    return callDevice(b, module, which, operands);
  }
  Value i32(int64_t value) { return b.create<arith::ConstantIntOp>(value, 32); }
  Value toI32(Value index) {
    return b.create<arith::IndexCastOp>(b.getI32Type(), index);
  }
  Value compareWithNull(LLVM::ICmpPredicate how, Value pointer) {
    Value null = b.create<LLVM::ZeroOp>(pointer.getType());
    return b.create<LLVM::ICmpOp>(how, pointer, null);
  }
  Value control() {
    return loadField(arguments, offsetof(fusco_device_args, control),
                     arguments.getType());
  }
  Value valueField(Value control, size_t i) {
    return advance(control, offsetof(fusco_device_control, values) + 8 * i);
  }
  /// At this builder's place.
  SimtBuilder simt() { return SimtBuilder(b.getLoc(), b, threadsPerBlock); }

  ModuleOp module;
  int64_t threadsPerBlock;
  int32_t programNumber;
  ArrayRef<func::FuncOp> teams;
  Block *exit = nullptr; ///< where a function that failed is left
};

} // namespace

//===----------------------------------------------------------------------===//
// 3.
//===----------------------------------------------------------------------===//

void CudaProgramLowering::once(function_ref<void()> body) {
  SimtBuilder s = simt();
  s.once(SimtScope::Block, [&] {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(s.getInsertionBlock(), s.getInsertionPoint());
    body();
    s.setInsertionPointToEnd(b.getInsertionBlock());
  });
}

void CudaProgramLowering::buildWait(Operation *op, ChannelOp channel,
                                    Value counter, Value expected, Value peer) {
  Value operands[] = {
      arguments,         counter, expected, toI32(peer), channelNumber(channel),
      i32(programNumber)};
  std::optional<int32_t> span = spanOf(SpanKind::Wait, channel);
  if (!span)
    return callAndLeave(op, DeviceCall::Wait, operands);
  Value of = toI64(peer), none = constant(0), ok = i32(0);
  askAndLeave(op, [&](ImplicitLocOpBuilder &first) {
    SimtBuilder look(first.getLoc(), first, threadsPerBlock);
    Value actual = look.ptx("ld.acquire.sys.b64 $0, [$1];", "=l,l,~{memory}",
                            counter, b.getI64Type());
    // Signed, as DeviceCall::Wait compares.
    Value isEarly = look.create<arith::CmpIOp>(Cmp::slt, actual, expected);
    auto branch = look.create<scf::IfOp>(
        isEarly,
        [&](OpBuilder &builder, Location loc) {
          ImplicitLocOpBuilder waiting(loc, builder);
          callMark(waiting, Edge::Begin, *span, of);
          Value result =
              callDevice(waiting, module, DeviceCall::Wait, operands);
          callMark(waiting, Edge::End, *span, none);
          waiting.create<scf::YieldOp>(result);
        },
        [&](OpBuilder &builder, Location loc) {
          builder.create<scf::YieldOp>(loc, ok);
        });
    return branch.getResult(0);
  });
}

void CudaProgramLowering::callMark(ImplicitLocOpBuilder &at, Edge edge,
                                   int32_t span, Value value) {
  auto constantOf = [&](int64_t value) -> Value {
    return at.create<arith::ConstantIntOp>(value, 32);
  };
  callDevice(
      at, module, DeviceCall::Mark,
      {arguments, constantOf(span), constantOf(edge == Edge::End), value});
}

/// A span ends when all threads of the block are at its end.
void CudaProgramLowering::buildMark(Edge edge, int32_t span, Value value) {
  SimtBuilder s = simt();
  if (edge == Edge::End)
    s.sync(SimtScope::Block);
  s.create<scf::IfOp>(s.isFirstOf(SimtScope::Block),
                      [&](OpBuilder &builder, Location loc) {
                        ImplicitLocOpBuilder first(loc, builder);
                        callMark(first, edge, span, value);
                        first.create<scf::YieldOp>();
                      });
}

void CudaProgramLowering::buildCount(Operation *op, ChannelOp channel,
                                     Value peer, Value lane, Value offset) {
  // A put of nothing, to anywhere.
  Transfer nothing{peer,        constant(0), heapOf(*channel.getAt()),
                   constant(0), 1,           nullptr};
  countTransfer(channel, nothing, lane, offset);
}

void CudaProgramLowering::countTransfer(ChannelOp channel,
                                        const Transfer &transfer, Value lane,
                                        Value offset) {
  // Without a base it is in another node. A program that puts to tensors is not
  // run where there are such.
  Value base = peerBase(transfer.peer, *channel.getAt());
  auto count = [&] {
    Value counter = advance(laneAddress(base, channel, lane), offset);
    simt().ptx("red.release.sys.add.u64 [$0], 1;", "l,~{memory}", counter);
  };
  if (channel.getLink() == Link::ScaleUp)
    return count();
  auto branch =
      b.create<scf::IfOp>(compareWithNull(LLVM::ICmpPredicate::eq, base),
                          /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  Type i64 = b.getI64Type();
  Value from =
      b.create<arith::SubIOp>(b.create<LLVM::PtrToIntOp>(i64, transfer.from),
                              b.create<LLVM::PtrToIntOp>(i64, network));
  Value counter = b.create<arith::AddIOp>(laneOffset(channel, lane), offset);
  call(DeviceCall::Put,
       {arguments, toI32(transfer.peer), transfer.to, from, transfer.bytes,
        counter, channelNumber(channel), i32(programNumber)});
  b.setInsertionPointToStart(branch.elseBlock());
  count();
}

void CudaProgramLowering::buildTransfer(Operation *op, ChannelOp channel,
                                        const Transfer &transfer, Value lane,
                                        Value offset) {
  BufferOp destination = transfer.destination;
  Value base = destination ? peerBase(transfer.peer, *destination.getAt())
                           : peerBase(transfer.peer);
  Value to = advance(base, transfer.to);
  SimtBuilder s = simt();
  // A rank tells itself what stands there already.
  Value isElsewhere =
      s.create<LLVM::ICmpOp>(LLVM::ICmpPredicate::ne, to, transfer.from);
  if (channel.getLink() == Link::ScaleOut)
    isElsewhere = s.create<arith::AndIOp>(
        isElsewhere, compareWithNull(LLVM::ICmpPredicate::ne, base));
  int64_t granule = std::min<int64_t>(transfer.granule, 16);
  Type type = granule == 16 ? Type(VectorType::get(4, s.getI32Type()))
                            : Type(s.getIntegerType(8 * granule));
  s.create<scf::IfOp>(isElsewhere, [&](OpBuilder &, Location) {
    Value pieces = s.div(s.toIndex(transfer.bytes), s.index(granule));
    s.forMembers(SimtScope::Block, s.index(0), pieces, [&](Value i) {
      Value at = s.toI64(s.mul(i, s.index(granule)));
      Value piece =
          s.create<LLVM::LoadOp>(type, s.advance(transfer.from, at), granule);
      s.create<LLVM::StoreOp>(piece, s.advance(to, at), granule);
    });
    s.create<scf::YieldOp>();
  });
  b.setInsertionPoint(op);
  once([&] { countTransfer(channel, transfer, lane, offset); });
}

Value CudaProgramLowering::lowerForTarget(Operation *op) {
  if (isa<FenceOp>(op))
    simt().ptx("fence.acq_rel.sys;", "~{memory}");
  else if (isa<MeetOp>(op))
    call(DeviceCall::Meet, arguments);
  else if (auto failIf = dyn_cast<FailIfOp>(op))
    lowerFailIf(failIf);
  else if (auto fork = dyn_cast<ForkOp>(op))
    lowerFork(fork);
  return Value();
}

//===----------------------------------------------------------------------===//
// 4.
//===----------------------------------------------------------------------===//

void CudaProgramLowering::leaveWhere(Operation *op, Value isBad) {
  leaveIf(op, isBad, [&](Block *) { b.create<cf::BranchOp>(exit); });
}

void CudaProgramLowering::callAndLeave(Operation *op, DeviceCall which,
                                       ValueRange operands) {
  askAndLeave(op, [&](ImplicitLocOpBuilder &first) {
    return callDevice(first, module, which, operands);
  });
}

void CudaProgramLowering::askAndLeave(
    Operation *op, function_ref<Value(ImplicitLocOpBuilder &)> build) {
  SimtBuilder s = simt();
  s.sync(SimtScope::Block);
  auto branch = b.create<scf::IfOp>(
      s.isFirstOf(SimtScope::Block),
      [&](OpBuilder &builder, Location loc) {
        ImplicitLocOpBuilder inner(loc, builder);
        Value result = build(inner);
        inner.create<scf::YieldOp>(result);
      },
      [&](OpBuilder &builder, Location loc) {
        Value ok = builder.create<arith::ConstantIntOp>(loc, 0, 32);
        builder.create<scf::YieldOp>(loc, ok);
      });
  // All threads learn of it, and see what the first one waited for.
  Value any = b.create<LLVM::CallIntrinsicOp>(
                   b.getI32Type(), b.getStringAttr("llvm.nvvm.barrier0.or"),
                   ValueRange(branch.getResult(0)))
                  .getResult(0);
  leaveWhere(op, b.create<arith::CmpIOp>(Cmp::ne, any, i32(0)));
}

void CudaProgramLowering::lowerFailIf(FailIfOp op) {
  leaveIf(op, op.getCondition(), [&](Block *) {
    // Refused arguments: the host's own status.
    Value code =
        op.getStatus() == Status::Refused
            ? b.create<arith::TruncIOp>(b.getI32Type(), status).getResult()
            : i32(static_cast<int64_t>(op.getStatus()));
    Value none = i32(0);
    once([&] {
      call(DeviceCall::Fail, {arguments, i32(programNumber), code, none, none,
                              none, op.getA(), op.getB(), op.getC()});
    });
    b.create<cf::BranchOp>(exit);
  });
}

//===----------------------------------------------------------------------===//
// 2.
//===----------------------------------------------------------------------===//

/// \p value as the i64 that is handed over, and back.
static Value toHanded(SimtBuilder &b, Value value) {
  Type type = value.getType();
  if (type.isF32())
    value = b.create<arith::BitcastOp>(b.getI32Type(), value);
  if (value.getType().isIndex())
    return b.toI64(value);
  if (value.getType().isInteger(64))
    return value;
  return b.create<arith::ExtUIOp>(b.getI64Type(), value);
}

static Value fromHanded(SimtBuilder &b, Value handed, Type type) {
  if (type.isIndex())
    return b.toIndex(handed);
  if (type.isInteger(64))
    return handed;
  if (type.isF32())
    return b.create<arith::BitcastOp>(
        type, b.create<arith::TruncIOp>(b.getI32Type(), handed));
  return b.create<arith::TruncIOp>(type, handed);
}

void CudaProgramLowering::lowerFork(ForkOp op) {
  auto number = static_cast<int64_t>(
      llvm::find_if(teams,
                    [&](func::FuncOp team) {
                      return team.getSymName() == getDeviceSymbol(op.getTeam());
                    }) -
      teams.begin());
  once([&] {
    Value base = control();
    for (auto [i, value] : llvm::enumerate(op.getValues())) {
      SimtBuilder s = simt();
      b.create<LLVM::StoreOp>(toHanded(s, value), valueField(base, i),
                              /*alignment=*/8, /*isVolatile=*/true);
    }
    call(DeviceCall::Fork, {arguments, constant(number)});
  });
  SmallVector<Value> operands{arguments};
  llvm::append_range(operands, op.getValues());
  func::FuncOp team = teams[number];
  b.create<func::CallOp>(team, operands);
  callAndLeave(op, DeviceCall::Join, arguments);
}

Block *CudaProgramLowering::buildHelpers(func::FuncOp function,
                                         ArrayRef<func::FuncOp> teams) {
  Region &region = function.getBody();
  Type i64 = b.getI64Type();
  Block *header = b.createBlock(&region, region.end(), i64, b.getLoc());
  Block *done = b.createBlock(&region, region.end());
  Block *over = b.createBlock(&region, region.end());

  b.setInsertionPointToStart(header);
  Value number = header->getArgument(0);
  once([&] { call(DeviceCall::Await, {arguments, number}); });
  Value base = control();
  Value team = b.create<LLVM::LoadOp>(
      i64, advance(base, offsetof(fusco_device_control, team)), /*alignment=*/8,
      /*isVolatile=*/true);
  SmallVector<APInt> numbers;
  SmallVector<Block *> blocks;
  for (func::FuncOp function : teams) {
    OpBuilder::InsertionGuard guard(b);
    numbers.emplace_back(64, numbers.size());
    blocks.push_back(b.createBlock(done));
    SmallVector<Value> operands{arguments};
    for (auto [i, type] :
         llvm::enumerate(function.getArgumentTypes().drop_front())) {
      Value handed =
          b.create<LLVM::LoadOp>(i64, valueField(base, i), /*alignment=*/8,
                                 /*isVolatile=*/true);
      SimtBuilder s = simt();
      operands.push_back(fromHanded(s, handed, type));
    }
    b.create<func::CallOp>(function, operands);
    b.create<cf::BranchOp>(done);
  }
  b.create<cf::SwitchOp>(team, over, ValueRange(), numbers, blocks,
                         SmallVector<ValueRange>(blocks.size()));

  b.setInsertionPointToStart(done);
  once([&] { call(DeviceCall::Arrive, arguments); });
  b.create<cf::BranchOp>(
      header, ValueRange(b.create<arith::AddIOp>(number, constant(1))));

  b.setInsertionPointToStart(over);
  once([&] { call(DeviceCall::Arrive, arguments); });
  b.create<func::ReturnOp>();
  return header;
}

Value CudaProgramLowering::trailer() {
  auto bytes = module->getAttrOfType<IntegerAttr>(planBytesAttrName);
  return advance(plan, bytes.getInt());
}

Value CudaProgramLowering::loadStatus(ProgramOp program) {
  if (program.getFillsPlan())
    return status;
  Value zero = constant(0);
  Value isAccepted = b.create<arith::CmpIOp>(Cmp::eq, status, zero);
  // A refused call has no plan: look anywhere.
  Value word = b.create<arith::SelectOp>(isAccepted, trailer(), control());
  Value filled = b.create<LLVM::LoadOp>(b.getI64Type(), word, /*alignment=*/8,
                                        /*isVolatile=*/true);
  Value isEmpty = b.create<arith::CmpIOp>(Cmp::eq, filled, zero);
  Value isUnfit = b.create<arith::AndIOp>(isAccepted, isEmpty);
  return b.create<arith::SelectOp>(isUnfit, constant(FUSCO_BAD_STATE), status);
}

void CudaProgramLowering::runProgram(ProgramOp program,
                                     ArrayRef<func::FuncOp> lowered) {
  teams = lowered;
  Type ptr = LLVM::LLVMPointerType::get(b.getContext());
  auto function = b.create<func::FuncOp>(getDeviceSymbol(program.getSymName()),
                                         b.getFunctionType({ptr}, {}));
  if (Attribute bytes = program->getAttr(sharedBytesAttrName))
    function->setAttr(sharedBytesAttrName, bytes);
  function.getBody().takeBody(program.getBody());
  Block &entry = function.getBody().front();
  entry.insertArgument(0u, ptr, program.getLoc());
  SmallVector<Operation *> operations = collectPipeOps(function);
  Operation *first = &entry.front();

  b.setInsertionPoint(first);
  loadArguments(entry, entry.getNumArguments() - 1);
  status = loadStatus(program);
  Value null = b.create<LLVM::ZeroOp>(ptr);
  Value filled = null;
  if (program.getFillsPlan()) {
    Value isAccepted = b.create<arith::CmpIOp>(Cmp::eq, status, constant(0));
    filled = b.create<arith::SelectOp>(isAccepted, trailer(), null);
  }
  SimtBuilder s = simt();
  Value isFirst = s.compare(Cmp::eq, s.blockInRank(), s.index(0));
  Block *leader = entry.splitBlock(first);

  // The exits.
  Region &region = function.getBody();
  exit = b.createBlock(&region, region.end());
  once([&] { call(DeviceCall::End, {arguments, null}); });
  b.create<func::ReturnOp>();
  for (Operation *op : operations) {
    if (!isa<pipe::ReturnOp>(op))
      continue;
    b.setInsertionPoint(op);
    once([&] { call(DeviceCall::End, {arguments, filled}); });
    b.create<func::ReturnOp>();
  }

  Block *helpers = buildHelpers(function, teams);
  b.setInsertionPointToEnd(&entry);
  b.create<cf::CondBranchOp>(isFirst, leader, ValueRange(), helpers,
                             ValueRange(constant(1)));

  b.setInsertionPoint(first);
  callAndLeave(first, DeviceCall::Begin,
               {arguments, i32(programNumber), filled});
  lowerAll(operations);
  program.erase();
}

//===----------------------------------------------------------------------===//
// 1.
//===----------------------------------------------------------------------===//

void CudaProgramLowering::runTeam(TeamOp team) {
  Type ptr = LLVM::LLVMPointerType::get(b.getContext());
  auto program = symbols.lookup<ProgramOp>(team.getProgram());
  unsigned numTensors = program.getArgumentTypes().size();
  SmallVector<Type> types{ptr};
  llvm::append_range(
      types, llvm::drop_begin(team.getBody().getArgumentTypes(), numTensors));
  auto function = b.create<func::FuncOp>(getDeviceSymbol(team.getSymName()),
                                         b.getFunctionType(types, {}));
  makeInternal(function);
  function->setAttr("passthrough", b.getStrArrayAttr({"alwaysinline"}));
  raiseSharedBytes(program, getSharedBytes(team));
  function.getBody().takeBody(team.getBody());
  Block &body = function.getBody().front();
  body.insertArgument(0u, ptr, team.getLoc());
  SmallVector<Operation *> operations = collectPipeOps(function);

  Region &region = function.getBody();
  exit = b.createBlock(&region, region.end());
  b.create<func::ReturnOp>();
  for (Operation *op : operations) {
    if (!isa<pipe::ReturnOp>(op))
      continue;
    b.setInsertionPoint(op);
    b.create<func::ReturnOp>();
  }
  b.setInsertionPointToStart(&body);
  loadArguments(body, numTensors);
  lowerAll(operations);
  team.erase();
}

namespace {
struct PipeProgramsToCudaPass
    : fusco::impl::PipeProgramsToCudaPassBase<PipeProgramsToCudaPass> {
  using PipeProgramsToCudaPassBase::PipeProgramsToCudaPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(verifyHasMemory(module)))
      return signalPassFailure();
    WalkResult result = module.walk([](ForkOp op) {
      size_t most = FUSCO_MAX_TEAM_VALUES;
      return op.getValues().size() <= most
                 ? WalkResult::advance()
                 : WalkResult(op.emitOpError("expected at most ")
                              << most << " values for a team of a GPU, got "
                              << op.getValues().size());
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    insertDeviceLibrary(module);
    LLVMTypeConverter converter(&getContext());
    // Numbers are those of fusco_library_info.
    int32_t number = 0;
    for (auto program : llvm::to_vector(module.getOps<ProgramOp>())) {
      SmallVector<func::FuncOp> teams;
      for (auto team : llvm::to_vector(module.getOps<TeamOp>())) {
        if (team.getProgram() != program.getSymName())
          continue;
        std::string name = getDeviceSymbol(team.getSymName());
        CudaProgramLowering(team, converter, threadsPerBlock, number)
            .runTeam(team);
        teams.push_back(module.lookupSymbol<func::FuncOp>(name));
      }
      CudaProgramLowering(program, converter, threadsPerBlock, number++)
          .runProgram(program, teams);
    }
  }
};
} // namespace
