//===- CostModelTest.cpp - Tests of the cost model ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// passes/CostModel.h against every routing of small groups, against known
/// numbers of large models, and against bytes counted by hand.
///
//===----------------------------------------------------------------------===//

#include "passes/CostModel.h"
#include "gtest/gtest.h"
#include <map>

using namespace fusco;

namespace {

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

/// expectedGroups by its definition: the mean over all sets of experts.
ExpectedGroups countGroups(BlockPlacement placement, int64_t ranksPerGroup,
                           int64_t topk) {
  double sets = 0, any = 0, several = 0;
  for (uint32_t set = 0; set < uint32_t(1) << placement.experts; ++set) {
    std::map<int64_t, int64_t> wanted;
    int64_t size = 0;
    for (int64_t expert = 0; expert < placement.experts; ++expert)
      if (set >> expert & 1) {
        ++wanted[placement.rankOfExpert(expert) / ranksPerGroup];
        ++size;
      }
    if (size != topk)
      continue;
    ++sets;
    any += wanted.size();
    for (auto [group, count] : wanted)
      several += count > 1;
  }
  return {any / sets, several / sets};
}

TEST(CostModelTest, ExpectedGroupsAreTheMeanOverAllRoutings) {
  for (int64_t experts : {1, 4, 7, 11})
    for (int64_t topk = 1; topk <= experts; ++topk)
      for (int64_t nodes : {1, 2, 3})
        for (int64_t ranksPerNode : {1, 2, 4})
          for (int64_t ranksPerGroup : {int64_t(1), ranksPerNode}) {
            SCOPED_TRACE(testing::Message()
                         << experts << " experts, top-" << topk << ", " << nodes
                         << " nodes of " << ranksPerNode << ", groups of "
                         << ranksPerGroup);
            BlockPlacement placement{experts, nodes * ranksPerNode};
            ExpectedGroups groups =
                expectedGroups(placement, ranksPerGroup, topk);
            ExpectedGroups counted =
                countGroups(placement, ranksPerGroup, topk);
            EXPECT_NEAR(groups.any, counted.any, 1e-12);
            EXPECT_NEAR(groups.several, counted.several, 1e-12);
          }
}

TEST(CostModelTest, ExpectedGroupsOfLargeModels) {
  struct {
    int64_t experts, topk;
    double distinct[6]; // of 2, 4, ... 64 groups
  } const models[] = {{256, 8, {1.99, 3.61, 5.29, 6.52, 7.27, 7.68}},
                      {128, 4, {1.88, 2.75, 3.34, 3.68, 3.86, 3.95}},
                      {256, 6, {1.97, 3.30, 4.44, 5.18, 5.60, 5.83}},
                      {512, 10, {2.00, 3.78, 5.92, 7.66, 8.77, 9.40}}};
  for (auto &model : models) {
    int64_t groups = 2;
    for (double distinct : model.distinct) {
      SCOPED_TRACE(testing::Message() << model.experts << " experts, top-"
                                      << model.topk << ", " << groups);
      BlockPlacement ranks{model.experts, groups};
      EXPECT_NEAR(expectedGroups(ranks, 1, model.topk).any, distinct, 0.0051);
      // Nodes of equally many experts are the same groups.
      BlockPlacement nodes{model.experts, 2 * groups};
      EXPECT_NEAR(expectedGroups(nodes, 2, model.topk).any, distinct, 0.0051);
      groups *= 2;
    }
  }
}

TEST(CostModelTest, ExtremesOfRouting) {
  // Every expert is wanted; most ranks hold none.
  ExpectedGroups all = expectedGroups({64, 65536}, 1, 64);
  EXPECT_DOUBLE_EQ(all.any, 64);
  EXPECT_DOUBLE_EQ(all.several, 0);
  // As large as the dialect lets them be, in no time.
  int64_t huge = int64_t(1) << 60;
  EXPECT_DOUBLE_EQ(expectedGroups({huge, 65536}, 1, huge / 2).any, 65536);
}

TEST(CostModelTest, RowsOnLinks) {
  // One node: a rank hands itself 1 row of 4.
  ExpectedRows oneNode(1, 4, 64, 4);
  EXPECT_DOUBLE_EQ(oneNode.onScaleOut(RowPer::Node), 0);
  EXPECT_DOUBLE_EQ(oneNode.onScaleUp(RowPer::Assignment), 3);
  // Nodes of one rank: forwarders are the ranks themselves.
  ExpectedRows oneRank(4, 1, 64, 4);
  EXPECT_DOUBLE_EQ(oneRank.onScaleOut(RowPer::Assignment), 3);
  EXPECT_DOUBLE_EQ(oneRank.onScaleOut(RowPer::Node),
                   oneRank.onScaleOut(RowPer::Rank));
  EXPECT_DOUBLE_EQ(oneRank.onScaleUp(RowPer::Assignment), 0);
}

//===----------------------------------------------------------------------===//
// Bytes and time
//===----------------------------------------------------------------------===//

// 2 nodes of 2 ranks with 2 experts each, top-8: every rank and node is wanted
// and every rank has 2 slots. Of 2 nodes and of 2 ranks, one is another.
const ExpectedRows everywhere(2, 2, 8, 8);

TEST(CostModelTest, DispatchTraffic) {
  // Per assignment: 4 rows to the other node, written and read there, 8 slots.
  Traffic traffic = dispatchTraffic(everywhere, RowPer::Assignment,
                                    RowPer::Assignment, {1000, 100, 10});
  EXPECT_DOUBLE_EQ(traffic.scaleOutBytes, 4 * 100);
  EXPECT_DOUBLE_EQ(traffic.scaleUpBytes, 4 * 10);
  EXPECT_DOUBLE_EQ(traffic.memoryBytes, 1000 + 2 * 400 + 8 * 10);
  // Unique: 1 row to the other node, 1 to the other rank of both, and all 4
  // ranks read what they duplicate.
  traffic =
      dispatchTraffic(everywhere, RowPer::Node, RowPer::Rank, {1000, 100, 10});
  EXPECT_DOUBLE_EQ(traffic.scaleOutBytes, 100);
  EXPECT_DOUBLE_EQ(traffic.scaleUpBytes, 2 * 10);
  EXPECT_DOUBLE_EQ(traffic.memoryBytes, 1000 + 2 * 100 + (8 + 4) * 10);
}

TEST(CostModelTest, CombineTraffic) {
  Traffic traffic =
      combineTraffic(everywhere, RowPer::Assignment, {10, 100, 1000});
  EXPECT_DOUBLE_EQ(traffic.scaleOutBytes, 100);
  EXPECT_DOUBLE_EQ(traffic.scaleUpBytes, 4 * 10);
  EXPECT_DOUBLE_EQ(traffic.memoryBytes, 8 * 10 + 2 * 100 + 1000);
  traffic = combineTraffic(everywhere, RowPer::Rank, {10, 100, 1000});
  EXPECT_DOUBLE_EQ(traffic.scaleOutBytes, 100);
  EXPECT_DOUBLE_EQ(traffic.scaleUpBytes, 2 * 100);
  EXPECT_DOUBLE_EQ(traffic.memoryBytes, 8 * 10 + 2 * 200 + 2 * 100 + 1000);
}

TEST(CostModelTest, Forwarders) {
  Traffic traffic = railTraffic({100, 10, 1});
  EXPECT_DOUBLE_EQ(traffic.scaleOutBytes, 100 * expectedRailImbalance);
  EXPECT_DOUBLE_EQ(traffic.scaleUpBytes, 10);
  EXPECT_DOUBLE_EQ(traffic.memoryBytes, 1);
  // Of 4 ranks, 3 read the row from the one that has it.
  traffic = balancedTraffic({100, 10, 1}, 4);
  EXPECT_DOUBLE_EQ(traffic.scaleOutBytes, 100);
  EXPECT_DOUBLE_EQ(traffic.scaleUpBytes, 10 + 75);
  EXPECT_DOUBLE_EQ(traffic.memoryBytes, 1);
}

TEST(CostModelTest, SpeedsThatAreNotGiven) {
  LinkSpeeds speeds = linkSpeeds(0, 0, 0);
  EXPECT_EQ(speeds.memory, 1);
  EXPECT_EQ(speeds.scaleUp, 1);
  EXPECT_EQ(speeds.scaleOut, 1);
  speeds = linkSpeeds(3350, 0, 50);
  EXPECT_EQ(speeds.memory, 3350);
  EXPECT_EQ(speeds.scaleUp, 3350);
  EXPECT_EQ(speeds.scaleOut, 50);
  speeds = linkSpeeds(0, 450, 50);
  EXPECT_EQ(speeds.memory, 450);
}

TEST(CostModelTest, TheSlowestResourceDecidesThenTheSum) {
  LinkSpeeds speeds{100, 10, 1};
  Cost c = cost({20, 300, 1000}, speeds);
  EXPECT_EQ(c.slowest, Resource::ScaleUp);
  EXPECT_DOUBLE_EQ(c.slowestNs, 30);
  EXPECT_DOUBLE_EQ(c.sumNs, 20 + 30 + 10);
  EXPECT_TRUE(cost({29, 290, 2900}, speeds) < c);
  EXPECT_FALSE(c < cost({29, 290, 2900}, speeds));
  EXPECT_TRUE(cost({19, 300, 1000}, speeds) < c);
  EXPECT_FALSE(c < c);
  // Rounding is no difference.
  EXPECT_FALSE(cost({20, 300 - 1e-10, 1000}, speeds) < c);
}

} // namespace
