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
    // Channels first: signals of peers then stay clear of the tables.
    for (auto channel : module.getOps<ChannelOp>())
      channel.setAt(take(symmetricBytes, channel.getBytes()));
    for (auto buffer : module.getOps<BufferOp>())
      buffer.setAt(take(buffer.getScope() == Scope::Symmetric ? symmetricBytes
                                                              : planBytes,
                        buffer.getBytes()));
    Builder builder(&getContext());
    module->setAttr(symmetricBytesAttrName,
                    builder.getI64IntegerAttr(symmetricBytes));
    module->setAttr(planBytesAttrName, builder.getI64IntegerAttr(planBytes));
  }
};
} // namespace
