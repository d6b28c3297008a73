//===- Assemble.h - From PTX to the code of one GPU -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Runs NVIDIA's assembler, ptxas, where there is one, and reads what it says.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_COMPILE_ASSEMBLE_H
#define FUSCO_TOOLS_COMPILE_ASSEMBLE_H

#include "tools/compile/Files.h"
#include "llvm/ADT/StringMap.h"

namespace fusco::compile {

/// What a kernel needs, functions that it calls included.
struct KernelUsage {
  int64_t registers = 0;  ///< of a thread
  int64_t spillBytes = 0; ///< registers' bytes that go through memory
};

/// Code for one GPU, and what ptxas says of its kernels.
struct Assembled {
  std::string cubin;
  llvm::StringMap<KernelUsage> kernels;
};

/// The path of ptxas: \p asked if it is not empty, else from PATH, CUDA_HOME or
/// where the CUDA toolkit is installed as a rule; empty if there is none. An
/// error where \p asked is no program.
llvm::Expected<std::string> findPtxas(llvm::StringRef asked);

/// Assembles \p ptx for \p chip.
llvm::Expected<Assembled> assemble(OutputFiles &files, llvm::StringRef ptxas,
                                   llvm::StringRef chip, llvm::StringRef ptx);

} // namespace fusco::compile

#endif // FUSCO_TOOLS_COMPILE_ASSEMBLE_H
