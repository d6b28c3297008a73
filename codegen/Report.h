//===- Report.h - What was compiled, in JSON --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Writes the report that `fusco-compile --report` gives.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_REPORT_H
#define FUSCO_CODEGEN_REPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/JSON.h"

#include "fusco/library.h"

namespace fusco {

/// The report on \p module, pipe programs with assigned memory: shape, memory
/// in bytes buffer by buffer, programs with their tensors, roles and counters,
/// and what was decided and why. \p cpu: the CPU that code is made for.
llvm::json::Value buildReport(mlir::ModuleOp module,
                              const fusco_library_info &info,
                              llvm::StringRef cpu);

} // namespace fusco

#endif // FUSCO_CODEGEN_REPORT_H
