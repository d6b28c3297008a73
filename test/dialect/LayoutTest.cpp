//===- LayoutTest.cpp - Tests of the arithmetic of layouts ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// dialect/Layout.h against definitions that are too slow to compile into
/// anything: experts dealt out one by one, rows counted for every routing.
///
//===----------------------------------------------------------------------===//

#include "dialect/Layout.h"
#include "gtest/gtest.h"
#include <vector>

using namespace fusco;

namespace {

/// `block` placement by its definition: the experts of each rank, in order.
std::vector<std::vector<int64_t>> placeInBlocks(int64_t experts,
                                                int64_t ranks) {
  std::vector<std::vector<int64_t>> expertsOfRank(ranks);
  int64_t next = 0;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    int64_t count = experts / ranks;
    if (rank < experts % ranks)
      ++count; // one of those that hold ceil(experts / ranks)
    while (count-- > 0)
      expertsOfRank[rank].push_back(next++);
  }
  return expertsOfRank;
}

/// The most rows that \p assignments over \p experts segments can take, pads
/// included, over all ways to spread them; \p used rows stand before.
int64_t worstRows(int64_t assignments, int64_t experts, int64_t align,
                  int64_t used = 0) {
  int64_t start = used;
  while (start % align != 0)
    ++start;
  if (experts == 0)
    return start;
  int64_t worst = 0;
  for (int64_t count = 0; count <= assignments; ++count)
    worst = std::max(worst, worstRows(assignments - count, experts - 1, align,
                                      start + count));
  return worst;
}

TEST(LayoutTest, AlignUpIsTheSmallestMultiple) {
  for (int64_t multiple : {1, 2, 3, 16, 128})
    for (int64_t value = 0; value < 300; ++value) {
      int64_t aligned = alignUp(value, multiple);
      EXPECT_EQ(aligned % multiple, 0);
      EXPECT_GE(aligned, value);
      EXPECT_LT(aligned - value, multiple);
    }
}

TEST(LayoutTest, BlockPlacementIsItsDefinition) {
  for (int64_t experts = 1; experts <= 40; ++experts)
    for (int64_t ranks = 1; ranks <= 24; ++ranks) {
      SCOPED_TRACE(testing::Message()
                   << experts << " experts, " << ranks << " ranks");
      BlockPlacement placement{experts, ranks};
      auto expertsOfRank = placeInBlocks(experts, ranks);
      int64_t first = 0, most = 0;
      for (int64_t rank = 0; rank < ranks; ++rank) {
        int64_t size = expertsOfRank[rank].size();
        EXPECT_EQ(placement.numLocalExperts(rank), size);
        EXPECT_EQ(placement.firstExpert(rank), first);
        for (int64_t expert : expertsOfRank[rank])
          EXPECT_EQ(placement.rankOfExpert(expert), rank);
        first += size;
        most = std::max(most, size);
      }
      EXPECT_EQ(placement.firstExpert(ranks), experts);
      EXPECT_EQ(placement.maxLocalExperts(), most);
    }
}

TEST(LayoutTest, BlockPlacementOfLargeModels) {
  BlockPlacement placement{896, 65536}; // most ranks hold nothing
  EXPECT_EQ(placement.maxLocalExperts(), 1);
  EXPECT_EQ(placement.rankOfExpert(895), 895);
  EXPECT_EQ(placement.numLocalExperts(896), 0);
  EXPECT_EQ(placement.firstExpert(65536), 896);
}

TEST(LayoutTest, MaxExpertMajorRowsBoundsEveryRouting) {
  for (int64_t ranks = 1; ranks <= 3; ++ranks)
    for (int64_t experts = 1; experts <= 7; ++experts)
      for (int64_t maxTokens = 0; maxTokens <= 2; ++maxTokens)
        for (int64_t topk = 1; topk <= 2; ++topk)
          for (int64_t align = 1; align <= 5; ++align) {
            SCOPED_TRACE(testing::Message()
                         << ranks << " ranks of " << maxTokens << " tokens, "
                         << experts << " experts, top-" << topk << ", align "
                         << align);
            BlockPlacement placement{experts, ranks};
            int64_t bound =
                maxExpertMajorRows(placement, maxTokens, topk, align);
            // A routing may leave any number of assignments out.
            int64_t assignments = ranks * maxTokens * topk, worst = 0;
            for (int64_t routed = 0; routed <= assignments; ++routed)
              for (int64_t rank = 0; rank < ranks; ++rank)
                worst = std::max(
                    worst,
                    worstRows(routed, placement.numLocalExperts(rank), align));
            EXPECT_GE(bound, worst);
            EXPECT_EQ(bound % align, 0);
            // Nor is it wasteful: less than one unit of pads per segment, and
            // one for the end.
            EXPECT_LT(bound,
                      assignments + align * (placement.maxLocalExperts() + 1));
          }
}

} // namespace
