//===- LaunchTest.cpp - One thread per rank -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// fusco_launch_threads: every rank runs once, and the error that it returns is
/// the one that explains the others.
//
//===----------------------------------------------------------------------===//

#include "FakeLibrary.h"
#include "RankGroup.h"

#include <atomic>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <pthread.h>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

using namespace fusco::test;

namespace {
/// What each rank's main function returns; FUSCO_OK where nothing is said.
using Script = std::map<int, fusco_status>;
} // namespace

static fusco_status followScript(fusco_context *context, void *user) {
  const Script &script = *static_cast<const Script *>(user);
  auto found = script.find(fusco_context_rank(context));
  return found == script.end() ? FUSCO_OK : found->second;
}

static Outcome launch(Script script) {
  FakeLibrary fake(8);
  return makeOutcome(
      fusco_launch_threads(&fake.library, nullptr, followScript, &script));
}

TEST(Launch, RunsEveryRankOnce) {
  for (int numRanks = 1; numRanks <= maxRanks; ++numRanks) {
    FakeLibrary fake(numRanks);
    std::atomic<unsigned> ranks{0};
    fusco_status status = fusco_launch_threads(
        &fake.library, nullptr,
        [](fusco_context *context, void *user) {
          *static_cast<std::atomic<unsigned> *>(user) +=
              1u << 4 * fusco_context_rank(context);
          return FUSCO_OK;
        },
        &ranks);
    EXPECT_EQ(status, FUSCO_OK) << fusco_last_error();
    EXPECT_EQ(ranks, 0x11111111u >> 4 * (maxRanks - numRanks));
  }
}

TEST(Launch, ReturnsTheFirstFailureInRankOrder) {
  EXPECT_EQ(launch({}).status, FUSCO_OK);
  Outcome outcome = launch({{5, FUSCO_CAPACITY}, {2, FUSCO_INVALID_ROUTING}});
  EXPECT_EQ(outcome.status, FUSCO_INVALID_ROUTING);
  EXPECT_EQ(outcome.error, "rank 2 returned FUSCO_INVALID_ROUTING");
}

TEST(Launch, ConsequencesGiveWayToCauses) {
  EXPECT_EQ(launch({{0, FUSCO_PEER_FAILED},
                    {1, FUSCO_TIMEOUT},
                    {7, FUSCO_INVALID_ROUTING}})
                .error,
            "rank 7 returned FUSCO_INVALID_ROUTING");
  EXPECT_EQ(launch({{0, FUSCO_PEER_FAILED}, {6, FUSCO_TIMEOUT}}).error,
            "rank 6 returned FUSCO_TIMEOUT");
  EXPECT_EQ(launch({{3, FUSCO_PEER_FAILED}, {4, FUSCO_PEER_FAILED}}).error,
            "rank 3 returned FUSCO_PEER_FAILED");
}

TEST(Launch, BringsTheThreadsTextBack) {
  FakeLibrary fake(2);
  fusco_status status = fusco_launch_threads(
      &fake.library, nullptr,
      [](fusco_context *context, void *) {
        return fusco_context_rank(context) == 1
                   ? fusco_plan_create(context, nullptr)
                   : FUSCO_PEER_FAILED;
      },
      nullptr);
  EXPECT_EQ(status, FUSCO_INVALID_ARGUMENT);
  EXPECT_STREQ(fusco_last_error(),
               "fusco_plan_create: expected room for a plan, got NULL");
}

TEST(Launch, RefusesBadArguments) {
  FakeLibrary fake(2);
  Script script;
  EXPECT_EQ(fusco_launch_threads(&fake.library, nullptr, nullptr, nullptr),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(fusco_launch_threads(nullptr, nullptr, followScript, &script),
            FUSCO_INVALID_ARGUMENT);
  fusco_context_config config = FUSCO_CONTEXT_CONFIG_INIT;
  config.size = 0;
  EXPECT_EQ(fusco_launch_threads(&fake.library, &config, followScript, &script),
            FUSCO_VERSION_MISMATCH);
}

namespace {
/// Leaves room for three more threads for as long as it lives: their stacks are
/// of 1 GiB each, and the address space grows by no more than 3.5 GiB.
class ScarceThreads {
public:
  ScarceThreads() {
    pthread_getattr_default_np(&hostAttributes);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, gibibyte);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);

    std::size_t numPages = 0;
    std::ifstream("/proc/self/statm") >> numPages;
    getrlimit(RLIMIT_AS, &hostLimit);
    rlimit limit = hostLimit;
    limit.rlim_cur = numPages * sysconf(_SC_PAGESIZE) + gibibyte * 7 / 2;
    setrlimit(RLIMIT_AS, &limit);
  }
  ~ScarceThreads() {
    setrlimit(RLIMIT_AS, &hostLimit);
    pthread_setattr_default_np(&hostAttributes);
    pthread_attr_destroy(&hostAttributes);
  }
  ScarceThreads(const ScarceThreads &) = delete;
  ScarceThreads &operator=(const ScarceThreads &) = delete;

private:
  static constexpr std::size_t gibibyte = std::size_t(1) << 30;
  pthread_attr_t hostAttributes;
  rlimit hostLimit;
};
} // namespace

static fusco_status countRun(fusco_context *, void *user) {
  ++*static_cast<std::atomic<int> *>(user);
  return FUSCO_OK;
}

TEST(Launch, NoRankRunsUnlessAllThreadsStart) {
  ScarceThreads scarceThreads;
  std::atomic<int> numRuns{0};
  FakeLibrary many(8);
  EXPECT_EQ(fusco_launch_threads(&many.library, nullptr, countRun, &numRuns),
            FUSCO_OUT_OF_MEMORY);
  EXPECT_EQ(std::string(fusco_last_error())
                .rfind("fusco_launch_threads: cannot start 8 threads: ", 0),
            0u)
      << fusco_last_error();
  EXPECT_EQ(numRuns, 0);
  // Some of those threads did start.
  FakeLibrary few(2);
  EXPECT_EQ(fusco_launch_threads(&few.library, nullptr, countRun, &numRuns),
            FUSCO_OK);
  EXPECT_EQ(numRuns, 2);
}
