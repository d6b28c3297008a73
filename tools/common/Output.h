//===- Output.h - Where tools write -----------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Standard output, the JSON file and progress: everything that leaves the
/// process, whole or not at all.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_COMMON_OUTPUT_H
#define FUSCO_TOOLS_COMMON_OUTPUT_H

#include <cstdint>
#include <memory>
#include <string>

namespace fusco {

/// Makes a closed pipe an error instead of a signal, keeps files that are
/// opened later from becoming standard output or error where the caller closed
/// those, and makes SIGINT end the process at once with exit code 130.
void prepareProcess();

/// Prints \p text on standard output. Throws Error if it cannot be written.
void printToStdout(const std::string &text);

/// Prints \p line and a line break on standard error, as well as it can.
void printToStderr(const std::string &line);

/// Throws Error if writeAtomically() could not write \p path.
void requireWritable(const std::string &path);

/// Replaces \p path by \p text, or leaves it as it was and throws Error. A path
/// that is no regular file, like /dev/stdout, is written to.
void writeAtomically(const std::string &path, const std::string &text);

/// Progress of one stage on standard error: a bar on a terminal, else one line.
/// One thread at a time may use it.
class Progress {
public:
  /// Says nothing unless \p isShown.
  Progress(const std::string &stage, uint64_t steps, bool isShown);
  ~Progress();
  void advance();

private:
  struct Bar;
  std::unique_ptr<Bar> bar; ///< null if standard error is no terminal
};

} // namespace fusco

#endif // FUSCO_TOOLS_COMMON_OUTPUT_H
