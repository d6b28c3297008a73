//===- Parameters.h - What a system is taken to do --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The named parameters of the model, each with its unit and where it is from.
/// There is one set for everything; none is changed from row to row of a table.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_SIM_PARAMETERS_H
#define FUSCO_TOOLS_SIM_PARAMETERS_H

#include <string>
#include <vector>

namespace fusco::sim {

struct Parameters {
  double scaleOutGbps = 42;
  double scaleUpGbps = 400;
  double memoryGbps = 2700;
  double twoStageGbps = 125;
  double permuteGbps = 244;
  double fixedUs = 6000;
  double launchUs = 5;
  double exchangeUs = 30;
  double planNsPerToken = 2;
};

/// A parameter as it is told.
struct Parameter {
  const char *name;
  double Parameters::*field;
  const char *unit, *source;
};
const std::vector<Parameter> &allParameters();

/// Sets what \p text, "name=value", says. Returns what is wrong with it, or
/// nothing.
std::string setParameter(Parameters &parameters, const std::string &text);

} // namespace fusco::sim

#endif // FUSCO_TOOLS_SIM_PARAMETERS_H
