//===- Link.h - From object code to a shared library ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Links a model's object code with the runtime.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_COMPILE_LINK_H
#define FUSCO_TOOLS_COMPILE_LINK_H

#include "tools/compile/Files.h"

namespace fusco::compile {

/// Links \p object and the runtime into the shared library \p library, which
/// exports `fusco_*` and `MODEL_*` and needs nothing but libc. \p linker is the
/// C++ compiler driver to call. With \p sanitizeThread the library has the
/// runtime that is built with ThreadSanitizer, and needs the process to be,
/// too.
llvm::Error linkLibrary(OutputFiles &files, llvm::StringRef linker,
                        llvm::StringRef model, llvm::StringRef object,
                        llvm::StringRef library, bool sanitizeThread);

} // namespace fusco::compile

#endif // FUSCO_TOOLS_COMPILE_LINK_H
