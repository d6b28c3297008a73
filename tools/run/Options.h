//===- Options.h - Command line of fusco-run --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The command line as a struct. What depends on the library (ranks, limits of
/// tokens) is checked where the library is known.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_OPTIONS_H
#define FUSCO_TOOLS_RUN_OPTIONS_H

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fusco::run {

/// Routing that needs no file.
enum class Synthetic {
  Skewed,    ///< loads like measured models'
  OneExpert, ///< all tokens to expert 0
  OneNode,   ///< all tokens to the experts of node 0, evenly
  Empty      ///< no token to any expert
};

/// How the ranks run.
enum class LaunchKind {
  Threads,   ///< threads of this process
  Processes, ///< this process starts one for each
  Env        ///< this process is one, as its environment says
};

struct Options {
  std::string library;
  LaunchKind launch = LaunchKind::Threads;
  std::string transport;               ///< of ranks that are processes
  std::optional<std::string> routing;  ///< .npy of expert ids
  std::optional<std::string> weights;  ///< .npy of router weights
  std::vector<std::string> placements; ///< .npy of tables, in turn
  std::optional<int64_t> layer;
  bool allLayers = false; ///< check each layer of the file in turn
  std::optional<std::pair<int64_t, int64_t>>
      rows; ///< of the files: [begin, end)
  std::optional<int64_t> ranks;
  std::optional<int64_t> tokens;           ///< of each rank
  std::vector<int64_t> tokensPerRank;      ///< empty: equal on all ranks
  Synthetic synthetic = Synthetic::Skewed; ///< where there is no routing
  double skew = 3.5; ///< of Synthetic::Skewed: hottest expert / mean
  uint64_t seed = 0;
  std::optional<int64_t> iterations;
  std::optional<int64_t> graph; ///< replays of a CUDA Graph
  int64_t timeoutMs = 30000;
  bool check = false;
  bool bench = false;
  std::vector<std::string> baselines;        ///< programs of the library
  std::vector<std::string> processBaselines; ///< others: mpi, torch, nccl
  std::optional<std::string> json;
  std::optional<std::string> timeline; ///< file for the trace
  int64_t timelineCalls = 3;           ///< of each program, the last ones
};

/// Parses the command line. Returns nothing if --help or --version was asked
/// for and printed. Throws UsageError.
std::optional<Options> parseOptions(int argc, char **argv);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_OPTIONS_H
