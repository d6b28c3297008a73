//===- Main.cpp - fusco-run -----------------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// fusco-run opens a library that fusco-compile made, runs it on ranks of this
/// machine, compares every bit with the reference interpreter and times it.
//
//===----------------------------------------------------------------------===//
#include "tools/common/Error.h"
#include "tools/common/Output.h"
#include "tools/run/GraphCheck.h"
#include "tools/run/ProcessBaseline.h"
#include "tools/run/Processes.h"
#include "tools/run/Report.h"
#include "tools/run/TimelineTable.h"
#include "tools/run/Trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <new>

using namespace fusco;
using namespace fusco::run;

namespace {

constexpr int64_t defaultTokens = 1024;

/// Tokens of each rank, as asked for and within the library's limits.
std::vector<int64_t> tokensOf(const Library &library, const Options &options) {
  const int numRanks = library.shape().numRanks();
  const int64_t maxTokens = library.info().maxTokens;
  if (options.ranks && *options.ranks != numRanks)
    throw Error(
        fmt::format("--ranks {}: library '{}' was compiled for {} ranks "
                    "({} nodes x {})",
                    *options.ranks, library.path(), numRanks,
                    library.shape().nodes, library.shape().ranksPerNode));
  std::vector<int64_t> tokens = options.tokensPerRank;
  if (tokens.empty())
    tokens.assign(size_t(numRanks),
                  options.tokens.value_or(std::min(maxTokens, defaultTokens)));
  if (tokens.size() != size_t(numRanks))
    throw Error(
        fmt::format("--tokens-per-rank has {} numbers, library '{}' has "
                    "{} ranks",
                    tokens.size(), library.path(), numRanks));
  for (int64_t count : tokens)
    if (count > maxTokens)
      throw Error(fmt::format("{} tokens on a rank are more than the {} that "
                              "library '{}' was compiled for (--max-tokens of "
                              "fusco-import)",
                              count, maxTokens, library.path()));
  return tokens;
}

Programs programsOf(const Library &library, const Options &options) {
  Programs programs = {{library.findShuffle()}, library.findBackward()};
  for (const std::string &name : options.baselines) {
    if (library.findProgram("dispatch." + name) < 0)
      throw Error(
          fmt::format("library '{}' carries no baseline '{}': it has no "
                      "program 'dispatch.{}'",
                      library.path(), name, name));
    programs.shuffles.push_back(library.findShuffle("." + name));
  }
  for (const std::string &name : options.processBaselines)
    requireSupports(name, library, options);
  if (options.timeline && library.info().numSpans == 0)
    throw Error(fmt::format("library '{}' has no timeline; compile it with "
                            "fusco-compile --timeline",
                            library.path()));
  return programs;
}

/// The first difference that was found; empty if none.
std::string mismatchOf(const Report &report) {
  for (const auto &result : {report.check, report.graph})
    if (result && !result->passed())
      return result->mismatch;
  return "";
}

/// What the plans of \p report's routing say.
const std::vector<fusco_plan_info> &plansOf(const Report &report) {
  if (report.bench)
    return report.bench->plans;
  return report.check ? report.check->plans : report.graph->plans;
}

/// That of \p report's last calls, if there is one.
const Timeline *timelineOf(const Report &report) {
  if (report.bench)
    return report.bench->timeline ? &*report.bench->timeline : nullptr;
  if (report.check)
    return report.check->timeline ? &*report.check->timeline : nullptr;
  return nullptr;
}

/// Checks layer after layer, up to the first that is wrong.
void checkLayers(Ranks &ranks, const Programs &programs,
                 const std::vector<int64_t> &tokens, Options options,
                 Report &report) {
  const int64_t numLayers = countLayers(*options.routing);
  for (int64_t layer = 0; layer != numLayers; ++layer) {
    options.layer = numLayers == 1 ? std::optional<int64_t>() : layer;
    const Routing routing = makeRouting(ranks.library.shape(), options, tokens);
    CheckResult result =
        check(ranks, programs, /*baselines=*/{}, routing, options);
    if (ranks.isLead() && result.passed())
      report.layers.push_back(
          sumTraffic(ranks.library, routing, result.plans).imbalance);
    if (!result.passed())
      result.mismatch = fmt::format("layer {}: {}", layer, result.mismatch);
    if (report.check)
      result.rows += report.check->rows;
    const bool hasPassed = result.passed();
    report.check = std::move(result);
    if (!hasPassed)
      return;
  }
}

/// What ranks that are processes put before their errors.
std::string errorPrefix;

/// The rank that a launcher has given this process, before it has joined the
/// others.
std::string prefixOfEnvironment() {
  for (const char *name : {"RANK", "PMIX_RANK", "SLURM_PROCID"})
    if (const char *rank = std::getenv(name))
      return fmt::format("rank {}: ", rank);
  return "";
}

/// The run itself, in each process that has ranks.
int runRanks(const Library &library, Options options) {
  if (options.launch == LaunchKind::Env)
    errorPrefix = prefixOfEnvironment();
  Ranks ranks(library, options);
  options.seed = ranks.agree(options.seed);
  std::vector<int64_t> tokens = tokensOf(library, options);
  Programs programs = programsOf(library, options);
  Routing routing = makeRouting(library.shape(), options, tokens);

  const ProcessBaselines baselines = startBaselines(library, routing, options);

  Report report = {library, options, routing, {}, {}, {}, {}, {}, {}};
  if (options.check && !options.allLayers)
    report.check = check(ranks, programs, baselines, routing, options);
  if (options.allLayers)
    checkLayers(ranks, programs, tokens, options, report);
  if (options.graph)
    report.graph =
        checkGraph(ranks, programs.shuffles.front(), routing, options);
  const std::string mismatch = mismatchOf(report);
  if (options.bench && mismatch.empty()) // wrong results have no times
    report.bench = bench(ranks, programs, baselines, routing, options);
  if (!ranks.isLead())
    return mismatch.empty() ? 0 : 1;
  if (library.isOnGpu())
    report.gpu = describeGpu();
  report.traffic = sumTraffic(library, routing, plansOf(report));

  if (options.json)
    writeAtomically(*options.json, toJson(report));
  const Timeline *timeline = timelineOf(report);
  if (timeline)
    writeAtomically(*options.timeline, toTrace(library, *timeline));
  printToStdout(toTable(report) +
                (timeline ? toTable(library, *timeline) : ""));
  if (!mismatch.empty())
    throw Error(fmt::format("check failed: {} (repeat with --seed {})",
                            mismatch, options.seed));
  return 0;
}

int runLibrary(int argc, char **argv) {
  std::optional<Options> options = parseOptions(argc, argv);
  if (!options)
    return 0;
  if (options->json)
    requireWritable(*options->json);
  if (options->timeline)
    requireWritable(*options->timeline);
  Library library(options->library);
  if (library.isOnGpu())
    allowConcurrentStreams();
  if (options->launch != LaunchKind::Processes)
    return runRanks(library, *options);
  // What all processes would refuse is refused once.
  const std::vector<int64_t> tokens = tokensOf(library, *options);
  programsOf(library, *options);
  makeRouting(library.shape(), *options, tokens);
  return launchProcesses(argc, argv, *options, library.shape().numRanks());
}

/// One line, whatever the text holds.
int fail(std::string text, int code) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.rfind(errorPrefix, 0) != 0)
    text = errorPrefix + text;
  printToStderr("fusco-run: error: " + text);
  return code;
}

} // namespace

int main(int argc, char **argv) {
  prepareProcess();
  try {
    return runLibrary(argc, argv);
  } catch (const UsageError &error) {
    return fail(error.what(), 2);
  } catch (const std::bad_alloc &) {
    return fail("not enough memory for this many tokens; lower --tokens", 1);
  } catch (const std::exception &error) {
    return fail(error.what(), 1);
  }
}
