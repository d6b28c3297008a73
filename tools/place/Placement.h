//===- Placement.h - Which rank gets which expert ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Packing of experts and their replicas.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_PLACE_PLACEMENT_H
#define FUSCO_TOOLS_PLACE_PLACEMENT_H

#include "tools/reference/Reference.h"

#include <cstdint>
#include <vector>

namespace fusco::place {

/// Which expert each physical one of \p shape is, so that ranks have few rows
/// more than the mean where experts get \p loads:
///   1. one after the other, the redundant ones become replicas of the expert
///      with the largest load per replica;
///   2. the heaviest replica first, each goes to the node with the least load
///      that has room, and none of that expert yet if there is one such;
///   3. likewise each goes to a rank of its node.
/// A greedy packing like that of DeepSeek's expert-parallel load balancer
/// (EPLB). Equal choices fall to the lowest number; a rank has its experts in
/// ascending order.
std::vector<int64_t> placeExperts(const reference::Shape &shape,
                                  const std::vector<int64_t> &loads);

/// The busiest rank's rows over the mean where experts get \p loads, which
/// their replicas in \p placement share as fusco.plan says.
double imbalanceOf(const reference::Shape &shape,
                   const std::vector<int64_t> &loads,
                   const std::vector<int64_t> &placement);

} // namespace fusco::place

#endif // FUSCO_TOOLS_PLACE_PLACEMENT_H
