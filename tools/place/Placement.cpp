//===- Placement.cpp - Which rank gets which expert -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See Placement.h.
//
//===----------------------------------------------------------------------===//
#include "tools/place/Placement.h"

#include "tools/common/Loads.h"
#include "tools/reference/Replicas.h"

#include <algorithm>

namespace fusco::place {
namespace {

/// What goes somewhere as a whole.
struct Replica {
  size_t expert;
  double load;
};

/// A node or a rank that is being filled.
struct Bin {
  int64_t room;
  double load = 0;
  std::vector<Replica> replicas;

  bool holds(size_t expert) const {
    return std::any_of(
        replicas.begin(), replicas.end(),
        [&](const Replica &replica) { return replica.expert == expert; });
  }
};

/// All replicas, the heaviest first.
std::vector<Replica> replicate(const std::vector<int64_t> &loads,
                               int64_t redundant) {
  std::vector<int64_t> numReplicas(loads.size(), 1);
  auto share = [&](size_t expert) {
    return double(loads[expert]) / double(numReplicas[expert]);
  };
  for (int64_t i = 0; i != redundant; ++i) {
    size_t heaviest = 0;
    for (size_t expert = 1; expert != loads.size(); ++expert)
      if (share(expert) > share(heaviest))
        heaviest = expert;
    ++numReplicas[heaviest];
  }
  std::vector<Replica> replicas;
  for (size_t expert = 0; expert != loads.size(); ++expert)
    replicas.insert(replicas.end(), size_t(numReplicas[expert]),
                    {expert, share(expert)});
  std::stable_sort(
      replicas.begin(), replicas.end(),
      [](const Replica &a, const Replica &b) { return a.load > b.load; });
  return replicas;
}

/// Puts \p replicas, which are in order of their loads, into \p bins.
void pack(const std::vector<Replica> &replicas, std::vector<Bin> &bins) {
  for (const Replica &replica : replicas) {
    Bin *best = nullptr;
    bool isBestNew = false;
    for (Bin &bin : bins) {
      if (int64_t(bin.replicas.size()) == bin.room)
        continue;
      const bool isNew = !bin.holds(replica.expert);
      if (!best || isNew > isBestNew ||
          (isNew == isBestNew && bin.load < best->load)) {
        best = &bin;
        isBestNew = isNew;
      }
    }
    best->load += replica.load;
    best->replicas.push_back(replica);
  }
}

} // namespace

std::vector<int64_t> placeExperts(const reference::Shape &shape,
                                  const std::vector<int64_t> &loads) {
  std::vector<Bin> nodes(size_t(shape.nodes), Bin{0});
  for (int rank = 0; rank != shape.numRanks(); ++rank)
    nodes[size_t(rank / shape.ranksPerNode)].room +=
        shape.numLocalExperts(rank);
  pack(replicate(loads, shape.redundantExperts), nodes);

  std::vector<int64_t> placement;
  for (size_t node = 0; node != nodes.size(); ++node) {
    std::vector<Bin> ranks;
    for (int local = 0; local != shape.ranksPerNode; ++local)
      ranks.push_back(
          Bin{shape.numLocalExperts(int(node) * shape.ranksPerNode + local)});
    pack(nodes[node].replicas, ranks);
    for (const Bin &rank : ranks) {
      const size_t first = placement.size();
      for (const Replica &replica : rank.replicas)
        placement.push_back(int64_t(replica.expert));
      std::sort(placement.begin() + int64_t(first), placement.end());
    }
  }
  return placement;
}

double imbalanceOf(const reference::Shape &shape,
                   const std::vector<int64_t> &loads,
                   const std::vector<int64_t> &placement) {
  const std::vector<int64_t> quotas =
      reference::quotasOf(shape, loads, placement);
  std::vector<int64_t> rows(size_t(shape.numRanks()), 0);
  for (size_t physical = 0; physical != quotas.size(); ++physical)
    rows[size_t(shape.rankOfExpert(int64_t(physical)))] += quotas[physical];
  return worstOverMean(rows, shape.numRanks());
}

} // namespace fusco::place
