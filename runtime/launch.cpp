//===- launch.cpp - One thread per rank -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// fusco_launch_threads: a domain, its contexts and a thread for each, for
/// tests, tools and hosts without threads of their own.
//
//===----------------------------------------------------------------------===//

#include "runtime/context.h"
#include "runtime/status.h"

#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

using namespace fusco;
using namespace fusco::runtime;

namespace {
/// Holds all ranks until it is known whether every thread could be started: a
/// rank alone would wait for its peers until its deadline.
class StartGate {
public:
  /// Lets the waiting threads go: to run, or to end at once.
  void open(bool shallRun) {
    std::lock_guard<std::mutex> lock(mutex);
    isOpen = true;
    isGo = shallRun;
    changed.notify_all();
  }

  /// Waits for open() and returns what it was given.
  bool pass() {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return isOpen; });
    return isGo;
  }

private:
  std::mutex mutex;
  std::condition_variable changed;
  bool isOpen = false;
  bool isGo = false;
};

/// One rank's context and how its main function ended.
struct RankRun {
  std::unique_ptr<fusco_context, decltype(&fusco_context_destroy)> context{
      nullptr, fusco_context_destroy};
  fusco_status status = FUSCO_OK;
  char error[errorTextBytes] = "";
};
} // namespace

/// How much an error tells about the cause: a rank that waits in vain knows
/// less than the one that found the fault, one that was told of it least.
static int getCausality(fusco_status status) {
  switch (status) {
  case FUSCO_OK:
    return 0;
  case FUSCO_PEER_FAILED:
    return 1;
  case FUSCO_TIMEOUT:
    return 2;
  default:
    return 3;
  }
}

static void runRank(RankRun &run, StartGate &gate, fusco_rank_main rankMain,
                    void *user) {
  if (!gate.pass())
    return;
  fusco_context *context = run.context.get();
  std::optional<cuda::ContextGuard> guard;
  if (const Gpu *gpu = context->domain->gpu.get())
    guard.emplace(gpu->getContext());
  // The text is this thread's and ends with it.
  auto end = [&](fusco_status status) {
    run.status = status;
    std::snprintf(run.error, sizeof(run.error), "%s", fusco_last_error());
  };
  end(rankMain(context, user));
  // Memory ends when all ranks have returned: nothing may still run then.
  fusco_status status = fusco_context_synchronize(context, nullptr);
  if (run.status == FUSCO_OK)
    end(status);
}

/// Starts a thread per run and waits for all of them. Throws what starting a
/// thread throws, after those that did start have ended without running.
static void runThreads(std::vector<RankRun> &runs, fusco_rank_main rankMain,
                       void *user) {
  StartGate gate;
  std::vector<std::thread> threads;
  threads.reserve(runs.size());
  auto finish = [&](bool shallRun) {
    gate.open(shallRun);
    for (std::thread &thread : threads)
      thread.join();
  };
  try {
    for (RankRun &run : runs)
      threads.emplace_back(runRank, std::ref(run), std::ref(gate), rankMain,
                           user);
  } catch (...) {
    finish(false);
    throw;
  }
  finish(true);
}

/// Returns the failure that comes closest to the cause, the lowest rank's if
/// there are several.
static fusco_status reportRuns(const std::vector<RankRun> &runs) {
  const RankRun *worst = &runs.front();
  for (const RankRun &run : runs)
    if (getCausality(run.status) > getCausality(worst->status))
      worst = &run;
  if (worst->status == FUSCO_OK)
    return FUSCO_OK;
  if (!worst->error[0])
    return fail(worst->status, "rank %d returned %s",
                static_cast<int>(worst - runs.data()),
                fusco_status_name(worst->status));
  return fail(worst->status, "%s", worst->error);
}

fusco_status fusco_launch_threads(const fusco_library *library,
                                  const fusco_context_config *config,
                                  fusco_rank_main rankMain, void *user) {
  if (!rankMain)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected a function to run, got NULL", __func__);
  fusco_domain *domain;
  if (fusco_status status = fusco_domain_create(library, &domain))
    return status;
  std::unique_ptr<fusco_domain, decltype(&fusco_domain_destroy)> domainOwner(
      domain, fusco_domain_destroy);
  try {
    std::vector<RankRun> runs(domain->numRanks);
    for (std::int32_t rank = 0; rank < domain->numRanks; ++rank) {
      fusco_context *context;
      if (fusco_status status =
              fusco_context_create(library, domain, rank, config, &context))
        return status;
      runs[rank].context.reset(context);
    }
    runThreads(runs, rankMain, user);
    return reportRuns(runs);
  } catch (const std::exception &error) {
    return fail(FUSCO_OUT_OF_MEMORY, "%s: cannot start %d threads: %s",
                __func__, domain->numRanks, error.what());
  }
}
