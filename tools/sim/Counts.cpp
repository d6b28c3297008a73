//===- Counts.cpp - Rows on the links of every rank -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Counts.h; who forwards is as #fusco.hop defines it.
///
//===----------------------------------------------------------------------===//

#include "tools/sim/Counts.h"

#include <algorithm>
#include <numeric>

using namespace fusco;
using namespace fusco::sim;

namespace {
class Counter {
public:
  Counter(const Shape &shape, const Routing &routing, const Way &way)
      : shape(shape), routing(routing), way(way), perNode(shape.ranksPerNode),
        dealt(size_t(shape.nodes), 0) {
    for (int64_t expert = 0; expert != shape.experts; ++expert)
      rankOf.push_back(int32_t(shape.placement().rankOfExpert(expert)));
  }

  Counts count();

private:
  /// Runs \p body(rank, destinations in ascending order) for each token.
  template <typename Body> void forEachToken(Body body);
  void findPartners();
  void countToken(Counts &counts, int64_t rank,
                  const std::vector<int32_t> &destinations);
  /// Who puts the next unit of \p rank for \p node, and who forwards it there.
  std::pair<int64_t, int64_t> choose(int64_t rank, int64_t node);

  const Shape &shape;
  const Routing &routing;
  const Way &way;
  const int64_t perNode;
  std::vector<int32_t> rankOf;   ///< by expert
  std::vector<int64_t> dealt;    ///< by node
  std::vector<int64_t> group;    ///< by rank
  std::vector<int64_t> memberOf; ///< [node][group]: a rank
};
} // namespace

template <typename Body> void Counter::forEachToken(Body body) {
  std::vector<int32_t> destinations;
  for (int64_t rank = 0; rank != shape.numRanks(); ++rank)
    for (int64_t i = 0; i != shape.tokens; ++i) {
      const int32_t *ids = routing.of(rank * shape.tokens + i);
      destinations.clear();
      for (int64_t k = 0; k != shape.topk; ++k)
        if (ids[k] >= 0)
          destinations.push_back(rankOf[size_t(ids[k])]);
      std::sort(destinations.begin(), destinations.end());
      body(rank, destinations);
    }
}

void Counter::findPartners() {
  std::vector<int64_t> units(size_t(shape.numRanks()), 0);
  forEachToken([&](int64_t rank, const std::vector<int32_t> &destinations) {
    int64_t last = -1;
    for (int32_t to : destinations) {
      units[size_t(rank)] +=
          to / perNode != last && to / perNode != rank / perNode;
      last = to / perNode;
    }
  });
  group.assign(units.size(), 0);
  memberOf.assign(units.size(), 0);
  for (int64_t node = 0; node != shape.nodes; ++node) {
    std::vector<int64_t> ranks(static_cast<size_t>(perNode));
    std::iota(ranks.begin(), ranks.end(), node * perNode);
    std::stable_sort(ranks.begin(), ranks.end(), [&](int64_t a, int64_t b) {
      return units[size_t(a)] > units[size_t(b)];
    });
    for (int64_t place = 0; place != perNode; ++place) {
      const int64_t of = (place + node) % perNode;
      group[size_t(ranks[size_t(place)])] = of;
      memberOf[size_t(node * perNode + of)] = ranks[size_t(place)];
    }
  }
}

std::pair<int64_t, int64_t> Counter::choose(int64_t rank, int64_t node) {
  const int64_t own = rank / perNode;
  switch (*way.forwarders) {
  case Forwarders::Rail:
    break;
  case Forwarders::Groups:
    return {rank, memberOf[size_t(node * perNode + group[size_t(rank)])]};
  case Forwarders::Balanced: {
    const int64_t local = dealt[size_t(node)]++ % perNode;
    return {own * perNode + local, node * perNode + local};
  }
  }
  return {rank, node * perNode + rank % perNode};
}

void Counter::countToken(Counts &counts, int64_t rank,
                         const std::vector<int32_t> &destinations) {
  auto moveUp = [&](int64_t from, int64_t to) {
    if (from == to)
      return;
    ++counts.upSent[size_t(from)];
    ++counts.upTaken[size_t(to)];
  };
  for (size_t begin = 0; begin != destinations.size();) {
    const int64_t node = destinations[begin] / perNode;
    size_t end = begin;
    while (end != destinations.size() && destinations[end] / perNode == node)
      ++end;
    const bool isOffNode = node != rank / perNode;
    int64_t from = rank;
    if (isOffNode && way.forwarders) {
      const auto [carrier, forwarder] = choose(rank, node);
      const int64_t rows =
          way.scaleOut == RowPer::Node ? 1 : int64_t(end - begin);
      for (int64_t row = 0; row != rows; ++row)
        moveUp(rank, carrier);
      counts.sent[size_t(carrier)] += rows;
      counts.forwarded[size_t(forwarder)] += rows;
      from = forwarder;
    }
    int64_t last = -1;
    for (size_t i = begin; i != end; ++i) {
      const int64_t to = destinations[i];
      ++counts.received[size_t(to)];
      if (isOffNode && !way.forwarders) {
        ++counts.sent[size_t(rank)];
        ++counts.forwarded[size_t(to)];
      } else if (way.scaleUp == RowPer::Assignment || to != last) {
        moveUp(from, to);
      }
      last = to;
    }
    begin = end;
  }
}

Counts Counter::count() {
  if (way.forwarders == Forwarders::Groups)
    findPartners();
  const std::vector<int64_t> none(size_t(shape.numRanks()), 0);
  Counts counts{none, none, none, none, none};
  forEachToken([&](int64_t rank, const std::vector<int32_t> &destinations) {
    countToken(counts, rank, destinations);
  });
  return counts;
}

Counts sim::countRows(const Shape &shape, const Routing &routing,
                      const Way &way) {
  return Counter(shape, routing, way).count();
}

int64_t sim::largest(const std::vector<int64_t> &counts) {
  return *std::max_element(counts.begin(), counts.end());
}
