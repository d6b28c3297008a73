//===- Compile.h - From a module to its outputs -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Runs the pipelines and writes what was asked for.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_COMPILE_COMPILE_H
#define FUSCO_TOOLS_COMPILE_COMPILE_H

#include "tools/compile/Options.h"
#include "llvm/Support/Error.h"

namespace fusco::compile {

/// Compiles as \p options say. False after a diagnostic about the module, which
/// has been printed; an error for everything else.
llvm::Expected<bool> compile(const Options &options);

} // namespace fusco::compile

#endif // FUSCO_TOOLS_COMPILE_COMPILE_H
