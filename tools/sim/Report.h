//===- Report.h - What is printed, written and drawn ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The results as text, JSON and a picture. All say that they are modelled.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_SIM_REPORT_H
#define FUSCO_TOOLS_SIM_REPORT_H

#include "tools/sim/Options.h"
#include "tools/sim/Plans.h"
#include <string>
#include <vector>

namespace fusco::sim {

struct Results {
  const Options &options;
  const Shape &shape;
  std::string routing;
  std::vector<Modelled> plans;
};

std::string toTable(const Results &results);
std::string toJson(const Results &results);
/// Drawing.cpp: an SVG that needs nothing else: time by phase of each plan, and
/// the load of forwarders by rail and balanced.
std::string toSvg(const Results &results);

} // namespace fusco::sim

#endif // FUSCO_TOOLS_SIM_REPORT_H
