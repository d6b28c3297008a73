//===- LibraryInfo.h - What a library says about itself ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Gathers a fusco_library_info from a module of pipe programs. The exported
/// library, the header and the report are all made from it.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_LIBRARYINFO_H
#define FUSCO_CODEGEN_LIBRARYINFO_H

#include "mlir/IR/BuiltinOps.h"

#include "fusco/library.h"

namespace fusco {

/// What the code of a library is made for.
struct LibraryTarget {
  llvm::StringRef name = "cpu";
  int32_t cpuLevel = 0;                       ///< fusco_cpu_level, of a CPU
  int32_t maxBlocks = 0, threadsPerBlock = 0; ///< of a GPU
};

/// The description of \p module, which holds pipe programs with assigned
/// memory. How much shared memory kernels need is left open. Reports what the
/// format cannot say (a name that is too long, too many programs) as an error
/// at its place.
llvm::FailureOr<fusco_library_info> getLibraryInfo(mlir::ModuleOp module,
                                                   const LibraryTarget &target);

/// Whether \p program has an entry point; a baseline has none.
bool isEntryPoint(const fusco_program_info &program);

} // namespace fusco

#endif // FUSCO_CODEGEN_LIBRARYINFO_H
