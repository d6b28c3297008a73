//===- BaselineJob.h - The processes of a baseline --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Starts the program of a baseline, gives it commands, and ends it whatever
/// happens to this process.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_BASELINEJOB_H
#define FUSCO_TOOLS_RUN_BASELINEJOB_H

#include "tools/baseline/Mailbox.h"
#include "tools/run/BaselineProgram.h"

#include <atomic>
#include <string>
#include <sys/types.h>

namespace fusco::run {

/// One job: a process for each rank, or one that plays them all. The main
/// thread makes it: its processes end when that thread does.
class BaselineJob {
public:
  /// Starts the ranks of \p shape and waits until they are there. Each command
  /// may take \p timeoutMs. Throws Error if they cannot be started.
  BaselineJob(BaselineProgram started, const baseline::Shape &shape,
              int64_t timeoutMs);
  BaselineJob(const BaselineJob &) = delete;
  BaselineJob &operator=(const BaselineJob &) = delete;
  ~BaselineJob();

  baseline::Mailbox &mailbox() { return *box; }
  /// Of the mailbox, for Mailbox::open() in other processes.
  std::string path() const;

  /// Lets all ranks follow \p command and sleeps until they have. Throws Error
  /// if the job has ended or does not answer in time.
  void run(baseline::Command command);

private:
  void start();
  void give(baseline::Command command);
  void end();
  void awaitAnswers(const std::string &what, int64_t timeoutMs);
  [[noreturn]] void failAsEnded(const std::string &what, int status);
  std::string firstOfOutput() const;

  const BaselineProgram program;
  const int64_t timeoutMs;
  const int memory;             ///< the file of the mailbox
  const int output;             ///< a file of what the program prints
  std::atomic<pid_t> &guardian; ///< of the program, if it runs
  baseline::Mailbox *box;
  bool isIdle = false; ///< whether every command has been answered
};

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_BASELINEJOB_H
