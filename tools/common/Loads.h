//===- Loads.h - How uneven loads are ---------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Loads of ranks, consecutive ones of which are a node.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_COMMON_LOADS_H
#define FUSCO_TOOLS_COMMON_LOADS_H

#include <cstdint>
#include <vector>

namespace fusco {

/// Of the groups of \p size consecutive \p loads, the most that a group's
/// largest is over that group's mean; at least 1, which it is without loads.
/// \p size divides their number.
double worstOverMean(const std::vector<int64_t> &loads, int64_t size);

/// The sums of the groups of \p size consecutive \p loads.
std::vector<int64_t> sumGroups(const std::vector<int64_t> &loads, int64_t size);

} // namespace fusco

#endif // FUSCO_TOOLS_COMMON_LOADS_H
