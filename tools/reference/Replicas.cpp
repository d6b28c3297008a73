//===- Replicas.cpp - Experts that are placed by a table ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Water filling, in the order of the semantics' text.
//
//===----------------------------------------------------------------------===//
#include "tools/reference/Replicas.h"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>

namespace fusco::reference {
namespace {

using Lists = std::vector<std::vector<size_t>>;

/// The physical experts of each expert, in ascending order.
Lists replicasOf(const Shape &shape, const std::vector<int64_t> &placement) {
  Lists replicas{size_t(shape.experts)};
  if (placement.size() != size_t(shape.numPhysicalExperts()))
    throw std::invalid_argument(
        "reference interpreter: expected a placement of " +
        std::to_string(shape.numPhysicalExperts()) + " experts");
  for (size_t physical = 0; physical != placement.size(); ++physical) {
    if (placement[physical] < 0 || placement[physical] >= shape.experts)
      throw std::invalid_argument(
          "reference interpreter: the placement has an expert that does not "
          "exist");
    replicas[size_t(placement[physical])].push_back(physical);
  }
  for (const std::vector<size_t> &ofExpert : replicas)
    if (ofExpert.empty())
      throw std::invalid_argument(
          "reference interpreter: the placement lacks an expert");
  return replicas;
}

/// Of \p replicas those that come first on their rank.
std::vector<size_t> firstOfEachRank(const Shape &shape,
                                    const std::vector<size_t> &replicas) {
  std::vector<size_t> firsts;
  std::set<int> ranks;
  for (size_t physical : replicas)
    if (ranks.insert(shape.rankOfExpert(int64_t(physical))).second)
      firsts.push_back(physical);
  return firsts;
}

} // namespace

std::vector<int64_t> quotasOf(const Shape &shape,
                              const std::vector<int64_t> &loads,
                              const std::vector<int64_t> &placement) {
  constexpr int mostSweeps = 16;
  const Lists replicas = replicasOf(shape, placement);
  std::vector<int64_t> quotas(placement.size(), 0);
  std::vector<int64_t> ofRank(size_t(shape.numRanks()), 0);
  auto rankLoad = [&](size_t physical) -> int64_t & {
    return ofRank[size_t(shape.rankOfExpert(int64_t(physical)))];
  };
  for (size_t expert = 0; expert != replicas.size(); ++expert)
    if (replicas[expert].size() == 1) {
      quotas[replicas[expert][0]] = loads[expert];
      rankLoad(replicas[expert][0]) += loads[expert];
    }
  bool hasChanged = true;
  for (int sweep = 0; hasChanged && sweep != mostSweeps; ++sweep) {
    const std::vector<int64_t> before = quotas;
    for (size_t expert = 0; expert != replicas.size(); ++expert) {
      if (replicas[expert].size() == 1 || loads[expert] == 0)
        continue;
      for (size_t physical : replicas[expert]) {
        rankLoad(physical) -= quotas[physical];
        quotas[physical] = 0;
      }
      std::vector<size_t> active = firstOfEachRank(shape, replicas[expert]);
      int64_t level = 0;
      for (size_t numBefore = 0; active.size() != numBefore;) {
        numBefore = active.size();
        int64_t sum = loads[expert];
        for (size_t physical : active)
          sum += rankLoad(physical);
        const int64_t number = int64_t(active.size());
        level = (sum + number - 1) / number;
        active.erase(std::remove_if(active.begin(), active.end(),
                                    [&](size_t physical) {
                                      return rankLoad(physical) >= level;
                                    }),
                     active.end());
      }
      int64_t left = loads[expert];
      for (size_t physical : active) {
        quotas[physical] = std::min(left, level - rankLoad(physical));
        rankLoad(physical) += quotas[physical];
        left -= quotas[physical];
      }
    }
    hasChanged = quotas != before;
  }
  return quotas;
}

std::vector<std::vector<int64_t>>
physicalIdsOf(const Shape &shape, const std::vector<std::vector<int64_t>> &ids,
              const std::vector<int64_t> &placement) {
  std::vector<int64_t> loads(size_t(shape.experts), 0);
  for (const std::vector<int64_t> &ofRank : ids)
    for (int64_t id : ofRank)
      if (id >= 0)
        ++loads[size_t(id)];
  std::vector<int64_t> left = quotasOf(shape, loads, placement);
  const Lists replicas = replicasOf(shape, placement);
  std::vector<size_t> next(replicas.size(), 0); // replica of each expert
  std::vector<std::vector<int64_t>> physical = ids;
  for (std::vector<int64_t> &ofRank : physical)
    for (int64_t &id : ofRank) {
      if (id < 0)
        continue;
      const std::vector<size_t> &ofExpert = replicas[size_t(id)];
      size_t &at = next[size_t(id)];
      while (left[ofExpert[at]] == 0)
        ++at;
      --left[ofExpert[at]];
      id = int64_t(ofExpert[at]);
    }
  return physical;
}

} // namespace fusco::reference
