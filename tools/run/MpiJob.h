//===- MpiJob.h - The processes of the MPI baseline -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Starts fusco-mpi-baseline through mpirun, gives it commands, and ends it
/// whatever happens to this process.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_MPIJOB_H
#define FUSCO_TOOLS_RUN_MPIJOB_H

#include "tools/baseline/Mailbox.h"

#include <string>

namespace fusco::run {

/// One job. There may be one at a time, which the main thread makes: mpirun
/// ends when that thread does.
class MpiJob {
public:
  /// Starts the ranks of \p shape and waits until they are there. Each command
  /// may take \p timeoutMs. Throws Error if they cannot be started.
  MpiJob(const baseline::Shape &shape, int64_t timeoutMs);
  MpiJob(const MpiJob &) = delete;
  MpiJob &operator=(const MpiJob &) = delete;
  ~MpiJob();

  baseline::Mailbox &mailbox() { return *box; }

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

  const int64_t timeoutMs;
  const int memory; ///< the file of the mailbox
  const int output; ///< a file of what mpirun prints
  baseline::Mailbox *box;
  bool isIdle = false; ///< whether every command has been answered
};

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_MPIJOB_H
