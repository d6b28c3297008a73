//===- Report.cpp - Results of a run, for people and programs -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Derived numbers and their formatting.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Report.h"

#include <boost/algorithm/string/trim.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <thread>

namespace fusco::run {
namespace {

using Json = nlohmann::ordered_json;

std::string cpuModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0)
      return boost::trim_copy(line.substr(line.find(':') + 1));
  return "unknown";
}

double gbps(int64_t bytes, double us) { return double(bytes) / (us * 1e3); }

/// What the library's own shuffle is compared with.
struct Baseline {
  std::string name;
  const BenchResult::Directions &times;
};

std::vector<Baseline> baselinesOf(const Report &report) {
  const BenchResult &bench = *report.bench;
  std::vector<Baseline> baselines;
  for (size_t i = 0; i != report.options.baselines.size(); ++i)
    baselines.push_back({report.options.baselines[i], bench.shuffles[1 + i]});
  for (size_t i = 0; i != report.options.processBaselines.size(); ++i)
    baselines.push_back(
        {report.options.processBaselines[i], bench.processBaselines[i]});
  return baselines;
}

/// Baseline time over our time, both directions together.
double ratioOf(const BenchResult &bench, const Baseline &baseline) {
  const BenchResult::Directions &own = bench.shuffles.front();
  const BenchResult::Directions &other = baseline.times;
  return (other.dispatch.us.median + other.combine.us.median) /
         (own.dispatch.us.median + own.combine.us.median);
}

/// How many rows would be sent without deduplication for each that is.
double dedup(int64_t assignments, int64_t rows) {
  return rows ? double(assignments) / double(rows) : 1.0;
}

double fractionOfLimit(const BenchResult &bench, const Direction &direction) {
  return gbps(direction.bytes(), direction.us.median) / bench.copyGbps;
}

/// The same with what neither reading nor writing alone can beat: a shuffle
/// mostly reads or mostly writes, where a copy does both. Nothing where these
/// were not measured.
std::optional<double> fractionOfBound(const BenchResult &bench,
                                      const Direction &direction) {
  if (!bench.readGbps || !bench.writeGbps)
    return std::nullopt;
  double boundUs =
      std::max({double(direction.bytes()) / bench.copyGbps,
                double(direction.bytesRead) / *bench.readGbps,
                double(direction.bytesWritten) / *bench.writeGbps}) /
      1e3;
  return boundUs / direction.us.median;
}

Json spreadJson(const Direction &direction) {
  return Json::array({direction.us.first, direction.us.third});
}

Json directionJson(const BenchResult &bench, const Direction &direction) {
  const double us = direction.us.median;
  Json json = {{"median_us", us},
               {"bytes", direction.bytes()},
               {"gbps", gbps(direction.bytes(), us)},
               {"fraction_of_limit", fractionOfLimit(bench, direction)}};
  if (auto fraction = fractionOfBound(bench, direction))
    json["fraction_of_bound"] = *fraction;
  json["quartiles_us"] = spreadJson(direction);
  if (bench.launches)
    json["launches"] = *bench.launches;
  return json;
}

Json shapeJson(const Report &report) {
  const reference::Shape &shape = report.library.shape();
  Json tokens = Json::array();
  for (const RankRouting &rank : report.routing.ranks)
    tokens.push_back(rank.tokens);
  return {{"nodes", shape.nodes},
          {"ranks_per_node", shape.ranksPerNode},
          {"experts", shape.experts},
          {"topk", shape.topk},
          {"hidden", shape.hidden},
          {"align", shape.alignRows},
          {"dtype", nameOf(shape.rowType)},
          {"token_dtype", nameOf(shape.tokenType)},
          {"output_dtype", nameOf(shape.outputType)},
          {"result_dtype", nameOf(shape.combinedType())},
          {"partials_dtype", nameOf(shape.partialType)},
          {"weighted", shape.weighted},
          {"max_tokens", report.library.info().maxTokens},
          {"tokens_per_rank", tokens}};
}

Json imbalanceJson(const Imbalance &imbalance) {
  const Imbalance::Forwarders &chosen = imbalance.forwarders;
  const Imbalance::Forwarders &rail = imbalance.rail;
  return {{"rank_rows", imbalance.rankRows},
          {"node_rows", imbalance.nodeRows},
          {"forwarder_tx", chosen.tx},
          {"forwarder_rx", chosen.rx},
          {"rail", {{"forwarder_tx", rail.tx}, {"forwarder_rx", rail.rx}}}};
}

/// The mean of `field` over the layers, and the largest.
std::pair<double, double> overLayers(const std::vector<Imbalance> &layers,
                                     double Imbalance::*field) {
  double sum = 0, worst = 0;
  for (const Imbalance &layer : layers) {
    sum += layer.*field;
    worst = std::max(worst, layer.*field);
  }
  return {sum / double(layers.size()), worst};
}

void addLayers(Json &json, const std::vector<Imbalance> &layers) {
  for (const Imbalance &layer : layers)
    json["layers"].push_back(imbalanceJson(layer));
  for (auto [name, field] : {std::pair("rank_rows", &Imbalance::rankRows),
                             std::pair("node_rows", &Imbalance::nodeRows)}) {
    const auto [mean, worst] = overLayers(layers, field);
    json["over_layers"][name] = {{"mean", mean}, {"worst", worst}};
  }
}

void addBench(Json &json, const Report &report) {
  const BenchResult &bench = *report.bench;
  const BenchResult::Directions &own = bench.shuffles.front();
  json["dispatch"] = directionJson(bench, own.dispatch);
  json["combine"] = directionJson(bench, own.combine);
  if (bench.backward) {
    json["dispatch_backward"] = directionJson(bench, bench.backward->dispatch);
    json["combine_backward"] = directionJson(bench, bench.backward->combine);
  }
  json["limit"] = {{"copy_gbps", bench.copyGbps}};
  if (bench.writeGbps)
    json["limit"]["write_gbps"] = *bench.writeGbps;
  if (bench.readGbps)
    json["limit"]["read_gbps"] = *bench.readGbps;
  if (bench.twoBarriersUs)
    json["limit"]["two_barriers_us"] = *bench.twoBarriersUs;
  json["iterations"] = bench.iterations;
  for (const Baseline &baseline : baselinesOf(report)) {
    json["baseline"][baseline.name] = {
        {"dispatch_us", baseline.times.dispatch.us.median},
        {"combine_us", baseline.times.combine.us.median},
        {"dispatch_quartiles_us", spreadJson(baseline.times.dispatch)},
        {"combine_quartiles_us", spreadJson(baseline.times.combine)}};
    json["ratio"][baseline.name] = ratioOf(bench, baseline);
  }
}

std::string megabytes(int64_t bytes) {
  return fmt::format("{:.2f} MB", double(bytes) * 1e-6);
}

std::string tokensText(const Routing &routing) {
  std::string text;
  bool isEqual = true;
  for (const RankRouting &rank : routing.ranks) {
    text += fmt::format("{}{}", text.empty() ? "" : ",", rank.tokens);
    isEqual &= rank.tokens == routing.ranks.front().tokens;
  }
  return isEqual ? std::to_string(routing.ranks.front().tokens) : text;
}

std::string typesText(const reference::Shape &shape) {
  const std::string token = nameOf(shape.tokenType);
  const std::string row = nameOf(shape.rowType);
  const std::string output = nameOf(shape.outputType);
  const std::string result = nameOf(shape.combinedType());
  std::string text = token;
  if (token != row || token != output)
    text += fmt::format(" (rows {}, outputs {})", row, output);
  if (token != result)
    text += fmt::format(" to {}", result);
  if (shape.partialType != reference::ElementType::F32)
    text += fmt::format(", partial sums {}", nameOf(shape.partialType));
  return text;
}

std::string row(const std::string &name, const std::string &text) {
  return fmt::format("{:<10} {}\n", name, text);
}

std::string imbalanceText(const reference::Shape &shape,
                          const Imbalance &imbalance) {
  std::string text =
      fmt::format("hottest rank {:.2f} x mean", imbalance.rankRows);
  if (shape.nodes == 1)
    return text;
  const Imbalance::Forwarders &chosen = imbalance.forwarders;
  const Imbalance::Forwarders &rail = imbalance.rail;
  return text + fmt::format(", hottest node {:.2f}; busiest forwarder of a "
                            "node sends {:.3f}, takes {:.3f} x its mean (rail: "
                            "{:.3f}, {:.3f})",
                            imbalance.nodeRows, chosen.tx, chosen.rx, rail.tx,
                            rail.rx);
}

std::string benchTable(const Report &report) {
  const BenchResult &bench = *report.bench;
  std::string text =
      fmt::format("\n{:<20} {:>12} {:>12} {:>9} {:>11} {:>11}\n", "",
                  "median us", "MB", "GB/s", "of limit", "of bound");
  auto direction = [&](const std::string &name, const Direction &direction) {
    auto fraction = fractionOfBound(bench, direction);
    text +=
        fmt::format("{:<20} {:>12.1f} {:>12.2f} {:>9.2f} {:>10.1f}% {:>11}\n",
                    name, direction.us.median, double(direction.bytes()) * 1e-6,
                    gbps(direction.bytes(), direction.us.median),
                    100 * fractionOfLimit(bench, direction),
                    fraction ? fmt::format("{:.1f}%", 100 * *fraction) : "-");
  };
  direction("dispatch", bench.shuffles.front().dispatch);
  direction("combine", bench.shuffles.front().combine);
  if (bench.backward) {
    direction("dispatch_backward", bench.backward->dispatch);
    direction("combine_backward", bench.backward->combine);
  }
  if (bench.planUs)
    text += fmt::format("{:<20} {:>12.1f}\n", "plan alone", *bench.planUs);
  for (const Baseline &baseline : baselinesOf(report)) {
    direction("dispatch." + baseline.name, baseline.times.dispatch);
    direction("combine." + baseline.name, baseline.times.combine);
  }
  auto limit = [&](const std::string &name, double gbps) {
    text += fmt::format("{:<20} {:>12} {:>12} {:>9.2f}\n", name, "", "", gbps);
  };
  limit("copy limit", bench.copyGbps);
  if (bench.writeGbps)
    limit("write alone", *bench.writeGbps);
  if (bench.readGbps)
    limit("read alone", *bench.readGbps);
  if (bench.twoBarriersUs)
    text +=
        fmt::format("{:<20} {:>12.1f}\n", "two barriers", *bench.twoBarriersUs);
  for (const Baseline &baseline : baselinesOf(report))
    text += fmt::format("{:<20} {:>11.2f}x\n", "ratio to " + baseline.name,
                        ratioOf(bench, baseline));
  text += fmt::format("({} iterations, slowest rank, planning included)\n",
                      bench.iterations);
  return text;
}

} // namespace

std::string toJson(const Report &report) {
  const Traffic &traffic = report.traffic;
  Json json;
  json["model"] = report.library.info().model;
  json["target"] = report.library.info().target;
  json["shape"] = shapeJson(report);
  json["routing"] = report.routing.description;
  json["routing_crc32"] = fmt::format("{:08x}", report.routing.crc32);
  json["seed"] = report.options.seed;
  json["machine"] = {{"cpu", cpuModel()},
                     {"cores", std::thread::hardware_concurrency()},
                     {"threads", report.library.shape().numRanks()}};
  if (report.gpu) {
    json["device"] = report.gpu->name;
    json["driver_version"] = report.gpu->driver;
  }
  if (report.check)
    json["check"] = {{"passed", report.check->passed()},
                     {"bit_exact", report.check->passed()},
                     {"rows", report.check->rows},
                     {"backward", report.check->hasBackward}};
  if (report.check && !report.check->passed())
    json["check"]["mismatch"] = report.check->mismatch;
  if (report.graph)
    json["graph"] = {{"passed", report.graph->passed()},
                     {"replays", *report.options.graph},
                     {"rows", report.graph->rows}};
  if (report.bench)
    addBench(json, report);
  json["plan"] = {
      {"bytes_scale_out", traffic.bytesScaleOut},
      {"bytes_scale_up", traffic.bytesScaleUp},
      {"rows_unique_node", traffic.rowsUniqueNode},
      {"rows_unique_rank", traffic.rowsUniqueRank},
      {"assignments_dropped", traffic.assignmentsDropped},
      {"imbalance", imbalanceJson(traffic.imbalance)},
      {"dedup_node", dedup(traffic.assignmentsOffNode, traffic.rowsUniqueNode)},
      {"dedup_rank", dedup(traffic.assignments, traffic.rowsUniqueRank)}};
  if (!report.layers.empty())
    addLayers(json["plan"]["imbalance"], report.layers);
  if (report.bench && report.bench->planUs)
    json["plan"]["median_us"] = *report.bench->planUs;
  // A model's name may hold any bytes.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string toTable(const Report &report) {
  const reference::Shape &shape = report.library.shape();
  const Traffic &traffic = report.traffic;
  std::string text;
  text += row("model",
              fmt::format("{}: {} experts, top-{}, hidden {} {}, align {}; {} "
                          "nodes x {} ranks on {}",
                          report.library.info().model, shape.experts,
                          shape.topk, shape.hidden, typesText(shape),
                          shape.alignRows, shape.nodes, shape.ranksPerNode,
                          report.library.info().target));
  text += row("routing",
              fmt::format("{}; {} tokens per rank", report.routing.description,
                          tokensText(report.routing)));
  if (report.gpu)
    text += row("device", fmt::format("{}, driver for CUDA {}",
                                      report.gpu->name, report.gpu->driver));
  text += row("seed", std::to_string(report.options.seed));
  text += row("links", fmt::format("scale-out {}, scale-up {}",
                                   megabytes(traffic.bytesScaleOut),
                                   megabytes(traffic.bytesScaleUp)));
  text +=
      row("dedup",
          fmt::format(
              "{} rows to other nodes for {} assignments ({:.2f}x), {} rows to "
              "ranks for {} ({:.2f}x)",
              traffic.rowsUniqueNode, traffic.assignmentsOffNode,
              dedup(traffic.assignmentsOffNode, traffic.rowsUniqueNode),
              traffic.rowsUniqueRank, traffic.assignments,
              dedup(traffic.assignments, traffic.rowsUniqueRank)));
  if (shape.dropsOverflow)
    text += row("dropped",
                fmt::format("{} of {} assignments", traffic.assignmentsDropped,
                            traffic.assignments + traffic.assignmentsDropped));
  text += row("imbalance", imbalanceText(shape, traffic.imbalance));
  if (!report.layers.empty()) {
    const auto [mean, worst] = overLayers(report.layers, &Imbalance::rankRows);
    text += row("layers", fmt::format("{}, hottest rank {:.3f} x mean, {:.3f} "
                                      "at worst",
                                      report.layers.size(), mean, worst));
  }
  if (report.check)
    text += row("check", report.check->passed()
                             ? fmt::format("passed, {} rows bit for bit in {} "
                                           "rounds{}",
                                           report.check->rows, numCheckRounds,
                                           report.check->hasBackward
                                               ? ", forward and backward"
                                               : "")
                             : "FAILED");
  if (report.graph)
    text += row("graph",
                report.graph->passed()
                    ? fmt::format("passed, {} rows bit for bit in {} "
                                  "replays",
                                  report.graph->rows, *report.options.graph)
                    : "FAILED");
  if (report.bench)
    text += benchTable(report);
  return text;
}

} // namespace fusco::run
