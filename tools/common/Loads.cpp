//===- Loads.cpp - How uneven loads are -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See Loads.h.
//
//===----------------------------------------------------------------------===//
#include "tools/common/Loads.h"

#include <algorithm>
#include <numeric>

namespace fusco {

std::vector<int64_t> sumGroups(const std::vector<int64_t> &loads,
                               int64_t size) {
  std::vector<int64_t> sums;
  for (auto first = loads.begin(); first != loads.end(); first += size)
    sums.push_back(std::accumulate(first, first + size, int64_t(0)));
  return sums;
}

double worstOverMean(const std::vector<int64_t> &loads, int64_t size) {
  double worst = 1;
  auto first = loads.begin();
  for (int64_t sum : sumGroups(loads, size)) {
    if (sum != 0)
      worst = std::max(worst, double(*std::max_element(first, first + size)) *
                                  double(size) / double(sum));
    first += size;
  }
  return worst;
}

} // namespace fusco
