//===- PutTest.cpp - Memory of the own node, and puts to all --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What a program may address by itself, and what fusco_program_put does where
/// it may not.
//
//===----------------------------------------------------------------------===//

#include "RankGroup.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace fusco::test;

namespace {
using Body = std::function<std::int32_t(const fusco_program_args &)>;

/// What the program does when it runs next.
Body body;

std::int32_t runBody(const fusco_program_args *args) { return body(*args); }

constexpr std::int32_t ranksPerNode = 3, numRanks = 2 * ranksPerNode;
/// Bytes from a heap's base to a row, and to a counter of arrivals.
constexpr std::int64_t rowAt = 64, counterAt = 192;

/// Two nodes, and a program without tensors.
class PutTest : public testing::Test {
protected:
  PutTest() : fake(ranksPerNode) {
    fake.info.numNodes = 2;
    fake.info.symmetricBytes = fake.info.networkBytes = 256;
    fake.info.programs[Dispatch].numTensors = 0;
    fake.library.programs[Dispatch] = runBody;
  }
  void SetUp() override {
    ASSERT_EQ(fusco_domain_create(&fake.library, &domain), FUSCO_OK);
    for (std::int32_t rank = 0; rank < numRanks; ++rank) {
      ASSERT_EQ(fusco_context_create(&fake.library, domain, rank, nullptr,
                                     &contexts[rank]),
                FUSCO_OK);
      ASSERT_EQ(fusco_plan_create(contexts[rank], &plans[rank]), FUSCO_OK);
    }
  }
  void TearDown() override {
    for (std::int32_t rank = 0; rank < numRanks; ++rank) {
      fusco_plan_destroy(plans[rank]);
      fusco_context_destroy(contexts[rank]);
    }
    fusco_domain_destroy(domain);
  }

  /// Runs \p program as rank \p rank.
  void runAs(std::int32_t rank, Body program) {
    body = std::move(program);
    EXPECT_EQ(fusco_program_run(&fake.library, Dispatch, contexts[rank],
                                plans[rank], nullptr, nullptr),
              FUSCO_OK)
        << fusco_last_error();
  }

  char *heapOf(std::int32_t rank) {
    char *heap = nullptr;
    runAs(rank, [&](const fusco_program_args &args) {
      heap = args.peers[args.rank];
      return FUSCO_OK;
    });
    return heap;
  }

  /// Has rank \p rank put \p text, with its end.
  void put(std::int32_t rank, std::int32_t peer, std::int64_t to,
           const char *text) {
    runAs(rank, [&](const fusco_program_args &args) {
      return fusco_program_put(&args, peer, to, text, std::strlen(text) + 1,
                               counterAt);
    });
  }

  std::uint64_t countOf(std::int32_t rank) {
    std::uint64_t count;
    std::memcpy(&count, heapOf(rank) + counterAt, sizeof(count));
    return count;
  }

  FakeLibrary fake;
  fusco_domain *domain = nullptr;
  fusco_context *contexts[numRanks] = {};
  fusco_plan *plans[numRanks] = {};
};
} // namespace

TEST_F(PutTest, ProgramsAddressTheirOwnNodeOnly) {
  char *heaps[numRanks];
  for (std::int32_t rank = 0; rank < numRanks; ++rank)
    heaps[rank] = heapOf(rank);
  for (std::int32_t rank = 0; rank < numRanks; ++rank)
    runAs(rank, [&](const fusco_program_args &args) {
      for (std::int32_t peer = 0; peer < numRanks; ++peer)
        EXPECT_EQ(args.peers[peer], peer / ranksPerNode == rank / ranksPerNode
                                        ? heaps[peer]
                                        : nullptr)
            << "rank " << rank << ", peer " << peer;
      return FUSCO_OK;
    });
}

TEST_F(PutTest, WritesAndCounts) {
  // To itself, within the node, to the other one.
  for (std::int32_t peer : {1, 2, 4}) {
    put(1, peer, rowAt, "first");
    EXPECT_STREQ(heapOf(peer) + rowAt, "first");
    EXPECT_EQ(countOf(peer), 1u);
    put(1, peer, rowAt, "second");
    EXPECT_STREQ(heapOf(peer) + rowAt, "second");
    EXPECT_EQ(countOf(peer), 2u);
  }
  // And to nobody else.
  for (std::int32_t other : {0, 3, 5}) {
    EXPECT_STREQ(heapOf(other) + rowAt, "");
    EXPECT_EQ(countOf(other), 0u);
  }
}

TEST_F(PutTest, OfNoBytesCountsOnly) {
  put(5, 0, rowAt, "row");
  runAs(5, [](const fusco_program_args &args) {
    return fusco_program_put(&args, 0, 0, nullptr, 0, counterAt);
  });
  EXPECT_STREQ(heapOf(0) + rowAt, "row");
  EXPECT_EQ(countOf(0), 2u);
}

TEST_F(PutTest, TellsItselfWhatStandsThereAlready) {
  put(3, 3, rowAt, "row");
  runAs(3, [](const fusco_program_args &args) {
    return fusco_program_put(&args, 3, rowAt, args.peers[3] + rowAt, 4,
                             counterAt);
  });
  EXPECT_STREQ(heapOf(3) + rowAt, "row");
  EXPECT_EQ(countOf(3), 2u);
}

TEST_F(PutTest, ReachesWindowsBeforeAndBehindTheHeap) {
  // Of two heaps, each is what a window of the other's rank may lead to.
  std::int64_t distance = reinterpret_cast<std::intptr_t>(heapOf(4)) -
                          reinterpret_cast<std::intptr_t>(heapOf(3));
  put(0, 3, distance + rowAt, "from 3");
  EXPECT_STREQ(heapOf(4) + rowAt, "from 3");
  put(0, 4, rowAt - distance, "from 4");
  EXPECT_STREQ(heapOf(3) + rowAt, "from 4");
  EXPECT_EQ(countOf(3), 1u);
  EXPECT_EQ(countOf(4), 1u);
}
