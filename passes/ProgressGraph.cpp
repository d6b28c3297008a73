//===- ProgressGraph.cpp - What waits for what, chunk by chunk ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See ProgressGraph.h.
///
//===----------------------------------------------------------------------===//

#include "passes/ProgressGraph.h"
#include <algorithm>
#include <limits>

using namespace fusco;

size_t ProgressGraph::addEdge(size_t before, size_t after, int64_t distance) {
  edges.push_back({before, after, distance});
  return edges.size() - 1;
}

int64_t ProgressGraph::maxForward() const {
  int64_t sum = 1;
  for (const Edge &edge : edges)
    sum += std::max<int64_t>(0, -edge.distance);
  return sum;
}

bool ProgressGraph::isLive() const {
  // A simple cycle of k edges and distance d has d * (numEvents + 1) - k as its
  // sum of these lengths: negative exactly if d is not positive. Bellman-Ford
  // finds whether there is a negative cycle.
  std::vector<int64_t> length(numEvents, 0);
  auto relax = [&] {
    bool hasChanged = false;
    for (const Edge &edge : edges) {
      int64_t through =
          length[edge.before] + edge.distance * (int64_t(numEvents) + 1) - 1;
      if (through < length[edge.after]) {
        length[edge.after] = through;
        hasChanged = true;
      }
    }
    return hasChanged;
  };
  for (size_t round = 0; round < numEvents; ++round)
    if (!relax())
      return true;
  return !relax();
}

std::vector<size_t> ProgressGraph::findCycleFrom(size_t start,
                                                 size_t limit) const {
  constexpr int64_t unreached = std::numeric_limits<int64_t>::max();
  // The least distance of a walk of so many edges, and its last edge.
  std::vector<int64_t> least(numEvents, unreached);
  least[start] = 0;
  std::vector<std::vector<size_t>> lastEdges;
  for (size_t count = 1; count < limit; ++count) {
    std::vector<int64_t> next(numEvents, unreached);
    std::vector<size_t> &last = lastEdges.emplace_back(numEvents);
    for (size_t number = 0; number < edges.size(); ++number) {
      const Edge &edge = edges[number];
      if (least[edge.before] == unreached ||
          least[edge.before] + edge.distance >= next[edge.after])
        continue;
      next[edge.after] = least[edge.before] + edge.distance;
      last[edge.after] = number;
    }
    least = std::move(next);
    if (least[start] > 0)
      continue;
    std::vector<size_t> cycle(count);
    size_t event = start;
    for (size_t i = count; i-- > 0; event = edges[cycle[i]].before)
      cycle[i] = lastEdges[i][event];
    return cycle;
  }
  return {};
}

std::vector<size_t> ProgressGraph::findCycle() const {
  std::vector<size_t> shortest;
  if (isLive())
    return shortest;
  for (size_t start = 0; start < numEvents; ++start) {
    size_t limit = shortest.empty() ? numEvents + 1 : shortest.size();
    std::vector<size_t> cycle = findCycleFrom(start, limit);
    if (!cycle.empty())
      shortest = std::move(cycle);
  }
  return shortest;
}
