//===- CpuBackend.h - LLVM dialect to x86-64 code ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The end of the target "cpu": which instructions may be used, LLVM IR,
/// optimisation, object code.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_CPU_CPUBACKEND_H
#define FUSCO_CODEGEN_CPU_CPUBACKEND_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"

namespace fusco {

/// The CPU that code is made for.
struct CpuTarget {
  std::unique_ptr<llvm::TargetMachine> machine;
  int32_t level; ///< fusco_cpu_level: what the runtime checks before it runs
};

/// The target for the CPU \p name, as LLVM calls it. "native" is the highest of
/// x86-64-v3 and x86-64-v4 that this machine has, so that a library runs
/// wherever the runtime's check passes. Fails on unknown names and on CPUs
/// without AVX2, FMA and F16C, which the generated code needs.
llvm::Expected<CpuTarget> createCpuTarget(llvm::StringRef name);

/// Translates \p module, all LLVM dialect, and optimises it for \p target. With
/// \p sanitizeThread, every access to memory is reported to ThreadSanitizer's
/// runtime, which the process must bring. Null after a diagnostic.
std::unique_ptr<llvm::Module> translateToLlvm(mlir::ModuleOp module,
                                              llvm::LLVMContext &context,
                                              const CpuTarget &target,
                                              bool sanitizeThread);

/// Writes \p module as position-independent object code to \p out.
llvm::Error emitObject(llvm::Module &module, const CpuTarget &target,
                       llvm::raw_pwrite_stream &out);

} // namespace fusco

#endif // FUSCO_CODEGEN_CPU_CPUBACKEND_H
