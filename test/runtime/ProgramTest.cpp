//===- ProgramTest.cpp - Running, waiting, failing ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Calls across ranks: what arrives, what each rank learns of another rank's
/// error, and what is left after a rank did not come.
//
//===----------------------------------------------------------------------===//

#include "RankGroup.h"

#include <chrono>
#include <gtest/gtest.h>
#include <limits>
#include <thread>
#include <xmmintrin.h>

using namespace fusco::test;
using std::chrono::milliseconds;

/// Far below the default timeout, far above what a call takes.
static constexpr std::chrono::seconds soon(10);

static Outcome dispatch(Rank &rank) { return rank.dispatch(); }
static Outcome combine(Rank &rank) { return rank.combine(); }

static void expectGoodRound(RankGroup &group) {
  for (Outcome (*call)(Rank &) : {dispatch, combine})
    for (const Outcome &outcome : group.run(call))
      EXPECT_EQ(outcome.status, FUSCO_OK) << outcome.error;
  for (const Rank &rank : group.ranks)
    EXPECT_TRUE(rank.hasOwnRows());
}

namespace {
class AllSizes : public testing::TestWithParam<int> {};
class SeveralRanks : public testing::TestWithParam<int> {};

/// Lets one rank leave its program in the middle.
class Vanish {
public:
  Vanish(int rank, int phase) {
    fakeControl.vanishingRank = rank;
    fakeControl.vanishingPhase = phase;
  }
  ~Vanish() { fakeControl.vanishingRank = -1; }
};
} // namespace

INSTANTIATE_TEST_SUITE_P(Ranks, AllSizes, testing::Range(1, 9));
INSTANTIATE_TEST_SUITE_P(Ranks, SeveralRanks, testing::Values(2, 5, 8));

//===--- Calls that succeed -----------------------------------------------===//

TEST_P(AllSizes, RowsArriveAndComeBackManyTimes) {
  RankGroup group(GetParam());
  auto outcomes = group.run([](Rank &rank) {
    for (int round = 0; round < 50; ++round)
      for (Outcome (*call)(Rank &) : {dispatch, combine}) {
        Outcome outcome = call(rank);
        if (outcome.status != FUSCO_OK)
          return outcome;
      }
    return Outcome{};
  });
  for (const Outcome &outcome : outcomes)
    EXPECT_EQ(outcome.status, FUSCO_OK) << outcome.error;
  for (const Rank &rank : group.ranks)
    EXPECT_TRUE(rank.hasOwnRows());
}

TEST(Wait, OutlastsALatePeer) {
  RankGroup group(2);
  auto outcomes = group.run([](Rank &rank) {
    // Longer than a waiter spins and yields.
    if (fusco_context_rank(rank.context) == 1)
      std::this_thread::sleep_for(milliseconds(60));
    return rank.dispatch();
  });
  EXPECT_EQ(outcomes[0].status, FUSCO_OK) << outcomes[0].error;
  EXPECT_EQ(outcomes[1].status, FUSCO_OK) << outcomes[1].error;
}

TEST(FloatMode, ProgramsHaveTheDefaultAndHostsKeepTheirs) {
  RankGroup group(1);
  unsigned before = _mm_getcsr();
  // Flush to zero, denormals are zero, round down.
  unsigned hostMode = 0x1f80 | 0x8000 | 0x0040 | 0x2000;
  _mm_setcsr(hostMode);
  Outcome outcome = group.ranks[0].dispatch();
  unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  EXPECT_EQ(outcome.status, FUSCO_OK) << outcome.error;
  EXPECT_EQ(fakeControl.floatMode, 0x1f80u);
  EXPECT_EQ(after, hostMode);
}

//===--- Errors that all ranks learn of -----------------------------------===//

TEST_P(SeveralRanks, RefusedArgumentsReachAllPeersAtOnce) {
  RankGroup group(GetParam());
  group.ranks[1].dispatchTensors[X].dtype = {kDLFloat, 32, 1};
  auto start = std::chrono::steady_clock::now();
  auto outcomes = group.run(dispatch);
  EXPECT_LT(std::chrono::steady_clock::now() - start, soon);
  for (int rank = 0; rank < GetParam(); ++rank) {
    EXPECT_EQ(outcomes[rank].status,
              rank == 1 ? FUSCO_INVALID_ARGUMENT : FUSCO_PEER_FAILED);
    EXPECT_EQ(outcomes[rank].error,
              rank == 1 ? "m_dispatch: tensor 'x': expected dtype bfloat16, "
                          "got float32"
                        : "m_dispatch: rank 1 failed with "
                          "FUSCO_INVALID_ARGUMENT; this rank moved nothing");
  }
  group.ranks[1].dispatchTensors[X].dtype = {kDLBfloat, 16, 1};
  expectGoodRound(group);
}

TEST_P(SeveralRanks, BadRoutingNamesTheId) {
  RankGroup group(GetParam());
  group.ranks[1].getIds()[3] = 16; // token 1, k 1
  auto outcomes = group.run(dispatch);
  EXPECT_EQ(outcomes[1].status, FUSCO_INVALID_ROUTING);
  EXPECT_EQ(outcomes[1].error,
            "m_dispatch: rank 1: ids[1, 1] is 16, expected -1 or 0..15");
  EXPECT_EQ(outcomes[0].status, FUSCO_PEER_FAILED);
  EXPECT_EQ(outcomes[0].error,
            "m_dispatch: rank 1 failed with "
            "FUSCO_INVALID_ROUTING; this rank moved nothing");
  group.ranks[1].getIds()[3] = -1;
  expectGoodRound(group);
}

TEST_P(SeveralRanks, MissingRoomNamesTheRankAndTensor) {
  RankGroup group(GetParam());
  group.ranks[1].dispatchTensors[RowsOut].shape[0] = 0;
  for (const Outcome &outcome : group.run(dispatch)) {
    EXPECT_EQ(outcome.status, FUSCO_CAPACITY);
    EXPECT_EQ(outcome.error, "m_dispatch: rank 1 needs 1 rows, its tensor "
                             "'rows' has room for 0");
  }
  group.ranks[1].dispatchTensors[RowsOut].shape[0] = maxTokens;
  expectGoodRound(group);
}

//===--- Ranks that do not come -------------------------------------------===//

TEST(Timeout, SaysWhoWhereAndWhat) {
  RankGroup group(2, 50000);
  Outcome outcome = group.ranks[0].dispatch();
  EXPECT_EQ(outcome.status, FUSCO_TIMEOUT);
  EXPECT_EQ(outcome.error,
            "rank 0: timeout after 50 ms in phase 'plan', "
            "channel 'c_plan', of m_dispatch: rank 1 is at 0, expected 1");
}

TEST(Timeout, IsInSecondsWhenLong) {
  RankGroup group(2, 1000000);
  auto start = std::chrono::steady_clock::now();
  Outcome outcome = group.ranks[0].dispatch();
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(1000));
  EXPECT_EQ(outcome.error,
            "rank 0: timeout after 1.0 s in phase 'plan', "
            "channel 'c_plan', of m_dispatch: rank 1 is at 0, expected 1");
}

TEST(Timeout, OfZeroFailsAtOnce) {
  RankGroup group(2, 0);
  EXPECT_EQ(group.ranks[0].dispatch().status, FUSCO_TIMEOUT);
}

TEST(Timeout, NamesEveryPhase) {
  const char *phases[] = {"plan", "rows", "ready", "combine"};
  for (int phase = 0; phase < FUSCO_NUM_PHASES; ++phase) {
    // Time enough for the other phases, however busy the machine is.
    RankGroup group(2, 300000);
    bool isDispatch = phase <= FUSCO_PHASE_ROWS;
    if (!isDispatch) {
      for (const Outcome &outcome : group.run(dispatch))
        ASSERT_EQ(outcome.status, FUSCO_OK) << outcome.error;
    }
    Vanish vanish(1, phase);
    auto outcomes = group.run(isDispatch ? dispatch : combine);
    EXPECT_EQ(outcomes[0].status, FUSCO_TIMEOUT);
    EXPECT_EQ(outcomes[0].error,
              std::string("rank 0: timeout after 300 ms in phase '") +
                  phases[phase] + "', channel 'c_" + phases[phase] + "', of " +
                  (isDispatch ? "m_dispatch" : "m_combine") +
                  ": rank 1 is at 0, expected 1");
  }
}

TEST_P(SeveralRanks, AMissingRankEndsAllOthers) {
  int last = GetParam() - 1;
  RankGroup group(GetParam(), 100000);
  auto dispatchUnlessLast = [&](Rank &rank) {
    return fusco_context_rank(rank.context) == last ? Outcome{}
                                                    : rank.dispatch();
  };
  auto outcomes = group.run(dispatchUnlessLast);
  int numTimeouts = 0;
  for (int rank = 0; rank < last; ++rank) {
    numTimeouts += outcomes[rank].status == FUSCO_TIMEOUT;
    EXPECT_TRUE(outcomes[rank].status == FUSCO_TIMEOUT ||
                outcomes[rank].status == FUSCO_PEER_FAILED)
        << outcomes[rank].error;
  }
  EXPECT_GE(numTimeouts, 1);

  // The contexts are of no more use and say why.
  auto later = group.run(dispatchUnlessLast);
  for (int rank = 0; rank < last; ++rank) {
    EXPECT_EQ(later[rank].status, FUSCO_BAD_STATE);
    EXPECT_EQ(later[rank].error,
              "m_dispatch: context failed earlier: " + outcomes[rank].error);
    EXPECT_EQ(group.ranks[rank].combine().status, FUSCO_BAD_STATE);
  }
  // The missing rank learns of it when it comes, before it runs.
  Outcome late = group.ranks[last].dispatch();
  EXPECT_EQ(late.status, FUSCO_PEER_FAILED);
  EXPECT_NE(late.error.find("failed with FUSCO_TIMEOUT before rank"),
            std::string::npos)
      << late.error;
  EXPECT_EQ(group.ranks[last].dispatch().status, FUSCO_BAD_STATE);
}

TEST(Abort, EndsTheWaitsOfPatientRanks) {
  RankGroup group(3, std::numeric_limits<std::uint64_t>::max());
  // Rank 1 has less patience; rank 2 never comes.
  fusco_context_config config = FUSCO_CONTEXT_CONFIG_INIT;
  config.timeoutUs = 300000;
  fusco_context_destroy(group.ranks[1].context);
  ASSERT_EQ(fusco_context_create(&group.fake.library, group.domain, 1, &config,
                                 &group.ranks[1].context),
            FUSCO_OK);
  auto start = std::chrono::steady_clock::now();
  auto outcomes = group.run([&](Rank &rank) {
    return &rank == &group.ranks[2] ? Outcome{} : rank.dispatch();
  });
  EXPECT_LT(std::chrono::steady_clock::now() - start, soon);
  EXPECT_EQ(outcomes[1].status, FUSCO_TIMEOUT);
  EXPECT_EQ(outcomes[0].status, FUSCO_PEER_FAILED);
  EXPECT_EQ(outcomes[0].error,
            "rank 0: gave up in phase 'plan', channel "
            "'c_plan', of m_dispatch because rank 1 failed "
            "with FUSCO_TIMEOUT; rank 2 is at 0, expected 1");
  EXPECT_EQ(group.ranks[0].dispatch().error,
            "m_dispatch: context failed earlier: " + outcomes[0].error);
}

TEST(Abort, AFailedDomainMakesNoContexts) {
  RankGroup group(2, 0);
  ASSERT_EQ(group.ranks[0].dispatch().status, FUSCO_TIMEOUT);
  fusco_context_destroy(group.ranks[0].context);
  group.ranks[0].context = nullptr;
  EXPECT_EQ(fusco_context_create(&group.fake.library, group.domain, 0, nullptr,
                                 &group.ranks[0].context),
            FUSCO_BAD_STATE);
  EXPECT_STREQ(
      fusco_last_error(),
      "fusco_context_create: the domain failed when rank 0 failed with "
      "FUSCO_TIMEOUT; make a new one");
}

TEST(Abort, OfARefusedCallIsReportedAsWhatItIs) {
  RankGroup group(2, 0);
  group.ranks[0].dispatchTensors[X].byte_offset = 2;
  Outcome outcome = group.ranks[0].dispatch();
  EXPECT_EQ(outcome.status, FUSCO_TIMEOUT);
  EXPECT_EQ(outcome.error,
            "rank 0: timeout after 0 ms in phase 'plan', "
            "channel 'c_plan', of m_dispatch: rank 1 is at 0, expected 1");
}
