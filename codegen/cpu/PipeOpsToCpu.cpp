//===- PipeOpsToCpu.cpp - The pass pipe-ops-to-cpu ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe-ops-to-cpu: the patterns are in PipelinesToCpu.cpp,
/// PlanTablesToCpu.cpp, RowsToCpu.cpp and RowSumsToCpu.cpp.
///
//===----------------------------------------------------------------------===//

#include "codegen/Passes.h"
#include "codegen/cpu/CpuPatterns.h"
#include "dialect/PipeDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Transforms/DialectConversion.h"

namespace fusco {
#define GEN_PASS_DEF_PIPEOPSTOCPUPASS
#include "codegen/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;

namespace {
struct PipeOpsToCpuPass : fusco::impl::PipeOpsToCpuPassBase<PipeOpsToCpuPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populatePipelinesToCpuPatterns(patterns);
    populatePlanTablesToCpuPatterns(patterns);
    populateRowsToCpuPatterns(patterns);
    populateRowSumsToCpuPatterns(patterns);
    populateQuantizeToCpuPatterns(patterns);
    ConversionTarget target(getContext());
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    target.addIllegalOp<pipe::PipelineOp, pipe::StageOp, pipe::ForEachOp,
                        pipe::HistogramOp, pipe::PlaceOp, pipe::AssignOp,
                        pipe::CopyRowOp, pipe::StoreRowOp, pipe::CopyRowsOp,
                        pipe::ZeroRowsOp, pipe::RowAddressOp, pipe::ReduceRowOp,
                        pipe::MergeRowOp, pipe::DotRowOp, pipe::QuantizeRowOp,
                        pipe::WorkerOp, pipe::ArriveOp>();
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
