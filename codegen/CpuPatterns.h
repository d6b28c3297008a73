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

#ifndef FUSCO_CODEGEN_CPUPATTERNS_H
#define FUSCO_CODEGEN_CPUPATTERNS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace fusco {

/// PlanTablesToCpu.cpp: pipe.histogram, pipe.place, pipe.assign.
void populatePlanTablesToCpuPatterns(mlir::RewritePatternSet &patterns);

/// RowsToCpu.cpp: pipe.copy_row, pipe.reduce_row, pipe.zero_rows.
void populateRowsToCpuPatterns(mlir::RewritePatternSet &patterns);

} // namespace fusco

#endif // FUSCO_CODEGEN_CPUPATTERNS_H
