//===- Report.cpp - What is printed and written ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Report.h.
///
//===----------------------------------------------------------------------===//

#include "tools/sim/Report.h"

#include "tools/common/Loads.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace fusco;
using namespace fusco::sim;
using Json = nlohmann::ordered_json;

std::string sim::toTable(const Results &results) {
  const Shape &shape = results.shape;
  std::string text = fmt::format(
      "MODELLED, not measured: {}: {} experts, top-{}, hidden {}; {} nodes x "
      "{} "
      "ranks, {} tokens per rank; routing {}\n\n{:<23}{:>12}{:>12}{:>12}{:>11}"
      "{:>11}{:>10}{:>10}\n",
      shape.name, shape.experts, shape.topk, shape.hidden, shape.nodes,
      shape.ranksPerNode, shape.tokens, results.routing, "modelled",
      "dispatch us", "combine us", "both us", "out GB", "up GB", "fwd tx",
      "fwd rx");
  for (const Modelled &plan : results.plans)
    text += fmt::format(
        "{:<23}{:>12.1f}{:>12.1f}{:>12.1f}{:>11.3f}{:>11.3f}{:>"
        "10.3f}{:>10.3f}\n",
        plan.plan->name, plan.dispatchUs(), plan.combineUs(), plan.us(),
        plan.bytesScaleOut * 1e-9, plan.bytesScaleUp * 1e-9,
        worstOverMean(plan.counts.sent, shape.ranksPerNode),
        worstOverMean(plan.counts.forwarded, shape.ranksPerNode));
  const Counts &counts = results.plans.front().counts;
  text += fmt::format(
      "(out, up: bytes of a dispatch between nodes, and ranks of a node; fwd: "
      "busiest forwarder of a node over its mean)\nhottest rank {:.2f} x mean, "
      "hottest node {:.2f}\n",
      worstOverMean(counts.received, shape.numRanks()),
      worstOverMean(sumGroups(counts.received, shape.ranksPerNode),
                    shape.nodes));
  return text;
}

std::string sim::toJson(const Results &results) {
  const Shape &shape = results.shape;
  Json json;
  json["modelled"] = true;
  json["shape"] = {
      {"nodes", shape.nodes},     {"ranks_per_node", shape.ranksPerNode},
      {"experts", shape.experts}, {"topk", shape.topk},
      {"hidden", shape.hidden},   {"tokens_per_rank", shape.tokens}};
  json["routing"] = results.routing;
  for (const Parameter &parameter : allParameters())
    json["parameters"][parameter.name] =
        results.options.parameters.*parameter.field;
  for (const Modelled &plan : results.plans) {
    auto phases = [](const std::vector<Phase> &phases) {
      Json all = Json::object();
      for (const Phase &phase : phases)
        all[phase.name] = phase.us;
      return all;
    };
    const Counts &counts = plan.counts;
    json["plans"][plan.plan->name] = {
        {"dispatch_us", plan.dispatchUs()},
        {"combine_us", plan.combineUs()},
        {"dispatch_phases_us", phases(plan.dispatch)},
        {"combine_phases_us", phases(plan.combine)},
        {"bytes_scale_out", plan.bytesScaleOut},
        {"bytes_scale_up", plan.bytesScaleUp},
        {"imbalance",
         {{"forwarder_tx", worstOverMean(counts.sent, shape.ranksPerNode)},
          {"forwarder_rx", worstOverMean(counts.forwarded, shape.ranksPerNode)},
          {"rank_rows", worstOverMean(counts.received, shape.numRanks())},
          {"node_rows",
           worstOverMean(sumGroups(counts.received, shape.ranksPerNode),
                         shape.nodes)}}}};
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}
