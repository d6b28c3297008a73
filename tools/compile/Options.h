//===- Options.h - Command line of fusco-compile ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What fusco-compile is asked to do.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_COMPILE_OPTIONS_H
#define FUSCO_TOOLS_COMPILE_OPTIONS_H

#include "passes/Passes.h"
#include <optional>
#include <string>

namespace fusco::compile {

/// What is written to the output.
enum class Emit { Mlir, Llvm, Ptx, Cubin, Obj, So };

struct Options {
  std::string input;  ///< "-" is standard input
  std::string output; ///< "-" is standard output, for text
  std::string target; ///< "cpu", or the least GPU: "sm_90"
  std::string cpu;    ///< of the target "cpu"
  int64_t threadsPerBlock = 0, maxBlocks = 0; ///< of a GPU
  std::string ptxas;                          ///< empty: where it is found
  Emit emit = Emit::So;
  bool fuse = true;            ///< make dispatch and combine of unfused steps
  bool hasBaseline = true;     ///< add the unfused programs for fusco-run
  bool hasBackward = false;    ///< add the backward of each function
  bool hasTimeline = false;    ///< programs note what they do and when
  bool sanitizeThread = false; ///< instrument for ThreadSanitizer
  UniqueOption unique = UniqueOption::Auto;
  PolicyOption forwarders = PolicyOption::Auto;
  int64_t chunkTokens = 0, ringChunks = 0; ///< 0: the compiler's choice
  int64_t stageLag = 1;
  std::string header, report; ///< empty: not wanted
  std::string linker;         ///< the C++ compiler driver that links
};

/// Parses the command line. Prints help, version or a usage error itself and
/// then gives the exit code instead.
struct ParsedOptions {
  std::optional<Options> options;
  int exitCode = 0;
};
ParsedOptions parseOptions(int argc, char **argv);

inline bool isForGpu(const Options &options) { return options.target != "cpu"; }

} // namespace fusco::compile

#endif // FUSCO_TOOLS_COMPILE_OPTIONS_H
