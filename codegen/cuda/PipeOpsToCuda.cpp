//===- PipeOpsToCuda.cpp - The pass pipe-ops-to-cuda ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe-ops-to-cuda: the patterns are in PipelinesToCuda.cpp,
/// PlanTablesToCuda.cpp, RowsToCuda.cpp and RowSumsToCuda.cpp.
///
//===----------------------------------------------------------------------===//

#include "codegen/Passes.h"
#include "codegen/cuda/CudaPatterns.h"
#include "codegen/cuda/Kernels.h"
#include "codegen/cuda/SimtBuilder.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Transforms/DialectConversion.h"

namespace fusco {
#define GEN_PASS_DEF_PIPEOPSTOCUDAPASS
#include "codegen/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;

/// Declares what SimtBuilder::sharedMemory points to. Its size is a kernel's.
static void declareSharedMemory(ModuleOp module) {
  auto b =
      ImplicitLocOpBuilder::atBlockBegin(module.getLoc(), module.getBody());
  b.create<LLVM::GlobalOp>(
      LLVM::LLVMArrayType::get(b.getI8Type(), 0), /*isConstant=*/false,
      LLVM::Linkage::External, sharedMemorySymbol, /*value=*/Attribute(),
      /*alignment=*/128, NVVM::NVVMMemorySpace::kSharedMemorySpace);
}

/// Stores of scalars that follow each other are done once, by one thread of
/// their scope; only pure operations are between them. In an iteration that is
/// a thread's, it does its own.
static void guardStores(Block &block, int64_t threadsPerBlock) {
  SmallVector<Operation *> stores;
  auto guard = [&] {
    if (stores.empty())
      return;
    Operation *last = stores.back();
    OpBuilder builder(last->getContext());
    builder.setInsertionPointAfter(last);
    SimtBuilder b(last->getLoc(), builder, threadsPerBlock);
    b.once(getSimtScope(last), [&] {
      for (Operation *store : stores)
        store->moveBefore(b.getInsertionBlock(), b.getInsertionPoint());
    });
    stores.clear();
  };
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (isa<memref::StoreOp>(op))
      stores.push_back(&op);
    else if (!isPure(&op))
      guard();
  }
  guard();
}

namespace {
struct PipeOpsToCudaPass
    : fusco::impl::PipeOpsToCudaPassBase<PipeOpsToCudaPass> {
  using PipeOpsToCudaPassBase::PipeOpsToCudaPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    const CudaLimits limits{threadsPerBlock, sharedBytes};
    int64_t threads = limits.threadsPerBlock;
    if (threads <= 0 || threads % threadsPerWarp != 0) {
      module.emitError()
          << "'threads-per-block' must be a positive multiple of "
          << threadsPerWarp << ", got " << threads;
      return signalPassFailure();
    }
    declareSharedMemory(module);

    SmallVector<Block *> blocks;
    module.walk([&](Operation *op) {
      if (isa<pipe::ProgramOp, pipe::TeamOp>(op))
        op->walk([&](Block *block) { blocks.push_back(block); });
    });
    for (Block *block : blocks)
      guardStores(*block, threads);

    // Whose work an operation is shows in the loops around it, which therefore
    // are lowered last.
    SmallVector<SharedLoop> loops = findSharedLoops(module);
    prepareBulkCopies(module, limits);
    RewritePatternSet patterns(&getContext());
    populatePlanTablesToCudaPatterns(patterns, limits);
    populateRowsToCudaPatterns(patterns, limits);
    populateRowSumsToCudaPatterns(patterns, limits);
    populateQuantizeToCudaPatterns(patterns, limits);
    populateWorkersToCudaPatterns(patterns, limits);
    ConversionTarget target(getContext());
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    target.addIllegalOp<pipe::HistogramOp, pipe::PlaceOp, pipe::AssignOp,
                        pipe::CopyRowOp, pipe::StoreRowOp, pipe::CopyRowsOp,
                        pipe::ZeroRowsOp, pipe::RowAddressOp, pipe::ReduceRowOp,
                        pipe::MergeRowOp, pipe::DotRowOp, pipe::QuantizeRowOp,
                        pipe::WorkerOp, pipe::ArriveOp>();
    target.addDynamicallyLegalOp<pipe::FenceOp>(
        [](pipe::FenceOp op) { return getSimtScope(op) != SimtScope::Warp; });
    if (failed(applyPartialConversion(module, target, std::move(patterns))))
      return signalPassFailure();
    lowerLoopsAndPipelines(module, loops, limits);
  }
};
} // namespace
