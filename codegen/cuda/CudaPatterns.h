//===- CudaPatterns.h - Patterns of pipe-ops-to-cuda ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What each file contributes to pipe-ops-to-cuda.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_CUDA_CUDAPATTERNS_H
#define FUSCO_CODEGEN_CUDA_CUDAPATTERNS_H

#include "codegen/cuda/SimtBuilder.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"

namespace fusco {

/// What code is made for.
struct CudaLimits {
  int64_t threadsPerBlock; ///< a multiple of 32
  int64_t sharedBytes;     ///< dynamic shared memory of a block at most
};

/// A pattern that knows what code is made for.
template <typename OpT> struct CudaPattern : mlir::OpRewritePattern<OpT> {
  CudaPattern(mlir::MLIRContext *context, const CudaLimits &limits)
      : mlir::OpRewritePattern<OpT>(context), limits(limits) {}

  const CudaLimits limits;
};

/// PlanTablesToCuda.cpp: pipe.histogram, pipe.place, pipe.assign.
void populatePlanTablesToCudaPatterns(mlir::RewritePatternSet &patterns,
                                      const CudaLimits &limits);

/// A pipe.for_each, and what its body and its place say about it: these are
/// gone when it is lowered.
struct SharedLoop {
  pipe::ForEachOp op;
  SimtScope scope; ///< whose members share the iterations
  bool isForWarps; ///< an iteration is a warp's rather than a thread's
};

/// PipelinesToCuda.cpp: every pipe.for_each of \p module, inner ones first.
llvm::SmallVector<SharedLoop> findSharedLoops(mlir::ModuleOp module);

/// PipelinesToCuda.cpp: lowers \p loops, then every pipe.pipeline.
void lowerLoopsAndPipelines(mlir::ModuleOp module,
                            llvm::ArrayRef<SharedLoop> loops,
                            const CudaLimits &limits);

/// RowsToCuda.cpp: chooses the copies of \p module that are bulk copies, and
/// sets up shared memory around the loops that have some.
void prepareBulkCopies(mlir::ModuleOp module, const CudaLimits &limits);

/// RowsToCuda.cpp: what copies rows, and pipe.row_address. Assumes
/// prepareBulkCopies.
void populateRowsToCudaPatterns(mlir::RewritePatternSet &patterns,
                                const CudaLimits &limits);

/// RowSumsToCuda.cpp: pipe.reduce_row, pipe.merge_row, pipe.dot_row.
void populateRowSumsToCudaPatterns(mlir::RewritePatternSet &patterns,
                                   const CudaLimits &limits);

/// PipelinesToCuda.cpp: pipe.worker.
void populateWorkersToCudaPatterns(mlir::RewritePatternSet &patterns,
                                   const CudaLimits &limits);

/// QuantizeToCuda.cpp: pipe.quantize_row.
void populateQuantizeToCudaPatterns(mlir::RewritePatternSet &patterns,
                                    const CudaLimits &limits);

/// RowsToCuda.cpp: orders what threads read and write with what bulk copies do.
void fenceBulkCopies(SimtBuilder &b);

} // namespace fusco

#endif // FUSCO_CODEGEN_CUDA_CUDAPATTERNS_H
