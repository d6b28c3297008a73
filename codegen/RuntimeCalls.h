//===- RuntimeCalls.h - Runtime entry points that code calls ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The single list of runtime functions that generated code may call, with
/// their signatures (runtime/include/fusco/library.h), and the names of what
/// generated code defines itself.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_RUNTIMECALLS_H
#define FUSCO_CODEGEN_RUNTIMECALLS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace fusco {

enum class RuntimeCall {
  ProgramRun,  ///< fusco_program_run
  ProgramWait, ///< fusco_program_wait
  ProgramPut,  ///< fusco_program_put
  ProgramFail, ///< fusco_program_fail
  ProgramMark  ///< fusco_program_mark
};

/// Calls \p call with \p operands, which have its parameter types (pointers as
/// !llvm.ptr), declaring it in the module around \p builder if need be. Returns
/// the result, an i32, null where there is none.
mlir::Value callRuntime(mlir::ImplicitLocOpBuilder &builder, RuntimeCall call,
                        mlir::ValueRange operands);

/// The symbol of the function behind the program \p name.
std::string getProgramSymbol(llvm::StringRef name);

/// The entry point of the program \p name of \p module, as users call it.
std::string getEntrySymbol(mlir::ModuleOp module, llvm::StringRef name);

/// The model's name: the module's, or "model" where it has none.
llvm::StringRef getModelName(mlir::ModuleOp module);

} // namespace fusco

#endif // FUSCO_CODEGEN_RUNTIMECALLS_H
