//===- Plans.cpp - Ways to shuffle, and their modelled time ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Plans.h. Bytes become time by passes/CostModel.h, as in the passes.
///
//===----------------------------------------------------------------------===//

#include "tools/sim/Plans.h"

#include <numeric>

using namespace fusco;
using namespace fusco::sim;

const std::vector<Plan> &sim::allPlans() {
  using Per = RowPer;
  static const std::vector<Plan> plans = {
      {"fusco",
       "once per node through forwarders that are dealt to, and once per rank; "
       "one pipeline",
       {Per::Node, Per::Rank, Forwarders::Balanced},
       0,
       true,
       false,
       false},
      {"fusco-rail",
       "the same, with forwarders of the same local number",
       {Per::Node, Per::Rank, Forwarders::Rail},
       0,
       true,
       false,
       false},
      {"fusco-groups",
       "the same, with forwarders in groups by load",
       {Per::Node, Per::Rank, Forwarders::Groups},
       0,
       true,
       false,
       false},
      {"nccl",
       "all-to-all of a row per assignment, permutes before and after",
       {Per::Assignment, Per::Assignment, std::nullopt},
       2,
       false,
       true,
       false},
      {"fusco-public",
       "what FUSCO's public code does: a row per assignment, to the forwarder "
       "and then to its slot",
       {Per::Assignment, Per::Assignment, Forwarders::Rail},
       0,
       false,
       true,
       false},
      {"deepep",
       "once per node, then once per rank, then a permute",
       {Per::Node, Per::Rank, Forwarders::Rail},
       1,
       false,
       true,
       false},
      {"fusco-paper",
       "FUSCO as its paper has it: once per node through forwarders in groups "
       "by load, then per assignment to its slot",
       {Per::Node, Per::Assignment, Forwarders::Groups},
       0,
       false,
       true,
       false},
      {"fusco-paper-rail",
       "that without its balancer",
       {Per::Node, Per::Assignment, Forwarders::Rail},
       0,
       false,
       true,
       true},
      {"fusco-paper-no-engine",
       "that with a permute which is not fused",
       {Per::Node, Per::Assignment, Forwarders::Groups},
       1,
       false,
       true,
       true},
  };
  return plans;
}

const Plan *sim::findPlan(const std::string &name) {
  for (const Plan &plan : allPlans())
    if (name == plan.name)
      return &plan;
  return nullptr;
}

static double sumOf(const std::vector<Phase> &phases) {
  return std::accumulate(
      phases.begin(), phases.end(), 0.0,
      [](double sum, const Phase &phase) { return sum + phase.us; });
}

double Modelled::dispatchUs() const { return sumOf(dispatch); }
double Modelled::combineUs() const { return sumOf(combine); }

namespace {
/// One direction: what a row weighs on each link.
struct RowBytes {
  double scaleOut, scaleUp, expert;
};
} // namespace

/// The traffic of the busiest rank on each of its resources.
static Traffic busiest(const Shape &shape, const Counts &counts,
                       const RowBytes &bytes) {
  const double out =
      double(std::max(largest(counts.sent), largest(counts.forwarded)));
  const double up =
      double(std::max(largest(counts.upSent), largest(counts.upTaken)));
  // Tokens, what passes through to and from other nodes, and experts' rows.
  const double rows = double(shape.tokens) + double(largest(counts.received));
  return {out * bytes.scaleOut, up * bytes.scaleUp,
          rows * bytes.expert + 2 * out * bytes.scaleOut};
}

static std::vector<Phase> phasesOf(const Plan &plan, const Shape &shape,
                                   const Counts &counts, const RowBytes &bytes,
                                   const Parameters &parameters) {
  const Traffic traffic = busiest(shape, counts, bytes);
  const LinkSpeeds speeds{parameters.memoryGbps, parameters.scaleUpGbps,
                          parameters.scaleOutGbps};
  constexpr double nsPerUs = 1e3;
  std::vector<Phase> phases;
  if (plan.isPipelined) {
    phases.push_back({"plan", parameters.launchUs + parameters.exchangeUs +
                                  parameters.planNsPerToken *
                                      double(shape.tokens) / nsPerUs});
    phases.push_back({"rows", cost(traffic, speeds).slowestNs / nsPerUs});
    return phases;
  }
  if (plan.hasHostSync)
    phases.push_back({"fixed", parameters.fixedUs / 2});
  // All of a rank's rows, read and written by each permute.
  if (plan.permutes != 0)
    phases.push_back({"permutes", 2 * double(plan.permutes) *
                                      double(largest(counts.received)) *
                                      bytes.expert / parameters.permuteGbps /
                                      nsPerUs});
  const double outNs = traffic.scaleOutBytes / parameters.scaleOutGbps;
  if (!plan.way.forwarders) { // both kinds of links at once
    const double upNs = traffic.scaleUpBytes / parameters.scaleUpGbps;
    phases.push_back({"all to all", std::max(outNs, upNs) / nsPerUs});
    return phases;
  }
  phases.push_back({"scale-out", outNs / nsPerUs});
  phases.push_back(
      {"scale-up", traffic.scaleUpBytes / parameters.twoStageGbps / nsPerUs});
  return phases;
}

Modelled sim::model(const Plan &plan, const Shape &shape,
                    const Routing &routing, const Parameters &parameters) {
  Modelled result;
  result.plan = &plan;
  result.counts = countRows(shape, routing, plan.way);
  const double dispatched = double(shape.dispatchBytes);
  const double returned = double(shape.combineBytes);
  const double partial =
      plan.isPipelined ? double(shape.partialSumBytes) : returned;
  result.dispatch = phasesOf(plan, shape, result.counts,
                             {dispatched, dispatched, dispatched}, parameters);
  // Ours sums in float32; where ranks hold one row of a token, it may go as it
  // is, but is counted as a partial sum.
  result.combine = phasesOf(plan, shape, result.counts,
                            {partial, returned, returned}, parameters);
  auto sum = [](const std::vector<int64_t> &counts) {
    return double(std::accumulate(counts.begin(), counts.end(), int64_t(0)));
  };
  result.bytesScaleOut = sum(result.counts.sent) * dispatched;
  result.bytesScaleUp = sum(result.counts.upSent) * dispatched;
  return result;
}
