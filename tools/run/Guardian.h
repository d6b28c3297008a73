//===- Guardian.h - A command that does not outlive this process *- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Runs a command that cleans up after itself when it gets SIGTERM, and sees to
/// it that it gets that once and ends, whatever ends this process.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_GUARDIAN_H
#define FUSCO_TOOLS_RUN_GUARDIAN_H

#include <string>
#include <sys/types.h>
#include <vector>

namespace fusco::run {

/// The exit code of a guardian whose command could not be started.
constexpr int guardianCannotStart = 127;

/// Starts \p command, found on PATH, with \p output as its standard output and
/// error, under a guardian: a process that ends as the command does, after all
/// that the command has started. The main thread must call this; the guardian
/// ends with it. Throws Error.
pid_t startGuarded(const std::vector<std::string> &command, int output);

/// Ends the command of \p guardian and waits for all its processes to be gone.
/// A signal's handler may call it.
void stopGuarded(pid_t guardian);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_GUARDIAN_H
