//===- fusco-compile.cpp - From a module to a library ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The compiler's driver. Exit code 0, 1 for a refused module or a failure, 2
/// for a wrong command line.
///
//===----------------------------------------------------------------------===//

#include "tools/compile/Compile.h"
#include "llvm/Support/raw_ostream.h"

int main(int argc, char **argv) {
  fusco::compile::ParsedOptions parsed =
      fusco::compile::parseOptions(argc, argv);
  if (!parsed.options)
    return parsed.exitCode;
  llvm::Expected<bool> isCompiled = fusco::compile::compile(*parsed.options);
  if (!isCompiled) {
    llvm::errs() << "fusco-compile: error: "
                 << llvm::toString(isCompiled.takeError()) << "\n";
    return 1;
  }
  return *isCompiled ? 0 : 1;
}
