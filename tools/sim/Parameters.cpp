//===- Parameters.cpp - What a system is taken to do ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Parameters.h.
///
//===----------------------------------------------------------------------===//

#include "tools/sim/Parameters.h"

#include <cstdlib>

using namespace fusco::sim;

const std::vector<Parameter> &fusco::sim::allParameters() {
  static const std::vector<Parameter> all = {
      {"scale_out_gbps", &Parameters::scaleOutGbps, "GB/s",
       "a rank's share of links between nodes, per direction, reached: fitted "
       "to FUSCO's README (10 x 400 Gb/s for 8 GPUs would be 62)"},
      {"scale_up_gbps", &Parameters::scaleUpGbps, "GB/s",
       "a rank's links within a node, per direction, reached: of NVLink's 480 "
       "(FUSCO's README)"},
      {"memory_gbps", &Parameters::memoryGbps, "GB/s",
       "a rank's memory, read and written together: 0.8 of an H100's 3350 "
       "(data sheet)"},
      {"two_stage_gbps", &Parameters::twoStageGbps, "GB/s",
       "rows from forwarders to ranks where that does not overlap with what "
       "comes from other nodes: fitted to FUSCO's README"},
      {"permute_gbps", &Parameters::permuteGbps, "GB/s",
       "read and written together by permutes that are not fused (PyTorch's "
       "index_select and scatter_add): fitted to FUSCO's README"},
      {"fixed_us", &Parameters::fixedUs, "us",
       "of dispatch and combine together, whatever they move, of the other "
       "libraries as FUSCO's README runs them: fitted to it. Too much for "
       "kernels of low latency, which are not modelled"},
      {"launch_us", &Parameters::launchUs, "us",
       "of one kernel without synchronisation: usual for CUDA"},
      {"exchange_us", &Parameters::exchangeUs, "us",
       "of one exchange of counts between all ranks: assumed"},
      {"plan_ns_per_token", &Parameters::planNsPerToken, "ns",
       "of planning on a GPU, per token of a rank: assumed, not measured yet"},
  };
  return all;
}

std::string fusco::sim::setParameter(Parameters &parameters,
                                     const std::string &text) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  for (const Parameter &parameter : allParameters()) {
    if (name != parameter.name || equals == text.npos)
      continue;
    const char *start = text.c_str() + equals + 1;
    char *end = nullptr;
    const double value = std::strtod(start, &end);
    if (end == start || *end != 0 || !(value > 0))
      return "expected a number above 0 in '" + text + "'";
    parameters.*parameter.field = value;
    return "";
  }
  return "expected NAME=VALUE with a NAME that --list-parameters prints, got "
         "'" +
         text + "'";
}
