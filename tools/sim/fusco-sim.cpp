//===- fusco-sim.cpp - Modelled time at scale -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Models plans on routing, and compares the model with what was published.
///
//===----------------------------------------------------------------------===//

#include "tools/common/Error.h"
#include "tools/common/Output.h"
#include "tools/sim/Options.h"
#include "tools/sim/Published.h"
#include "tools/sim/Report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

using namespace fusco;
using namespace fusco::sim;
using Json = nlohmann::ordered_json;

static constexpr int64_t paperTokens = 16384;

static double modelledMs(const char *plan, const Shape &shape,
                         const Routing &routing, const Parameters &parameters) {
  return model(*findPlan(plan), shape, routing, parameters).us() / 1e3;
}

static const char *nameOf(Pattern pattern) {
  switch (pattern) {
  case Pattern::Even:
    return "real";
  case Pattern::SingleNode:
    return "single-node";
  case Pattern::Imbalanced:
    return "imbalanced";
  }
  return "";
}

static void listParameters(const Options &options) {
  std::string text;
  for (const Parameter &parameter : allParameters())
    text += fmt::format("{:<18} {:>9} {:<5} {}\n", parameter.name,
                        options.parameters.*parameter.field, parameter.unit,
                        parameter.source);
  printToStdout(text);
}

/// The shape is that of the tables, whatever model there is.
static void validate(const Options &options) {
  std::string text = fmt::format(
      "Published by FUSCO's README, and MODELLED, in ms: 8 nodes x 8 ranks, "
      "hidden 7168 bf16, top-8 of 256\n\n{:<12}{:>7}{:>27}{:>27}{:>27}\n",
      "pattern", "tokens", "NCCL: published, modelled",
      "DeepEP: publ., modelled", "FUSCO: publ., modelled");
  std::vector<double> errors;
  Json cells = Json::array();
  for (const ReadmeRow &row : readmeRows()) {
    Shape shape;
    shape.tokens = row.tokens;
    const Routing routing =
        drawRouting(shape, row.pattern, options.skew, options.seed);
    text += fmt::format("{:<12}{:>7}", nameOf(row.pattern), row.tokens);
    for (auto [plan, published] :
         {std::pair("nccl", row.ncclMs), std::pair("deepep", row.deepepMs),
          std::pair("fusco-paper", row.fuscoMs)}) {
      const double ms = modelledMs(plan, shape, routing, options.parameters);
      const double error = ms / published - 1;
      errors.push_back(std::abs(error));
      text += fmt::format("{:>10.1f}{:>9.1f} {:>+6.0f}%", published, ms,
                          100 * error);
      cells.push_back({{"pattern", nameOf(row.pattern)},
                       {"tokens", row.tokens},
                       {"plan", plan},
                       {"published_ms", published},
                       {"modelled_ms", ms},
                       {"error", error}});
    }
    text += "\n";
  }
  std::sort(errors.begin(), errors.end());
  const size_t half = errors.size() / 2;
  const double median = (errors[half - 1] + errors[half]) / 2;
  text += fmt::format("median error over {} cells: {:.1f} %, largest {:.1f} %, "
                      "with one set of parameters\n",
                      errors.size(), 100 * median, 100 * errors.back());
  if (options.json)
    writeAtomically(*options.json, Json{{"modelled", true},
                                        {"cells", cells},
                                        {"median_error", median},
                                        {"largest_error", errors.back()}}
                                           .dump(2) +
                                       "\n");
  printToStdout(text);
}

/// A kernel's time there is that of its links between nodes, which here are a
/// parameter, fitted to another machine.
static void validateDeepEP(const Options &options) {
  const double modelled = options.parameters.scaleOutGbps;
  std::string text = fmt::format(
      "GB/s between nodes, published by DeepEP V1, and MODELLED\n\n{:>5}{:>26}"
      "{:>26}\n",
      "ranks", "dispatch: publ., modelled", "combine: publ., modelled");
  Json rows = Json::array();
  for (const BandwidthRow &row : deepepRows()) {
    text += fmt::format("{:>5}", row.ranks);
    for (double published : {row.dispatchGbps, row.combineGbps}) {
      text += fmt::format("{:>10.0f}{:>9.0f} {:>+5.0f}%", published, modelled,
                          100 * (modelled / published - 1));
      rows.push_back({{"ranks", row.ranks},
                      {"published_gbps", published},
                      {"modelled_gbps", modelled}});
    }
    text += "\n";
  }
  if (options.json)
    writeAtomically(*options.json,
                    Json{{"modelled", true}, {"rows", rows}}.dump(2) + "\n");
  printToStdout(text);
}

static Shape shapeOf(const Options &options, int64_t tokens) {
  Shape shape;
  if (!options.model.empty())
    if (std::string wrong = readModel(options.model, shape); !wrong.empty())
      throw Error(wrong);
  shape.nodes = options.nodes.value_or(shape.nodes);
  shape.ranksPerNode = options.ranksPerNode.value_or(shape.ranksPerNode);
  shape.tokens = options.tokens.value_or(tokens);
  return shape;
}

static void ablate(const Options &options) {
  const Shape shape = shapeOf(options, paperTokens);
  std::string text = fmt::format(
      "FUSCO's ablation in ms, MODELLED on {} nodes x {} ranks, {} tokens per "
      "rank, beside what its paper measured on real traffic\n\n{:<38}{:>9}",
      shape.nodes, shape.ranksPerNode, shape.tokens, "", "paper");
  constexpr Pattern patterns[] = {Pattern::Even, Pattern::SingleNode,
                                  Pattern::Imbalanced};
  std::vector<Routing> routings;
  for (Pattern pattern : patterns) {
    routings.push_back(drawRouting(shape, pattern, options.skew, options.seed));
    text += fmt::format("{:>12}", nameOf(pattern));
  }
  text += "\n";
  Json rows = Json::array();
  auto addRow = [&](const char *name, const char *plan,
                    std::optional<double> paperMs) {
    text += fmt::format("{:<38}{:>9}", name,
                        paperMs ? fmt::format("{:.2f}", *paperMs) : "");
    Json row = {{"name", name}, {"plan", plan}};
    if (paperMs)
      row["paper_ms"] = *paperMs;
    for (size_t i = 0; i != std::size(patterns); ++i) {
      const double ms =
          modelledMs(plan, shape, routings[i], options.parameters);
      text += fmt::format("{:>12.2f}", ms);
      row["modelled_ms"][nameOf(patterns[i])] = ms;
    }
    text += "\n";
    rows.push_back(row);
  };
  for (const AblationRow &row : ablationRows())
    addRow(row.name, row.plan, row.ms);
  addRow("ours", "fusco", std::nullopt);
  addRow("ours by rail", "fusco-rail", std::nullopt);
  if (options.json)
    writeAtomically(*options.json,
                    Json{{"modelled", true}, {"rows", rows}}.dump(2) + "\n");
  printToStdout(text);
}

static void modelAll(const Options &options) {
  const Shape shape = shapeOf(options, /*tokens=*/4096);
  const Routing routing =
      options.routing
          ? readRouting(shape, *options.routing, options.layer)
          : drawRouting(shape, options.pattern, options.skew, options.seed);
  Results results{options, shape, routing.description, {}};
  const size_t numPlans = size_t(
      std::count_if(allPlans().begin(), allPlans().end(),
                    [](const Plan &plan) { return !plan.isForAblation; }));
  Progress progress("modelling", numPlans, true);
  for (const Plan &plan : allPlans()) {
    if (plan.isForAblation)
      continue;
    results.plans.push_back(model(plan, shape, routing, options.parameters));
    progress.advance();
  }
  if (options.json)
    writeAtomically(*options.json, toJson(results));
  if (options.report)
    writeAtomically(*options.report, toSvg(results));
  printToStdout(toTable(results));
}

static int perform(int argc, char **argv) {
  std::optional<Options> options = parseOptions(argc, argv);
  if (!options)
    return 0;
  for (const auto &path : {options->json, options->report})
    if (path)
      requireWritable(*path);
  switch (options->task) {
  case Task::ListParameters:
    listParameters(*options);
    break;
  case Task::Validate:
    validate(*options);
    break;
  case Task::ValidateDeepEP:
    validateDeepEP(*options);
    break;
  case Task::Ablate:
    ablate(*options);
    break;
  case Task::Model:
    modelAll(*options);
    break;
  }
  return 0;
}

static int fail(const std::string &text, int code) {
  printToStderr("fusco-sim: error: " + text);
  return code;
}

int main(int argc, char **argv) {
  prepareProcess();
  try {
    return perform(argc, argv);
  } catch (const UsageError &error) {
    return fail(error.what(), 2);
  } catch (const std::exception &error) {
    return fail(error.what(), 1);
  }
}
