//===- Traffic.cpp - What the plans of a run decided ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Sums over ranks.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Traffic.h"

#include "tools/common/Loads.h"

#include <algorithm>
#include <set>

namespace fusco::run {

namespace {

/// The units that each rank would send and forward by rail.
struct Units {
  std::vector<int64_t> sent, forwarded;
};
Units countByRail(const reference::Shape &shape,
                  const std::vector<std::vector<int64_t>> &plannedIds,
                  const std::vector<int> &nodeOfExpert) {
  Units units{std::vector<int64_t>(plannedIds.size(), 0), {}};
  units.forwarded = units.sent;
  for (size_t rank = 0; rank != plannedIds.size(); ++rank) {
    const std::vector<int64_t> &ids = plannedIds[rank];
    const int own = int(rank) / shape.ranksPerNode;
    for (size_t token = 0; token != ids.size(); token += size_t(shape.topk)) {
      std::set<int> nodes;
      for (size_t k = 0; k != size_t(shape.topk); ++k)
        if (ids[token + k] >= 0)
          nodes.insert(nodeOfExpert[size_t(ids[token + k])]);
      nodes.erase(own);
      units.sent[rank] += int64_t(nodes.size());
      for (int node : nodes)
        ++units.forwarded[size_t(node * shape.ranksPerNode) +
                          rank % size_t(shape.ranksPerNode)];
    }
  }
  return units;
}

Imbalance measureImbalance(const reference::Shape &shape,
                           const std::vector<std::vector<int64_t>> &plannedIds,
                           const std::vector<int> &nodeOfExpert,
                           const std::vector<fusco_plan_info> &plans) {
  std::vector<int64_t> received;
  Units units;
  for (const fusco_plan_info &plan : plans) {
    received.push_back(plan.rowsReceived);
    units.sent.push_back(plan.unitsSent);
    units.forwarded.push_back(plan.unitsForwarded);
  }
  const int perNode = shape.ranksPerNode;
  auto overMeans = [&](const Units &of) {
    return Imbalance::Forwarders{worstOverMean(of.sent, perNode),
                                 worstOverMean(of.forwarded, perNode)};
  };
  Imbalance imbalance;
  imbalance.rankRows = worstOverMean(received, int64_t(received.size()));
  imbalance.nodeRows = worstOverMean(sumGroups(received, perNode), shape.nodes);
  const Units byRail = countByRail(shape, plannedIds, nodeOfExpert);
  imbalance.rail = overMeans(byRail);
  // Plans by rail count none.
  const bool isByRail = std::all_of(units.sent.begin(), units.sent.end(),
                                    [](int64_t sent) { return sent == 0; });
  imbalance.forwarders = isByRail ? imbalance.rail : overMeans(units);
  return imbalance;
}

} // namespace

Traffic sumTraffic(const Library &library, const Routing &routing,
                   const std::vector<fusco_plan_info> &plans) {
  const reference::Shape &shape = library.shape();
  const int64_t bytesPerRow = shape.bytesPerDispatchedRow();
  int64_t scaleOutBytesPerRow = library.info().scaleOutBytesPerRow;
  if (scaleOutBytesPerRow == 0)
    scaleOutBytesPerRow = bytesPerRow;
  Traffic sum;
  sum.assignments = countAssignments(shape, routing);
  for (const fusco_plan_info &plan : plans) {
    sum.bytesScaleOut += plan.rowsScaleOut * scaleOutBytesPerRow;
    sum.bytesScaleUp += plan.rowsScaleUp * bytesPerRow;
    sum.rowsUniqueNode += plan.rowsUniqueNode;
    sum.rowsUniqueRank += plan.rowsUniqueRank;
    sum.assignmentsDropped += plan.assignmentsDropped;
  }
  std::vector<int> nodeOfExpert;
  for (int64_t expert = 0; expert != shape.numPhysicalExperts(); ++expert)
    nodeOfExpert.push_back(shape.rankOfExpert(expert) / shape.ranksPerNode);
  const std::vector<std::vector<int64_t>> ids = plannedIdsOf(shape, routing);
  for (size_t rank = 0; rank != ids.size(); ++rank)
    for (int64_t id : ids[rank])
      if (id >= 0 && nodeOfExpert[size_t(id)] != int(rank) / shape.ranksPerNode)
        ++sum.assignmentsOffNode;
  sum.imbalance = measureImbalance(shape, ids, nodeOfExpert, plans);
  return sum;
}

} // namespace fusco::run
