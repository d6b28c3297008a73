//===- SplitPipelines.cpp - Pipelines for several workers -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe-split-pipelines: worker w takes the chunks w, w + workers, ... through
/// all stages, on lanes and in buffers of its own. What the workers of all
/// ranks that have one number do is the pipeline that was there before, over
/// fewer chunks, and has nothing to do with what the others do.
///
//===----------------------------------------------------------------------===//

#include "dialect/PipeDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Passes.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

namespace fusco {
#define GEN_PASS_DEF_SPLITPIPELINESPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

namespace {
struct SplitPipelinesPass
    : fusco::impl::SplitPipelinesPassBase<SplitPipelinesPass> {
  using SplitPipelinesPassBase::SplitPipelinesPassBase;

  void runOnOperation() override;

private:
  void collect();
  void enlarge();
  void splitStage(StageOp stage);
  void splitUsers(Operation *local, StringRef buffer, Value worker);

  llvm::SetVector<StringAttr> channels, buffers;
  llvm::DenseMap<StringAttr, MemRefType> types; ///< of buffers, of one worker
  llvm::DenseMap<StringAttr, int64_t> lanes;    ///< likewise
};
} // namespace

/// The buffer that \p op gives a view of; null for other operations.
static FlatSymbolRefAttr getViewedBuffer(Operation *op) {
  if (auto local = dyn_cast<LocalOp>(op))
    return local.getBufferAttr();
  if (auto peer = dyn_cast<PeerOp>(op))
    return peer.getBufferAttr();
  return {};
}

/// The channel that \p op uses; null for other operations.
static FlatSymbolRefAttr getChannel(Operation *op) {
  return llvm::TypeSwitch<Operation *, FlatSymbolRefAttr>(op)
      .Case<ClaimOp, SignalOp, ReceiveOp, HeldOp, ReleaseOp, PutOp, PutRowsOp>(
          [](auto user) { return user.getChannelAttr(); })
      .Default([](Operation *) { return FlatSymbolRefAttr(); });
}

/// Whether \p view is of a row that no other worker uses anyway.
static bool isOwn(pipe::ViewOp view) {
  return view.getIndices().size() == 1 &&
         view.getIndices().front().getDefiningOp<WorkerOp>();
}

/// What workers need of their own: channels, and buffers that stages write.
void SplitPipelinesPass::collect() {
  getOperation().walk([&](StageOp stage) {
    stage.walk([&](Operation *op) {
      if (FlatSymbolRefAttr channel = getChannel(op))
        channels.insert(channel.getAttr());
      if (auto put = dyn_cast<PutOp>(op)) {
        buffers.insert(put.getSourceAttr().getAttr());
        buffers.insert(put.getDestinationAttr().getAttr());
      }
      Value written;
      if (auto store = dyn_cast<memref::StoreOp>(op))
        written = store.getMemRef();
      else if (auto view = dyn_cast<pipe::ViewOp>(op); view && !isOwn(view))
        written = view.getBuffer();
      if (!written || !written.getDefiningOp())
        return;
      if (FlatSymbolRefAttr buffer = getViewedBuffer(written.getDefiningOp()))
        buffers.insert(buffer.getAttr());
    });
  });
}

void SplitPipelinesPass::enlarge() {
  SymbolTable symbols(getOperation());
  for (StringAttr name : channels) {
    auto channel = symbols.lookup<ChannelOp>(name);
    lanes[name] = channel.getLanes();
    channel.setLanes(lanes[name] * workers);
  }
  for (StringAttr name : buffers) {
    auto buffer = symbols.lookup<BufferOp>(name);
    MemRefType type = buffer.getMemRefType();
    types[name] = type;
    SmallVector<int64_t> shape(type.getShape());
    shape.front() *= workers;
    buffer.setType(MemRefType::get(shape, type.getElementType()));
  }
}

/// \p local is a view of a buffer, which has all workers' now.
void SplitPipelinesPass::splitUsers(Operation *local, StringRef name,
                                    Value worker) {
  MemRefType type = types.lookup(StringAttr::get(&getContext(), name));
  ImplicitLocOpBuilder b(local->getLoc(), &getContext());
  b.setInsertionPointAfter(local);
  Value first = b.create<arith::MulIOp>(
      worker, b.create<arith::ConstantIndexOp>(type.getDimSize(0)));
  Value all = local->getResult(0);
  auto users = llvm::to_vector(all.getUsers());
  SmallVector<int64_t> shape(type.getShape());
  shape.front() *= workers;
  all.setType(MemRefType::get(shape, type.getElementType()));

  Value own;
  for (Operation *user : users) {
    // Rows of bytes are chosen by index, all else is a part of the table.
    if (auto view = dyn_cast<pipe::ViewOp>(user)) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(user);
      OpOperand &index = view.getIndicesMutable()[0];
      index.set(b.create<arith::AddIOp>(index.get(), first));
      continue;
    }
    if (!own) {
      SmallVector<OpFoldResult> offsets(type.getRank(), b.getIndexAttr(0));
      SmallVector<OpFoldResult> sizes,
          strides(type.getRank(), b.getIndexAttr(1));
      offsets.front() = first;
      for (int64_t extent : type.getShape())
        sizes.push_back(b.getIndexAttr(extent));
      own = b.create<memref::SubViewOp>(all, offsets, sizes, strides);
    }
    user->replaceUsesOfWith(all, own);
  }
}

void SplitPipelinesPass::splitStage(StageOp stage) {
  Block &body = stage.getBody().front();
  ImplicitLocOpBuilder b(stage.getLoc(), &getContext());
  b.setInsertionPointToStart(&body);
  Value worker = b.create<arith::RemUIOp>(
      body.getArgument(0), b.create<arith::ConstantIndexOp>(workers));
  auto shift = [&](OpOperand &index, int64_t perWorker) {
    Value first = b.create<arith::MulIOp>(
        worker, b.create<arith::ConstantIndexOp>(perWorker));
    index.set(b.create<arith::AddIOp>(index.get(), first));
  };
  SmallVector<Operation *> operations;
  stage.walk([&](Operation *op) { operations.push_back(op); });
  for (Operation *op : operations) {
    b.setInsertionPoint(op);
    if (FlatSymbolRefAttr channel = getChannel(op)) {
      int64_t perWorker = lanes.lookup(channel.getAttr());
      llvm::TypeSwitch<Operation *>(op)
          .Case<ClaimOp, ReceiveOp, HeldOp>(
              [&](auto user) { shift(user.getLaneMutable(), perWorker); })
          .Case<SignalOp, ReleaseOp, PutOp, PutRowsOp>([&](auto user) {
            shift(user.getLaneMutable(), perWorker);
            shift(user.getTheirLaneMutable(), perWorker);
          });
    }
    if (auto put = dyn_cast<PutOp>(op)) {
      auto perWorker = [&](FlatSymbolRefAttr name) {
        return types.lookup(name.getAttr()).getDimSize(0);
      };
      shift(put.getSourceIndicesMutable()[0], perWorker(put.getSourceAttr()));
      shift(put.getDestinationIndicesMutable()[0],
            perWorker(put.getDestinationAttr()));
    }
    FlatSymbolRefAttr buffer = getViewedBuffer(op);
    if (buffer && buffers.contains(buffer.getAttr()))
      splitUsers(op, buffer.getValue(), worker);
  }
}

void SplitPipelinesPass::runOnOperation() {
  if (workers < 1) {
    getOperation().emitError("expected at least 1 worker, got ") << workers;
    return signalPassFailure();
  }
  if (workers == 1)
    return;
  collect();
  // What is a worker's has no meaning outside of its stages.
  WalkResult result = getOperation().walk([&](Operation *op) {
    FlatSymbolRefAttr buffer = getViewedBuffer(op), channel = getChannel(op);
    if (op->getParentOfType<StageOp>() ||
        !((buffer && buffers.contains(buffer.getAttr())) ||
          (channel && channels.contains(channel.getAttr()))))
      return WalkResult::advance();
    return WalkResult(op->emitOpError("expected ")
                      << (buffer ? buffer : channel)
                      << ", which stages write, to be used in stages only");
  });
  if (result.wasInterrupted())
    return signalPassFailure();
  enlarge();
  getOperation().walk([&](PipelineOp pipeline) {
    pipeline.setWorkers(workers);
    for (auto stage : pipeline.getBody().getOps<StageOp>())
      splitStage(stage);
  });
}
