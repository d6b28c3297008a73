//===- Options.cpp - Command line of fusco-run ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The command line through Boost.Program_options, and what can be refused
/// without looking at the library.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Options.h"

#include "tools/common/CommandLine.h"
#include "tools/common/Error.h"
#include "tools/common/RowRange.h"

#include <boost/algorithm/string.hpp>
#include <boost/lexical_cast.hpp>
#include <boost/program_options.hpp>
#include <boost/range/algorithm/count.hpp>
#include <boost/range/algorithm_ext/erase.hpp>
#include <fmt/format.h>

#include <cmath>
#include <random>

namespace po = boost::program_options;

namespace fusco::run {
namespace {

std::vector<std::string> splitAtCommas(const std::string &text) {
  std::vector<std::string> parts;
  boost::split(parts, text, boost::is_any_of(","));
  return parts;
}

std::vector<int64_t> parseTokensPerRank(const std::string &text) {
  std::vector<int64_t> tokens;
  for (const std::string &part : splitAtCommas(text)) {
    int64_t value = -1;
    if (!boost::conversion::try_lexical_convert(part, value) || value < 0)
      throw UsageError(fmt::format(
          "--tokens-per-rank expects numbers >= 0 separated by commas, one per "
          "rank, got '{}'",
          text));
    tokens.push_back(value);
  }
  return tokens;
}

LaunchKind parseLaunch(const std::string &name) {
  if (name == "threads")
    return LaunchKind::Threads;
  if (name == "processes")
    return LaunchKind::Processes;
  if (name == "env")
    return LaunchKind::Env;
  throw UsageError(fmt::format(
      "--launch expects threads, processes or env, got '{}'", name));
}

/// Checks \p given against how the ranks run; the default if it is empty.
std::string parseTransport(const std::string &given, LaunchKind launch) {
  const bool isLocal = launch == LaunchKind::Threads;
  const std::string name = !given.empty() ? given : isLocal ? "local" : "ipc";
  if (isLocal && name != "local")
    throw UsageError(fmt::format("--transport '{}' joins processes: give "
                                 "--launch processes or --launch env",
                                 name));
  if (!isLocal && name != "ipc" && name != "ucx" && name != "nccl")
    throw UsageError(fmt::format("--transport expects ipc, ucx or nccl for "
                                 "ranks that are processes, got '{}'",
                                 name));
  return name;
}

int64_t parseLayer(const std::string &text) {
  int64_t layer = 0;
  if (!boost::conversion::try_lexical_convert(text, layer))
    throw UsageError(
        fmt::format("--layer expects a number or all, got '{}'", text));
  return layer;
}

Synthetic parseSynthetic(const std::string &name) {
  if (name == "skewed")
    return Synthetic::Skewed;
  if (name == "one-expert")
    return Synthetic::OneExpert;
  if (name == "one-node")
    return Synthetic::OneNode;
  if (name == "empty")
    return Synthetic::Empty;
  throw UsageError(fmt::format("--synthetic expects skewed, one-expert, "
                               "one-node or empty, got '{}'",
                               name));
}

void requireWithin(const char *flag, int64_t value, int64_t least,
                   int64_t most) {
  if (value < least || value > most)
    throw UsageError(fmt::format("{} must be in [{}, {}], got {}", flag, least,
                                 most, value));
}

uint64_t freshSeed() {
  // Short enough to be typed, long enough not to repeat by chance.
  return std::random_device()() & 0xFFFFFFFFu;
}

/// What Boost stores that Options holds in another form.
struct RawOptions {
  std::string library, routing, weights, synthetic, launch, transport,
      tokensPerRank, baselines, json, timeline, rows, layer;
  int64_t ranks, tokens, iterations, graph;
  std::string seed;
};

po::options_description describe(Options &options, RawOptions &raw) {
  po::options_description described("options");
  auto add = described.add_options();
  add("routing", po::value(&raw.routing)->value_name("IDS.npy"),
      "expert ids, [rows, topk] or [layers, rows, topk], any integer dtype, -1 "
      "= not routed; token i of rank r is row (r * tokens + i) mod rows. "
      "Without it, load-calibrated routing is drawn, see --synthetic");
  add("weights", po::value(&raw.weights)->value_name("W.npy"),
      "router weights of the same shape, f16, f32 or f64 (default: random)");
  add("placement",
      po::value(&options.placements)->value_name("TABLE.npy")->composing(),
      "which expert each physical one is, [physical experts] or [layers, "
      "physical experts], for a library whose experts a table places; given "
      "several times, steps take the tables in turn (default: all experts in "
      "order, then the first ones again)");
  add("layer", po::value(&raw.layer)->value_name("L"),
      "layer of a three-dimensional file, from 0 (default 0); all: check each "
      "of them in turn");
  add("rows", po::value(&raw.rows)->value_name("BEGIN:END"),
      "rows of the files to take, in place of all");
  add("ranks", po::value(&raw.ranks)->value_name("N"),
      "number of ranks; must be the library's");
  add("tokens", po::value(&raw.tokens)->value_name("T"),
      "tokens of each rank (default: the library's maximum, 1024 at most)");
  add("tokens-per-rank", po::value(&raw.tokensPerRank)->value_name("A,B,..."),
      "tokens rank by rank, in place of --tokens");
  add("synthetic",
      po::value(&raw.synthetic)->value_name("KIND")->default_value("skewed"),
      "routing in place of --routing: skewed; one-expert: all tokens to expert "
      "0; one-node: all tokens to the experts of node 0, evenly; empty: no "
      "token to any expert");
  add("skew", po::value(&options.skew)->value_name("S"),
      "--synthetic skewed: load of the hottest expert over the mean (default "
      "3.5)");
  add("seed", po::value(&raw.seed)->value_name("N"),
      "repeats the run that printed this seed (default: a fresh one)");
  add("launch",
      po::value(&raw.launch)->value_name("HOW")->default_value("threads"),
      "how the ranks run: threads; processes, started on this machine; env: "
      "this process is one of them, started by torchrun, mpirun or srun");
  add("transport", po::value(&raw.transport)->value_name("NAME"),
      "how the ranks reach each other: local for threads; for processes ipc "
      "(one machine, the default), ucx (nodes of the model reach each other "
      "through UCX) or nccl (GPUs, by memory that NCCL maps)");
  add("timeout-ms", po::value(&options.timeoutMs)->value_name("MS"),
      "longest wait for a peer (default 30000)");
  add("check", po::bool_switch(&options.check),
      "compare every bit with the reference interpreter (the default if "
      "neither --bench nor --graph is given)");
  add("bench", po::bool_switch(&options.bench),
      "time dispatch, combine and a plain copy");
  add("iterations", po::value(&raw.iterations)->value_name("N"),
      "timed runs of --bench (default: as many as take 2.5 s)");
  add("graph", po::value(&raw.graph)->value_name("N"),
      "libraries for GPUs: capture dispatch and combine in a CUDA Graph and "
      "replay it N times with other contents, compared like --check");
  add("baseline", po::value(&raw.baselines)->value_name("NAME,..."),
      "check this alternative too, and time it with --bench: unfused, the "
      "library's program without fusion; mpi, what a framework does: permute, "
      "MPI_Alltoallv, permute, on as many processes (for CPUs, needs Open "
      "MPI); torch, the same in compiled PyTorch, on the library's device "
      "(FUSCO_PYTHON names the interpreter); nccl, that as a process with a "
      "GPU of its own for each rank, which send and receive by NCCL");
  add("json", po::value(&raw.json)->value_name("OUT.json"),
      "write the results to this file");
  add("timeline", po::value(&raw.timeline)->value_name("OUT.json"),
      "libraries of fusco-compile --timeline: write what each rank did when, "
      "in the last calls of --bench or --check, for ui.perfetto.dev or "
      "chrome://tracing");
  add("timeline-calls",
      po::value(&options.timelineCalls)->value_name("N")->default_value(3),
      "calls of each program in the timeline");
  return described;
}

Options convert(const po::variables_map &given, Options options,
                const RawOptions &raw) {
  options.library = raw.library;
  if (given.count("routing"))
    options.routing = raw.routing;
  options.allLayers = raw.layer == "all";
  if (given.count("layer") && !options.allLayers)
    options.layer = parseLayer(raw.layer);
  if (given.count("rows"))
    options.rows = parseRowRange(raw.rows);
  if (given.count("weights"))
    options.weights = raw.weights;
  options.synthetic = parseSynthetic(raw.synthetic);
  options.launch = parseLaunch(raw.launch);
  options.transport = parseTransport(raw.transport, options.launch);
  if (given.count("json"))
    options.json = raw.json;
  if (given.count("ranks"))
    options.ranks = raw.ranks;
  if (given.count("timeline"))
    options.timeline = raw.timeline;
  if (given.count("tokens"))
    options.tokens = raw.tokens;
  if (given.count("iterations"))
    options.iterations = raw.iterations;
  if (given.count("graph"))
    options.graph = raw.graph;
  if (given.count("tokens-per-rank"))
    options.tokensPerRank = parseTokensPerRank(raw.tokensPerRank);
  if (given.count("baseline")) {
    options.baselines = splitAtCommas(raw.baselines);
    for (const char *name : {"mpi", "torch", "nccl"})
      if (boost::count(options.baselines, name) != 0) {
        options.processBaselines.push_back(name);
        boost::remove_erase(options.baselines, name);
      }
  }
  options.seed = freshSeed();
  // Not through Boost: it would take -1 for the largest uint64_t.
  if (given.count("seed") &&
      (!boost::all(raw.seed, boost::is_digit()) ||
       !boost::conversion::try_lexical_convert(raw.seed, options.seed)))
    throw UsageError(fmt::format(
        "--seed expects a number in [0, 2^64), got '{}'", raw.seed));
  return options;
}

void refuseWhatMakesNoSense(const po::variables_map &given,
                            const Options &options, const RawOptions &raw) {
  for (const std::string &name : options.baselines)
    if (name != "unfused")
      throw UsageError(fmt::format(
          "--baseline expects unfused, mpi, torch or nccl, got '{}'", name));
  if (options.layer && *options.layer < 0)
    throw UsageError(
        fmt::format("--layer counts from 0, got {}", *options.layer));
  if (options.tokens && *options.tokens < 0)
    throw UsageError(
        fmt::format("--tokens must be at least 0, got {}", *options.tokens));
  if (options.iterations)
    requireWithin("--iterations", *options.iterations, 1, 1000000);
  if (options.graph)
    requireWithin("--graph", *options.graph, 1, 1000000);
  requireWithin("--timeout-ms", options.timeoutMs, 1, 86400000);
  if (!(options.skew >= 1) || !std::isfinite(options.skew))
    throw UsageError(
        fmt::format("--skew must be at least 1, got {}", options.skew));
  if (options.tokens && !options.tokensPerRank.empty())
    throw UsageError("--tokens and --tokens-per-rank exclude each other");
  if (options.routing && !given["synthetic"].defaulted())
    throw UsageError("--synthetic and --routing exclude each other");
  if (options.synthetic != Synthetic::Skewed && given.count("skew"))
    throw UsageError("--skew shapes --synthetic skewed and nothing else");
  if (options.routing && given.count("skew"))
    throw UsageError("--skew shapes synthetic routing and has no meaning with "
                     "--routing");
  if (!options.routing && options.weights)
    throw UsageError("--weights needs the --routing that it belongs to");
  if (options.allLayers && (options.bench || options.graph))
    throw UsageError("--layer all is for --check; give one layer to --bench "
                     "and --graph");
  if (!options.routing && (options.layer || options.allLayers))
    throw UsageError("--layer chooses from a file: give --routing");
  if (!options.routing && options.rows)
    throw UsageError("--rows chooses from a file: give --routing");
  requireWithin("--timeline-calls", options.timelineCalls, 1, 1000);
  if (!options.timeline && !given["timeline-calls"].defaulted())
    throw UsageError("--timeline-calls counts what is in a timeline: give "
                     "--timeline");
  if (options.timeline && options.graph && !options.bench && !options.check)
    throw UsageError("--timeline is of --check or --bench: give one of them "
                     "with --graph");
  if (!options.bench && options.iterations)
    throw UsageError("--iterations counts timed runs: give --bench");
}

} // namespace

std::optional<Options> parseOptions(int argc, char **argv) {
  Options options;
  RawOptions raw;
  po::options_description flags = describe(options, raw);
  const std::optional<po::variables_map> parsed = parseCommandLine(
      argc, argv,
      {"fusco-run",
       "usage: fusco-run LIB.so [options]\n\n"
       "Runs a library made by fusco-compile on ranks of this machine, "
       "checks it bit for\nbit, times it. Exit code 0 only if every "
       "requested check passed.\n\n",
       flags, "library", raw.library});
  if (!parsed)
    return std::nullopt;
  const po::variables_map &given = *parsed;
  if (!given.count("library"))
    throw UsageError(
        "expected the library to run: fusco-run LIB.so [options]; see "
        "fusco-run --help");
  options = convert(given, options, raw);
  refuseWhatMakesNoSense(given, options, raw);
  if (!options.check && !options.bench && !options.graph)
    options.check = true;
  // A ratio to something that computes something else would mean nothing.
  if (!options.baselines.empty() || !options.processBaselines.empty())
    options.check = true;
  return options;
}

} // namespace fusco::run
