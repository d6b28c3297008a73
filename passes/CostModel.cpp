//===- CostModel.cpp - What moving rows costs, on average -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See CostModel.h.
///
//===----------------------------------------------------------------------===//

#include "passes/CostModel.h"

using namespace fusco;

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

/// The probability that \p draws distinct ones of \p experts are none of
/// \p held: C(experts - held, draws) / C(experts, draws).
static double probabilityOfNone(int64_t experts, int64_t held, int64_t draws) {
  // Below this, further factors change no sum; large groups end early.
  constexpr double negligible = 1e-18;
  double probability = 1;
  for (int64_t i = 0; i < draws && probability > negligible; ++i) {
    if (i >= experts - held)
      return 0;
    probability *= double(experts - held - i) / double(experts - i);
  }
  return probability;
}

/// The same of exactly one, C(held, 1) C(experts - held, draws - 1) /
/// C(experts, draws).
static double probabilityOfOne(int64_t experts, int64_t held, int64_t draws) {
  return double(held) * double(draws) / double(experts - draws + 1) *
         probabilityOfNone(experts, held, draws - 1);
}

ExpectedGroups fusco::expectedGroups(BlockPlacement placement,
                                     int64_t ranksPerGroup, int64_t topk) {
  ExpectedGroups expected{0, 0};
  int64_t lastHeld = -1;
  double any = 0, several = 0;
  for (int64_t rank = 0; rank < placement.ranks; rank += ranksPerGroup) {
    int64_t held = placement.firstExpert(rank + ranksPerGroup) -
                   placement.firstExpert(rank);
    if (held != lastHeld) { // two or three sizes in all
      any = 1 - probabilityOfNone(placement.experts, held, topk);
      several = any - probabilityOfOne(placement.experts, held, topk);
      lastHeld = held;
    }
    expected.any += any;
    expected.several += several;
  }
  return expected;
}

ExpectedRows::ExpectedRows(int64_t nodes, int64_t ranksPerNode, int64_t experts,
                           int64_t topk)
    : assignments(topk),
      ranks(expectedGroups({experts, nodes * ranksPerNode}, 1, topk)),
      nodes(
          expectedGroups({experts, nodes * ranksPerNode}, ranksPerNode, topk)),
      otherNodes(1 - 1.0 / nodes), otherRanks(1 - 1.0 / ranksPerNode) {}

ExpectedRows ExpectedRows::oncePerRank() const {
  ExpectedRows once = *this;
  once.assignments = ranks.any;
  once.ranks.several = 0;
  return once;
}

double ExpectedRows::total(RowPer per) const {
  switch (per) {
  case RowPer::Assignment:
    return assignments;
  case RowPer::Rank:
    return ranks.any;
  case RowPer::Node:
    return nodes.any;
  }
  return 0; // not reached
}

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

Traffic fusco::dispatchTraffic(const ExpectedRows &rows, RowPer scaleOut,
                               RowPer scaleUp, const DispatchRowBytes &bytes) {
  Traffic traffic;
  traffic.scaleOutBytes = rows.onScaleOut(scaleOut) * bytes.scaleOut;
  traffic.scaleUpBytes = rows.onScaleUp(scaleUp) * bytes.scaleUp;
  double reread = scaleUp == RowPer::Rank ? rows.inSeveralSlots() : 0;
  traffic.memoryBytes =
      bytes.source + 2 * traffic.scaleOutBytes +
      (rows.total(RowPer::Assignment) + reread) * bytes.scaleUp;
  return traffic;
}

Traffic fusco::combineTraffic(const ExpectedRows &rows, RowPer scaleUp,
                              const CombineRowBytes &bytes) {
  Traffic traffic;
  traffic.scaleOutBytes = rows.onScaleOut(RowPer::Node) * bytes.partialSum;
  bool isPartial = scaleUp == RowPer::Rank;
  traffic.scaleUpBytes =
      rows.onScaleUp(scaleUp) * (isPartial ? bytes.partialSum : bytes.expert);
  traffic.memoryBytes = rows.total(RowPer::Assignment) * bytes.expert +
                        (isPartial ? 2 * traffic.scaleUpBytes : 0) +
                        2 * traffic.scaleOutBytes + bytes.result;
  return traffic;
}

Traffic fusco::railTraffic(const Traffic &traffic) {
  Traffic busiest = traffic;
  busiest.scaleOutBytes *= expectedRailImbalance;
  return busiest;
}

Traffic fusco::balancedTraffic(const Traffic &traffic, int64_t ranksPerNode) {
  Traffic evened = traffic;
  evened.scaleUpBytes += traffic.scaleOutBytes * (1 - 1.0 / ranksPerNode);
  return evened;
}

//===----------------------------------------------------------------------===//
// Time
//===----------------------------------------------------------------------===//

LinkSpeeds fusco::linkSpeeds(int64_t memoryGbps, int64_t scaleUpGbps,
                             int64_t scaleOutGbps) {
  if (memoryGbps == 0)
    memoryGbps = std::max({scaleUpGbps, scaleOutGbps, int64_t(1)});
  auto orMemory = [&](int64_t gbps) {
    return double(gbps != 0 ? gbps : memoryGbps);
  };
  return {double(memoryGbps), orMemory(scaleUpGbps), orMemory(scaleOutGbps)};
}

bool Cost::operator<(const Cost &other) const {
  // Rounding decides nothing.
  constexpr double tolerance = 1e-9;
  auto isLess = [](double a, double b) { return a < b * (1 - tolerance); };
  if (isLess(slowestNs, other.slowestNs) || isLess(other.slowestNs, slowestNs))
    return slowestNs < other.slowestNs;
  return isLess(sumNs, other.sumNs);
}

Cost fusco::cost(const Traffic &traffic, const LinkSpeeds &speeds) {
  // Bytes over 1e9 bytes per second are nanoseconds.
  const struct {
    Resource resource;
    double ns;
  } times[] = {{Resource::ScaleOut, traffic.scaleOutBytes / speeds.scaleOut},
               {Resource::ScaleUp, traffic.scaleUpBytes / speeds.scaleUp},
               {Resource::Memory, traffic.memoryBytes / speeds.memory}};
  Cost cost{times[0].resource, times[0].ns, 0};
  for (auto [resource, ns] : times) {
    if (ns > cost.slowestNs) {
      cost.slowest = resource;
      cost.slowestNs = ns;
    }
    cost.sumNs += ns;
  }
  return cost;
}
