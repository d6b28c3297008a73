//===- Processes.h - One process per rank, on this machine ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// --launch processes: this program starts itself once per rank, with
/// `--launch env`, and watches.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_PROCESSES_H
#define FUSCO_TOOLS_RUN_PROCESSES_H

#include "tools/run/Barrier.h"
#include "tools/run/Options.h"

namespace fusco::run {

/// Runs \p numRanks processes with the command line of this one and returns
/// when all have ended: 0 if all succeeded, else 1. Each has said why. A signal
/// that would end this process ends all; the result is then 128 and the signal.
/// They end with this process, however it ends.
int launchProcesses(int argc, char **argv, const Options &options,
                    int numRanks);

/// The barrier that launchProcesses() shares among the processes that it
/// starts; null in any other process.
Barrier *findSharedBarrier();

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_PROCESSES_H
