//===- Options.cpp - Command line of fusco-sim ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Options.h.
///
//===----------------------------------------------------------------------===//

#include "tools/sim/Options.h"

#include "tools/common/CommandLine.h"
#include "tools/common/Error.h"

#include <fmt/format.h>

#include <cmath>

namespace po = boost::program_options;
using namespace fusco;
using namespace fusco::sim;

static Pattern parsePattern(const std::string &name) {
  if (name == "even")
    return Pattern::Even;
  if (name == "single-node")
    return Pattern::SingleNode;
  if (name == "imbalanced")
    return Pattern::Imbalanced;
  throw UsageError(fmt::format("--pattern expects even, single-node or "
                               "imbalanced, got '{}'",
                               name));
}

static void requireWithin(const char *flag, int64_t value, int64_t least,
                          int64_t most) {
  if (value < least || value > most)
    throw UsageError(fmt::format("{} must be in [{}, {}], got {}", flag, least,
                                 most, value));
}

/// Refuses flags that would change nothing: only a model of routing reads a
/// file or draws, and published times have their own shape and routing.
static void refuseUnused(Task task, const po::variables_map &given) {
  if (task == Task::Model)
    return;
  std::vector<const char *> unused = {"routing", "layer", "pattern", "report"};
  if (task != Task::Ablate)
    unused.insert(unused.end(), {"tokens", "nodes", "ranks-per-node"});
  if (task == Task::ListParameters)
    unused.push_back("json");
  const char *mode = task == Task::Ablate           ? "--ablation"
                     : task == Task::ListParameters ? "--list-parameters"
                                                    : "--validate";
  for (const char *flag : unused)
    if (given.count(flag) && !given[flag].defaulted())
      throw UsageError(fmt::format("--{} is not used with {}", flag, mode));
}

std::optional<Options> sim::parseOptions(int argc, char **argv) {
  Options options;
  std::string pattern, validate, routing, json, report;
  int64_t layer = 0, nodes = 0, ranksPerNode = 0, tokens = 0;
  std::vector<std::string> set;
  po::options_description flags("options");
  auto add = flags.add_options();
  add("routing", po::value(&routing)->value_name("IDS.npy"),
      "expert ids, [rows, topk] or [layers, rows, topk]; token i of rank r is "
      "row (r * tokens + i) mod rows");
  add("layer", po::value(&layer)->value_name("L"),
      "layer of a three-dimensional file, from 0 (default 0)");
  add("pattern", po::value(&pattern)->value_name("KIND")->default_value("even"),
      "routing in place of --routing: even; single-node: all experts of a "
      "token on one node; imbalanced: see --skew");
  add("skew", po::value(&options.skew)->value_name("S"),
      "--pattern imbalanced: rank 0 gets S / (1 - exp(-S)) times the mean, the "
      "others less and less (default 2)");
  add("seed", po::value(&options.seed)->value_name("N"),
      "of drawn routing (default 1)");
  add("tokens", po::value(&tokens)->value_name("T"),
      "tokens of each rank (default 4096; with --ablation 16384)");
  add("nodes", po::value(&nodes)->value_name("N"),
      "nodes, in place of the model's");
  add("ranks-per-node", po::value(&ranksPerNode)->value_name("G"),
      "ranks of a node, in place of the model's");
  add("set", po::value(&set)->value_name("NAME=VALUE")->composing(),
      "a parameter of the system; may be given several times");
  add("list-parameters", "print the parameters, their units and sources");
  add("validate", po::value(&validate)->value_name("TABLE"),
      "compare the model with published times: fusco-readme, deepep-v1");
  add("ablation", "model FUSCO without each of its mechanisms, beside what its "
                  "paper measured, and ours");
  add("json", po::value(&json)->value_name("OUT.json"),
      "write the results to this file");
  add("report", po::value(&report)->value_name("OUT.svg"),
      "draw the results to this file");
  const std::optional<po::variables_map> parsed = parseCommandLine(
      argc, argv,
      {"fusco-sim",
       "usage: fusco-sim [MODEL.mlir] [options]\n\nModels the time of a "
       "dispatch and a combine at scale, for our plan and for others'. "
       "Nothing\nthat it prints was measured, but where it says so. "
       "Without a model: 8 nodes of 8 ranks,\nhidden 7168, top-8 of 256 "
       "experts.\n\n",
       flags, "model", options.model});
  if (!parsed)
    return std::nullopt;
  const po::variables_map &given = *parsed;
  options.pattern = parsePattern(pattern);
  if (given.count("routing"))
    options.routing = routing;
  if (given.count("layer"))
    options.layer = layer;
  if (given.count("json"))
    options.json = json;
  if (given.count("report"))
    options.report = report;
  constexpr int64_t mostRanks = 65536;
  if (given.count("nodes")) {
    requireWithin("--nodes", nodes, 1, mostRanks);
    options.nodes = nodes;
  }
  if (given.count("ranks-per-node")) {
    requireWithin("--ranks-per-node", ranksPerNode, 1, mostRanks);
    options.ranksPerNode = ranksPerNode;
  }
  if (given.count("tokens")) {
    requireWithin("--tokens", tokens, 1, 1 << 20);
    options.tokens = tokens;
  }
  if (options.routing && !given["pattern"].defaulted())
    throw UsageError("--pattern and --routing exclude each other");
  if (!options.routing && options.layer)
    throw UsageError("--layer chooses from a file: give --routing");
  if (!(options.skew > 0) || !std::isfinite(options.skew) ||
      (given.count("skew") && options.pattern != Pattern::Imbalanced &&
       validate.empty() && !given.count("ablation")))
    throw UsageError("--skew is above 0 and shapes --pattern imbalanced");
  for (const std::string &text : set)
    if (std::string wrong = setParameter(options.parameters, text);
        !wrong.empty())
      throw UsageError("--set: " + wrong);
  if (!validate.empty() && validate != "fusco-readme" &&
      validate != "deepep-v1")
    throw UsageError(fmt::format("--validate expects fusco-readme or "
                                 "deepep-v1, got '{}'",
                                 validate));
  if (given.count("list-parameters") + given.count("validate") +
          given.count("ablation") >
      1)
    throw UsageError("--list-parameters, --validate and --ablation exclude "
                     "each other");
  if (given.count("list-parameters"))
    options.task = Task::ListParameters;
  else if (!validate.empty())
    options.task =
        validate == "deepep-v1" ? Task::ValidateDeepEP : Task::Validate;
  else if (given.count("ablation"))
    options.task = Task::Ablate;
  refuseUnused(options.task, given);
  return options;
}
