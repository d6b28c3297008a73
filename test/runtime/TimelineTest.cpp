//===- TimelineTest.cpp - What programs note ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Events of a CPU's programs, and what a host is told of them. Those of a GPU
/// are in GpuTest.cpp.
//
//===----------------------------------------------------------------------===//

#include "RankGroup.h"

#include <gtest/gtest.h>

using namespace fusco::test;

namespace {
class TimelineTest : public testing::Test {
protected:
  TimelineTest() {
    fake.info.numSpans = 2;
    EXPECT_EQ(fusco_domain_create(&fake.library, &domain), FUSCO_OK);
    EXPECT_EQ(fusco_context_create(&fake.library, domain, 0, nullptr, &context),
              FUSCO_OK);
    args.context = context;
  }
  ~TimelineTest() override {
    fusco_context_destroy(context);
    fusco_domain_destroy(domain);
  }

  struct Taken {
    Outcome outcome;
    std::vector<fusco_event> events;
    std::uint64_t numDropped = 0;
  };
  Taken take(std::uint64_t capacity = 2 * FUSCO_TIMELINE_EVENTS) {
    Taken taken;
    taken.events.resize(capacity + 1);
    std::uint64_t numEvents = 0;
    taken.outcome = makeOutcome(fusco_context_take_events(
        context, taken.events.data(), capacity, &numEvents, &taken.numDropped));
    taken.events.resize(numEvents);
    return taken;
  }
  std::uint64_t count() {
    std::uint64_t numEvents = 99;
    EXPECT_EQ(
        fusco_context_take_events(context, nullptr, 0, &numEvents, nullptr),
        FUSCO_OK);
    return numEvents;
  }

  FakeLibrary fake{1};
  fusco_domain *domain = nullptr;
  fusco_context *context = nullptr;
  fusco_program_args args = {};
};
} // namespace

TEST_F(TimelineTest, GivesEventsOnce) {
  EXPECT_EQ(count(), 0u);
  fusco_program_mark(&args, 1, 0, 7);
  fusco_program_mark(&args, 1, 1, std::int64_t(1) << 40);
  EXPECT_EQ(count(), 2u);
  Taken taken = take();
  ASSERT_EQ(taken.events.size(), 2u);
  const fusco_event &begin = taken.events[0], &end = taken.events[1];
  EXPECT_EQ(begin.span, 1);
  EXPECT_EQ(begin.isEnd, 0);
  EXPECT_EQ(begin.value, 7);
  EXPECT_EQ(begin.worker, 0);
  EXPECT_EQ(end.isEnd, 1);
  EXPECT_EQ(end.value, std::int64_t(1) << 40);
  EXPECT_LE(begin.timeNs, end.timeNs);
  EXPECT_EQ(taken.numDropped, 0u);
  EXPECT_EQ(count(), 0u);
  EXPECT_EQ(take().events.size(), 0u);
}

TEST_F(TimelineTest, KeepsTheFirstEventsAndCountsTheOthers) {
  for (int i = 0; i < FUSCO_TIMELINE_EVENTS + 3; ++i)
    fusco_program_mark(&args, 0, 0, i);
  Taken taken = take();
  ASSERT_EQ(taken.events.size(), std::size_t(FUSCO_TIMELINE_EVENTS));
  EXPECT_EQ(taken.events.front().value, 0);
  EXPECT_EQ(taken.events.back().value, FUSCO_TIMELINE_EVENTS - 1);
  EXPECT_EQ(taken.numDropped, 3u);
  fusco_program_mark(&args, 0, 0, 5);
  taken = take();
  EXPECT_EQ(taken.events.size(), 1u);
  EXPECT_EQ(taken.numDropped, 0u);
}

TEST_F(TimelineTest, TakesNothingWhereThereIsTooLittleRoom) {
  fusco_program_mark(&args, 0, 0, 0);
  fusco_program_mark(&args, 0, 1, 0);
  EXPECT_EQ(take(1).outcome.error,
            "fusco_context_take_events: expected room for 2 events, got 1");
  EXPECT_EQ(take(2).events.size(), 2u);
}

TEST_F(TimelineTest, RefusesNull) {
  std::uint64_t numEvents = 0;
  EXPECT_EQ(fusco_context_take_events(nullptr, nullptr, 0, &numEvents, nullptr),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(fusco_context_take_events(context, nullptr, 0, nullptr, nullptr),
            FUSCO_INVALID_ARGUMENT);
}

TEST(NoTimeline, IsUnsupported) {
  RankGroup group(1);
  std::uint64_t numEvents = 0;
  EXPECT_EQ(fusco_context_take_events(group.ranks[0].context, nullptr, 0,
                                      &numEvents, nullptr),
            FUSCO_UNSUPPORTED);
  EXPECT_STREQ(fusco_last_error(),
               "fusco_context_take_events: model 'm' was compiled without a "
               "timeline; compile it with fusco-compile --timeline");
}
