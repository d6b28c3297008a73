//===- AssignMemory.cpp - Byte offsets of buffers and channels ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe-assign-memory.
///
//===----------------------------------------------------------------------===//

#include "dialect/Layout.h"
#include "dialect/PipeDialect.h"
#include "mlir/IR/Builders.h"
#include "passes/Passes.h"

namespace fusco {
#define GEN_PASS_DEF_ASSIGNMEMORYPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

/// The channels and buffers that a network reads or writes.
static llvm::DenseSet<Operation *> findMemoryOfNetwork(ModuleOp module) {
  llvm::DenseSet<Operation *> found;
  for (auto channel : module.getOps<ChannelOp>())
    if (channel.getLink() == Link::ScaleOut)
      found.insert(channel);
  SymbolTable symbols(module);
  module.walk([&](PutOp put) {
    if (!found.contains(symbols.lookup(put.getChannel())))
      return;
    found.insert(symbols.lookup(put.getSource()));
    found.insert(symbols.lookup(put.getDestination()));
  });
  return found;
}

namespace {
struct AssignMemoryPass : fusco::impl::AssignMemoryPassBase<AssignMemoryPass> {
  void runOnOperation() override {
    constexpr int64_t alignment = 64; // bytes: a cache line
    ModuleOp module = getOperation();
    int64_t symmetricBytes = 0, planBytes = 0;
    auto take = [&](int64_t &total, int64_t bytes) {
      int64_t at = total;
      total = alignUp(total + bytes, alignment);
      return at;
    };
    llvm::DenseSet<Operation *> ofNetwork = findMemoryOfNetwork(module);
    // Channels first: signals of peers then stay clear of the tables.
    auto assign = [&](bool isOfNetwork) {
      for (auto channel : module.getOps<ChannelOp>())
        if (ofNetwork.contains(channel) == isOfNetwork)
          channel.setAt(take(symmetricBytes, channel.getBytes()));
      for (auto buffer : module.getOps<BufferOp>())
        if (ofNetwork.contains(buffer) == isOfNetwork)
          buffer.setAt(take(buffer.getScope() == Scope::Symmetric
                                ? symmetricBytes
                                : planBytes,
                            buffer.getBytes()));
    };
    assign(/*isOfNetwork=*/true);
    const int64_t networkBytes = symmetricBytes;
    assign(/*isOfNetwork=*/false);
    Builder builder(&getContext());
    module->setAttr(networkBytesAttrName,
                    builder.getI64IntegerAttr(networkBytes));
    module->setAttr(symmetricBytesAttrName,
                    builder.getI64IntegerAttr(symmetricBytes));
    module->setAttr(planBytesAttrName, builder.getI64IntegerAttr(planBytes));
  }
};
} // namespace
