//===- Options.h - Command line of fusco-place ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The command line as a struct.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_PLACE_OPTIONS_H
#define FUSCO_TOOLS_PLACE_OPTIONS_H

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace fusco::place {

struct Options {
  std::string profile, output;
  bool isOfCounts = false; ///< the profile holds loads rather than ids
  std::optional<std::pair<int64_t, int64_t>> rows; ///< of ids: [begin, end)
  int64_t experts = 0, redundant = 0, nodes = 0, ranksPerNode = 0;
};

/// Parses the command line. Returns nothing if --help or --version was asked
/// for and printed. Throws UsageError.
std::optional<Options> parseOptions(int argc, char **argv);

} // namespace fusco::place

#endif // FUSCO_TOOLS_PLACE_OPTIONS_H
