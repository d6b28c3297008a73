//===- ProgressGraphTest.cpp - Tests of the graph of waits ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// passes/ProgressGraph.h against running the events of many chunks.
///
//===----------------------------------------------------------------------===//

#include "passes/ProgressGraph.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <random>
#include <tuple>

using namespace fusco;

namespace {

using Edges = std::vector<std::tuple<size_t, size_t, int64_t>>;

ProgressGraph makeGraph(size_t numEvents, const Edges &edges) {
  ProgressGraph graph(numEvents);
  for (auto [before, after, distance] : edges)
    graph.addEdge(before, after, distance);
  return graph;
}

/// Whether all events of \p chunks chunks happen, when each happens as soon as
/// those that it comes after have.
bool canRun(size_t numEvents, const Edges &edges, int64_t chunks) {
  std::vector<bool> done(numEvents * chunks);
  auto isReady = [&](size_t event, int64_t chunk) {
    for (auto [before, after, distance] : edges) {
      int64_t other = chunk - distance;
      if (after == event && other >= 0 && other < chunks &&
          !done[before * chunks + other])
        return false;
    }
    return true;
  };
  for (bool hasChanged = true; hasChanged;) {
    hasChanged = false;
    for (size_t event = 0; event < numEvents; ++event)
      for (int64_t chunk = 0; chunk < chunks; ++chunk)
        if (!done[event * chunks + chunk] && isReady(event, chunk))
          hasChanged = done[event * chunks + chunk] = true;
  }
  return std::all_of(done.begin(), done.end(), [](bool is) { return is; });
}

TEST(ProgressGraphTest, NothingWaits) {
  EXPECT_TRUE(ProgressGraph(0).isLive());
  EXPECT_TRUE(ProgressGraph(3).findCycle().empty());
}

TEST(ProgressGraphTest, AnEventAfterItself) {
  EXPECT_TRUE(makeGraph(1, {{0, 0, 1}}).isLive());
  EXPECT_EQ(makeGraph(1, {{0, 0, 0}}).findCycle(), std::vector<size_t>{0});
  EXPECT_EQ(makeGraph(1, {{0, 0, -1}}).findCycle(), std::vector<size_t>{0});
}

/// A sender and a receiver on one worker, the receiver \p lag chunks behind.
ProgressGraph makeRing(int64_t lag, int64_t depth) {
  constexpr size_t send = 0, receive = 1;
  return makeGraph(2, {{send, receive, -lag},
                       {receive, send, 1 + lag},
                       {send, receive, 0},
                       {receive, send, depth}});
}

TEST(ProgressGraphTest, RingsHoldTheLagAndOneMore) {
  for (int64_t lag : {0, 1, 2, 5})
    for (int64_t depth : {1, 2, 3, 4, 5, 6, 7}) {
      ProgressGraph ring = makeRing(lag, depth);
      EXPECT_EQ(ring.isLive(), depth >= lag + 1) << lag << ", " << depth;
      EXPECT_GT(ring.maxForward(), lag);
    }
  ProgressGraph ring = makeRing(/*lag=*/1, /*depth=*/1);
  EXPECT_EQ(ring.findCycle().size(), 2u);
  ring.setDistance(3, 2);
  EXPECT_TRUE(ring.isLive());
}

TEST(ProgressGraphTest, TheShortestCycleIsFound) {
  // Around all four events, and between two of them.
  ProgressGraph graph =
      makeGraph(4, {{0, 1, 0}, {1, 2, 3}, {2, 3, 0}, {3, 0, -3}, {2, 1, -4}});
  EXPECT_EQ(graph.findCycle(), (std::vector<size_t>{1, 4}));
}

TEST(ProgressGraphTest, RandomGraphsAreLiveExactlyIfTheyRun) {
  std::mt19937 random(2071);
  auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  size_t numLive = 0;
  constexpr size_t numGraphs = 1000;
  for (size_t i = 0; i < numGraphs; ++i) {
    size_t numEvents = draw(1, 4);
    Edges edges;
    for (size_t event = 0; event < numEvents; ++event)
      edges.emplace_back(event, event, 1); // chunks are in order
    for (int64_t count = draw(0, 5); count > 0; --count)
      edges.emplace_back(draw(0, numEvents - 1), draw(0, numEvents - 1),
                         draw(-2, 4));
    ProgressGraph graph = makeGraph(numEvents, edges);
    // A cycle of four edges goes back by at most 16 chunks.
    bool isLive = graph.isLive();
    ASSERT_EQ(isLive, canRun(numEvents, edges, /*chunks=*/40)) << i;
    numLive += isLive;

    std::vector<size_t> cycle = graph.findCycle();
    ASSERT_EQ(cycle.empty(), isLive);
    int64_t distance = 0;
    for (size_t at = 0; at < cycle.size(); ++at) {
      const ProgressGraph::Edge &edge = graph.edge(cycle[at]);
      distance += edge.distance;
      EXPECT_EQ(edge.after, graph.edge(cycle[(at + 1) % cycle.size()]).before);
    }
    EXPECT_LE(distance, 0);
  }
  EXPECT_GT(numLive, numGraphs / 10);
  EXPECT_LT(numLive, numGraphs * 9 / 10);
}

} // namespace
