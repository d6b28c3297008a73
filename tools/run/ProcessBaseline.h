//===- ProcessBaseline.h - A baseline in other processes --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// `--baseline mpi`, `torch` and `nccl`: permute, all-to-all, permute as
/// frameworks do it, in processes beside fusco-run's, on the tensors of a
/// library and in turn with its programs.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_PROCESSBASELINE_H
#define FUSCO_TOOLS_RUN_PROCESSBASELINE_H

#include "tools/run/BaselineJob.h"
#include "tools/run/Launch.h"
#include "tools/run/Routing.h"
#include "tools/run/Timing.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace fusco::run {

/// Throws Error if the baseline \p name cannot do what \p library does.
void requireSupports(const std::string &name, const Library &library,
                     const Options &options);

/// One of its ranks for each of the library's. All ranks call each method
/// together; while the processes work, they sleep.
class ProcessBaseline {
public:
  /// For \p routing, whichever rank has whose tokens. Throws Error.
  ProcessBaseline(const std::string &name, const Library &library,
                  const Routing &routing, const Options &options);

  const std::string name;
  /// Whether it adds rows in the order that the semantics fix. If not, its sums
  /// are those only where no order rounds (Contents::WholeNumbers).
  const bool keepsOrder;

  /// Takes over the inputs of dispatch that \p tensors hold.
  void setTokens(Rank &rank, const Tensors &tensors);
  /// Takes over `y`.
  void setOutputs(Rank &rank, const Tensors &tensors);

  /// Run; give when this rank's process started and ended.
  Span dispatch(Rank &rank) { return time(rank, baseline::Command::Dispatch); }
  Span combine(Rank &rank) { return time(rank, baseline::Command::Combine); }

  /// Writes what dispatch has left to `rows`, `counts` and `offsets`.
  void getRows(Rank &rank, Tensors &tensors);
  /// Writes what combine has left to `out`.
  void getResult(Rank &rank, Tensors &tensors);

private:
  void join(Rank &rank);
  void run(Rank &rank, baseline::Command command);
  Span time(Rank &rank, baseline::Command command);
  void endRound();
  void awaitRound(uint64_t round);

  const BaselineProgram program;
  const baseline::Shape shape;
  const int64_t timeoutMs;
  /// Where ranks are threads; else in the process of rank 0, from join() on.
  std::optional<BaselineJob> job;
  baseline::Mailbox *mailbox = nullptr; ///< null before join()

  // How other ranks wait for rank 0 without spinning.
  std::mutex mutex;
  std::condition_variable ended;
  uint64_t rounds = 0; ///< that have ended
};

using ProcessBaselines = std::vector<std::unique_ptr<ProcessBaseline>>;

/// Those that \p options ask for, in their order. Throws Error.
ProcessBaselines startBaselines(const Library &library, const Routing &routing,
                                const Options &options);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_PROCESSBASELINE_H
