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
#include "tools/run/Error.h"
#include "tools/run/Output.h"
#include "tools/run/Report.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

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
  return programs;
}

int run(int argc, char **argv) {
  std::optional<Options> options = parseOptions(argc, argv);
  if (!options)
    return 0;
  if (options->json)
    requireWritable(*options->json);
  Library library(options->library);
  std::vector<int64_t> tokens = tokensOf(library, *options);
  Programs programs = programsOf(library, *options);
  Routing routing = makeRouting(library.shape(), *options, tokens);

  Report report = {library, *options, routing, {}, {}, {}};
  if (options->check)
    report.check = check(library, programs, routing, *options);
  bool passed = !report.check || report.check->passed();
  if (options->bench && passed) // times of wrong results mean nothing
    report.bench = bench(library, programs, routing, *options);
  report.traffic =
      sumTraffic(library, routing,
                 report.bench ? report.bench->plans : report.check->plans);

  if (options->json)
    writeAtomically(*options->json, toJson(report));
  printToStdout(toTable(report));
  if (!passed)
    throw Error(fmt::format("check failed: {} (repeat with --seed {})",
                            report.check->mismatch, options->seed));
  return 0;
}

/// One line, whatever the text holds.
int fail(std::string text, int code) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  printToStderr("fusco-run: error: " + text);
  return code;
}

} // namespace

int main(int argc, char **argv) {
  prepareProcess();
  try {
    return run(argc, argv);
  } catch (const UsageError &error) {
    return fail(error.what(), 2);
  } catch (const std::bad_alloc &) {
    return fail("not enough memory for this many tokens; lower --tokens", 1);
  } catch (const std::exception &error) {
    return fail(error.what(), 1);
  }
}
