//===- Shape.h - What is modelled -------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The shape of a shuffle, as far as its time depends on it.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_SIM_SHAPE_H
#define FUSCO_TOOLS_SIM_SHAPE_H

#include "dialect/Layout.h"
#include <cstdint>
#include <string>

namespace fusco::sim {

struct Shape {
  std::string name = "m";
  int64_t nodes = 8, ranksPerNode = 8, experts = 256, topk = 8, hidden = 7168;
  int64_t tokens = 4096;              ///< of each rank
  int64_t dispatchBytes = 2 * 7168;   ///< of a row to the experts
  int64_t combineBytes = 2 * 7168;    ///< of a row from the experts
  int64_t partialSumBytes = 4 * 7168; ///< of a sum on its way back

  int64_t numRanks() const { return nodes * ranksPerNode; }
  BlockPlacement placement() const { return {experts, numRanks()}; }
};

/// Reads the shape of the module in \p path into \p shape, `tokens` excepted.
/// Returns what is wrong with it, or nothing.
std::string readModel(const std::string &path, Shape &shape);

} // namespace fusco::sim

#endif // FUSCO_TOOLS_SIM_SHAPE_H
