//===- Bench.cpp - Times of a library's programs --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// All programs are steps of one list, which every rank walks through in each
/// iteration. Before a step the ranks meet; the step's time is from the first
/// start to the last end.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Bench.h"

#include "tools/run/Launch.h"
#include "tools/run/MemoryLimits.h"
#include "tools/run/Output.h"
#include "tools/run/RowContents.h"
#include "tools/run/Timing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace fusco::run {
namespace {

constexpr int numWarmups = 2;
constexpr double targetUs = 4e6; ///< of all iterations together
constexpr int64_t leastIterations = 11, mostIterations = 2000;

/// One thing to time: a program with the plan that it uses, or a pass over
/// memory.
struct Step {
  int program = -1;
  size_t plan = 0;
  MemoryPass pass = MemoryPass::Memcpy; ///< where there is no program
};

/// Dispatch and combine of each shuffle, then all passes over memory, then the
/// program "plan" if there is one.
std::vector<Step> stepsOf(const Library &library,
                          const std::vector<Shuffle> &shuffles) {
  std::vector<Step> steps;
  for (size_t i = 0; i != shuffles.size(); ++i) {
    steps.push_back({shuffles[i].dispatch, i});
    steps.push_back({shuffles[i].combine, i});
  }
  for (MemoryPass pass : allMemoryPasses)
    steps.push_back({-1, 0, pass});
  if (int plan = library.findProgram("plan"); plan >= 0)
    steps.push_back({plan, 0});
  return steps;
}

/// Fills all inputs of \p rank but y.
void fillInputs(Rank &rank, const RankRouting &routing, uint64_t seed,
                Tensors &tensors) {
  const reference::Shape &shape = rank.library.shape();
  Random random(seed, Purpose::Tokens, 0, uint32_t(rank.index));
  // Ordinary numbers: special ones may be slower to add.
  for (int64_t i = 0; i != routing.tokens * shape.hidden; ++i)
    reference::storeElement(
        shape.type, tensors.data("x"), i,
        reference::narrow(shape.type, float(random.fraction())));
  tensors.setIntegers("ids", routing.ids);
  if (shape.weighted)
    std::memcpy(tensors.data("weights"), routing.weights.data(),
                routing.weights.size() * sizeof(float));
}

/// Rows of each rank's expert-major tensor, pads counted.
std::vector<int64_t> expertRowsOf(const reference::Shape &shape,
                                  const Routing &routing) {
  std::vector<int64_t> count(size_t(shape.experts), 0);
  for (const RankRouting &rank : routing.ranks)
    for (int64_t id : rank.ids)
      if (id >= 0)
        ++count[size_t(id)];
  std::vector<int64_t> rows(routing.ranks.size(), 0);
  for (int64_t expert = 0; expert != shape.experts; ++expert)
    rows[size_t(shape.rankOfExpert(expert))] +=
        (count[size_t(expert)] + shape.alignRows - 1) / shape.alignRows *
        shape.alignRows;
  return rows;
}

int64_t iterationsFor(const std::vector<std::vector<Timing>> &warmups) {
  double us = 1; // never zero
  for (const std::vector<Timing> &step : warmups)
    us += step.back().us();
  return std::clamp(int64_t(targetUs / us), leastIterations, mostIterations);
}

} // namespace

BenchResult bench(const Library &library, const std::vector<Shuffle> &shuffles,
                  const Routing &routing, const Options &options) {
  const reference::Shape &shape = library.shape();
  const int numRanks = shape.numRanks();
  const std::vector<Step> steps = stepsOf(library, shuffles);
  const std::vector<int64_t> expertRows = expertRowsOf(shape, routing);

  BenchResult result;
  result.tokenBytes = routing.numTokens() * shape.bytesPerRow();
  result.assignmentBytes = routing.numAssignments() * shape.bytesPerRow();
  result.plans.resize(size_t(numRanks));
  // By step, by iteration. Rank 0 makes room while the others wait.
  std::vector<std::vector<Timing>> warmups(steps.size()), timings(steps.size());
  result.iterations = options.iterations.value_or(0);

  Progress progress(fmt::format("timing, seed {}", options.seed),
                    3); // make memory, warm up, measure
  MemoryLimits limits(numRanks, result.tokenBytes + result.assignmentBytes);
  progress.advance();

  launchRanks(library, options.timeoutMs, [&](Rank &rank) {
    const size_t index = size_t(rank.index);
    std::vector<Plan> plans;
    for (size_t i = 0; i != shuffles.size(); ++i)
      plans.emplace_back(rank);
    Tensors tensors(rank);
    for (const Step &step : steps)
      if (step.program >= 0)
        tensors.create(step.program, routing.ranks[index].tokens,
                       expertRows[index], expertRows[index]);
    fillInputs(rank, routing.ranks[index], options.seed, tensors);

    auto runSteps = [&](std::vector<std::vector<Timing>> &into,
                        int64_t iterations) {
      if (rank.index == 0)
        for (std::vector<Timing> &step : into)
          step.assign(size_t(iterations), Timing(numRanks));
      rank.meet();
      for (int64_t iteration = 0; iteration != iterations; ++iteration)
        for (size_t i = 0; i != steps.size(); ++i) {
          Timing &timing = into[i][size_t(iteration)];
          rank.meetAwake();
          timing.start(rank.index);
          if (steps[i].program >= 0)
            tensors.run(steps[i].program, plans[steps[i].plan]);
          else
            limits.run(steps[i].pass, rank.index);
          timing.stop(rank.index);
        }
      rank.meet();
    };

    runSteps(warmups, numWarmups);
    result.plans[index] = plans.front().info();
    std::memcpy(tensors.data("y"), tensors.data("rows"),
                size_t(tensors.numBytes("y")));
    if (rank.index == 0) {
      progress.advance();
      if (!options.iterations)
        result.iterations = iterationsFor(warmups);
    }
    rank.meet();
    runSteps(timings, result.iterations);
    if (rank.index == 0)
      progress.advance();
  });

  size_t next = 0;
  for (size_t i = 0; i != shuffles.size(); ++i, next += 2)
    result.shuffles.push_back(
        {medianUs(timings[next]), medianUs(timings[next + 1])});
  auto passGbps = [&](MemoryPass pass) {
    const size_t at = next + size_t(pass);
    return double(limits.bytesOf(pass)) / (medianUs(timings[at]) * 1e3);
  };
  result.copyGbps = std::max(passGbps(MemoryPass::Memcpy),
                             passGbps(MemoryPass::StreamingCopy));
  result.writeGbps = passGbps(MemoryPass::Write);
  result.readGbps = passGbps(MemoryPass::Read);
  next += std::size(allMemoryPasses);
  if (next != timings.size())
    result.planUs = medianUs(timings[next]);
  return result;
}

} // namespace fusco::run
