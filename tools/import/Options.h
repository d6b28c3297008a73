//===- Options.h - fusco-import's command line ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// From a command line, and the config file that it may name, to a checked
/// shape.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_IMPORT_OPTIONS_H
#define FUSCO_TOOLS_IMPORT_OPTIONS_H

#include "tools/import/ModelShape.h"
#include <optional>

namespace fusco::importer {

struct Options {
  ModelShape shape;   ///< every value in its bounds
  std::string output; ///< a path; "-" is standard output
};

/// Reads the command line. Returns nothing when --help or --version answered
/// it (on standard output). Throws Error.
std::optional<Options> parseOptions(int argc, const char *const *argv);

} // namespace fusco::importer

#endif // FUSCO_TOOLS_IMPORT_OPTIONS_H
