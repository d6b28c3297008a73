//===- CommandLine.h - Flags of a tool --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What the command lines of tools have in common.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_COMMON_COMMANDLINE_H
#define FUSCO_TOOLS_COMMON_COMMANDLINE_H

#include <boost/program_options.hpp>

#include <optional>
#include <string>

namespace fusco {

struct CommandLine {
  std::string tool;  ///< its name
  std::string usage; ///< what --help says before the flags
  /// The flags, --help and --version excepted, which are added.
  boost::program_options::options_description &flags;
  const char *positional; ///< what the one argument without a flag is called
  std::string &argument;  ///< and where it goes
};

/// Parses \p argv; flags may not be abbreviated, since one that is added later
/// would change what they mean. Prints what --help or --version asks for and
/// returns nothing then. Throws UsageError.
std::optional<boost::program_options::variables_map>
parseCommandLine(int argc, char **argv, const CommandLine &line);

} // namespace fusco

#endif // FUSCO_TOOLS_COMMON_COMMANDLINE_H
