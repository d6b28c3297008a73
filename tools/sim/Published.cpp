//===- Published.cpp - What others have measured --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Published.h.
///
//===----------------------------------------------------------------------===//

#include "tools/sim/Published.h"

using namespace fusco::sim;

const std::vector<ReadmeRow> &fusco::sim::readmeRows() {
  static const std::vector<ReadmeRow> rows = {
      {Pattern::Even, 4096, 44.4, 30.7, 27.2},
      {Pattern::Even, 8192, 80.2, 58.4, 50.1},
      {Pattern::Even, 16384, 143.6, 116.1, 86.8},
      {Pattern::Even, 32768, 266.4, 219.6, 164.4},
      {Pattern::SingleNode, 4096, 44.0, 24.7, 12.6},
      {Pattern::SingleNode, 8192, 81.4, 43.8, 22.3},
      {Pattern::SingleNode, 16384, 150.1, 81.8, 41.0},
      {Pattern::SingleNode, 32768, 274.8, 144.2, 71.5},
      {Pattern::Imbalanced, 4096, 86.2, 56.0, 43.3},
      {Pattern::Imbalanced, 8192, 167.5, 108.5, 78.9},
      {Pattern::Imbalanced, 16384, 339.3, 216.2, 151.3},
      {Pattern::Imbalanced, 32768, 656.2, 420.9, 305.0},
  };
  return rows;
}

const std::vector<BandwidthRow> &fusco::sim::deepepRows() {
  static const std::vector<BandwidthRow> rows = {
      {16, 43, 43}, {32, 58, 57}, {64, 51, 50}};
  return rows;
}

const std::vector<AblationRow> &fusco::sim::ablationRows() {
  static const std::vector<AblationRow> rows = {
      {"full", "fusco-paper", 86.84},
      {"without its engine (permutes)", "fusco-paper-no-engine", 119.48},
      {"without its planner (each row alone)", "fusco-public", 124.35},
      {"without its balancer (rail)", "fusco-paper-rail", 95.13},
  };
  return rows;
}
