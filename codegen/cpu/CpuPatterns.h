//===- CpuPatterns.h - Patterns of pipe-ops-to-cpu --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The patterns that each file contributes to pipe-ops-to-cpu.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_CPU_CPUPATTERNS_H
#define FUSCO_CODEGEN_CPU_CPUPATTERNS_H

#include "codegen/RowBuilder.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace fusco {

/// PlanTablesToCpu.cpp: pipe.histogram, pipe.place, pipe.assign.
void populatePlanTablesToCpuPatterns(mlir::RewritePatternSet &patterns);

/// PipelinesToCpu.cpp: pipe.pipeline.
void populatePipelinesToCpuPatterns(mlir::RewritePatternSet &patterns);

/// RowsToCpu.cpp: what copies rows, and pipe.row_address.
void populateRowsToCpuPatterns(mlir::RewritePatternSet &patterns);

/// RowSumsToCpu.cpp: pipe.reduce_row, pipe.merge_row, pipe.dot_row.
void populateRowSumsToCpuPatterns(mlir::RewritePatternSet &patterns);

/// QuantizeToCpu.cpp: pipe.quantize_row.
void populateQuantizeToCpuPatterns(mlir::RewritePatternSet &patterns);

/// RowsToCpu.cpp: what \p op, which converts nothing, does of \p columns
/// columns from \p column (index) on. Where that starts keeps the alignment of
/// lines.
void copyColumns(RowBuilder &b, pipe::CopyRowOp op, mlir::Value column,
                 int64_t columns);

} // namespace fusco

#endif // FUSCO_CODEGEN_CPU_CPUPATTERNS_H
