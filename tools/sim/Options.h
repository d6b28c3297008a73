//===- Options.h - Command line of fusco-sim --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The command line as a struct.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_SIM_OPTIONS_H
#define FUSCO_TOOLS_SIM_OPTIONS_H

#include "tools/sim/Parameters.h"
#include "tools/sim/Routing.h"
#include <optional>
#include <string>

namespace fusco::sim {

enum class Task { Model, Validate, ValidateDeepEP, Ablate, ListParameters };

struct Options {
  Task task = Task::Model;
  std::string model;                  ///< empty: 64 GPUs as FUSCO's README has
  std::optional<std::string> routing; ///< .npy; else drawn by `pattern`
  std::optional<int64_t> layer;
  Pattern pattern = Pattern::Even;
  double skew = defaultSkew;
  uint64_t seed = 1;
  std::optional<int64_t> nodes, ranksPerNode;
  std::optional<int64_t> tokens; ///< of each rank; none: the task's own
  Parameters parameters;
  std::optional<std::string> json, report;
};

/// Parses the command line. Returns nothing if --help or --version was asked
/// for and printed. Throws UsageError.
std::optional<Options> parseOptions(int argc, char **argv);

} // namespace fusco::sim

#endif // FUSCO_TOOLS_SIM_OPTIONS_H
