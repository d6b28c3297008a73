//===- Report.h - Results of a run, for people and programs -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The table and the JSON file: the same results twice.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_REPORT_H
#define FUSCO_TOOLS_RUN_REPORT_H

#include "tools/run/Bench.h"
#include "tools/run/Check.h"
#include "tools/run/Gpu.h"
#include "tools/run/Traffic.h"

#include <optional>
#include <string>
#include <vector>

namespace fusco::run {

struct Report {
  const Library &library;
  const Options &options;
  const Routing &routing;
  std::optional<CheckResult> check;
  std::optional<CheckResult> graph; ///< of the replays
  std::optional<BenchResult> bench; ///< shuffles: own, then the baselines
  Traffic traffic;
  std::vector<Imbalance> layers;     ///< of each, with --layer all
  std::optional<GpuDescription> gpu; ///< that it ran on
};

/// JSON with two-space indentation and a final line break. Keys: check, graph,
/// dispatch, combine and their backward, limit, baseline, ratio, plan, each
/// only if it was asked for, and what was run on what.
std::string toJson(const Report &report);

/// Lines of aligned text.
std::string toTable(const Report &report);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_REPORT_H
