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

#include <algorithm>

namespace fusco::run {

Traffic sumTraffic(const Library &library, const Routing &routing,
                   const std::vector<fusco_plan_info> &plans) {
  const reference::Shape &shape = library.shape();
  const int64_t bytesPerRow = shape.bytesPerDispatchedRow();
  int64_t scaleOutBytesPerRow = library.info().scaleOutBytesPerRow;
  if (scaleOutBytesPerRow == 0)
    scaleOutBytesPerRow = bytesPerRow;
  Traffic sum;
  int64_t hottest = 0, received = 0;
  for (const fusco_plan_info &plan : plans) {
    sum.bytesScaleOut += plan.rowsScaleOut * scaleOutBytesPerRow;
    sum.bytesScaleUp += plan.rowsScaleUp * bytesPerRow;
    sum.rowsUniqueNode += plan.rowsUniqueNode;
    sum.rowsUniqueRank += plan.rowsUniqueRank;
    sum.assignments += plan.assignments;
    received += plan.rowsReceived;
    hottest = std::max(hottest, plan.rowsReceived);
  }
  if (received != 0)
    sum.imbalance = double(hottest) * double(plans.size()) / double(received);

  std::vector<int> nodeOfExpert;
  for (int64_t expert = 0; expert != shape.experts; ++expert)
    nodeOfExpert.push_back(shape.rankOfExpert(expert) / shape.ranksPerNode);
  for (size_t rank = 0; rank != routing.ranks.size(); ++rank)
    for (int64_t id : routing.ranks[rank].ids)
      if (id >= 0 && nodeOfExpert[size_t(id)] != int(rank) / shape.ranksPerNode)
        ++sum.assignmentsOffNode;
  return sum;
}

} // namespace fusco::run
