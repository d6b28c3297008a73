//===- Bench.cpp - Times of a library's programs --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// All programs are steps of one list, which every rank walks through in each
/// iteration. Before a step the ranks meet; the step's time is from the first
/// start to the last end, on a GPU by its own events.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Bench.h"

#include "tools/common/Error.h"
#include "tools/common/Output.h"
#include "tools/run/GpuClock.h"
#include "tools/run/Launch.h"
#include "tools/run/MemoryLimits.h"
#include "tools/run/Random.h"
#include "tools/run/RowContents.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace fusco::run {
namespace {

constexpr int numWarmups = 2;
constexpr double targetUs = 4e6; ///< of all iterations together
constexpr int64_t leastIterations = 11, mostIterations = 2000;

/// One thing to time: a program with the plan that it uses, half of a baseline
/// in other processes, or a pass over memory.
struct Step {
  int program = -1;
  size_t plan = 0;
  std::function<Span(Rank &)> baseline; ///< where there is no program
  MemoryPass pass = MemoryPass::Memcpy; ///< where there is neither
  bool isBarriers = false;              ///< two barriers instead

  /// A pass takes long beside small shuffles, and what is in caches with it.
  bool isPass() const { return program < 0 && !baseline && !isBarriers; }
};

/// The passes over memory that are timed.
std::vector<MemoryPass> passesOf(const Library &library) {
  if (library.isOnGpu())
    return {MemoryPass::Memcpy};
  return {std::begin(allMemoryPasses), std::end(allMemoryPasses)};
}

/// Dispatch and combine of each shuffle, then of the backward and of baselines
/// in other processes if there are any, on a CPU two barriers, then all passes
/// over memory, then the program "plan" if there is one.
std::vector<Step> stepsOf(const Library &library, const Programs &programs,
                          const ProcessBaselines &baselines) {
  std::vector<Step> steps;
  for (size_t i = 0; i != programs.shuffles.size(); ++i) {
    steps.push_back({programs.shuffles[i].dispatch, i});
    steps.push_back({programs.shuffles[i].combine, i});
  }
  if (programs.backward) {
    steps.push_back({programs.backward->dispatch, 0});
    steps.push_back({programs.backward->combine, 0});
  }
  for (const auto &baseline : baselines) {
    steps.push_back({-1, 0, [&baseline = *baseline](Rank &rank) {
                       return baseline.dispatch(rank);
                     }});
    steps.push_back({-1, 0, [&baseline = *baseline](Rank &rank) {
                       return baseline.combine(rank);
                     }});
  }
  if (!library.isOnGpu())
    steps.push_back({-1, 0, nullptr, MemoryPass::Memcpy, true});
  for (MemoryPass pass : passesOf(library))
    steps.push_back({-1, 0, nullptr, pass});
  if (int plan = library.findProgram("plan"); plan >= 0)
    steps.push_back({plan, 0});
  return steps;
}

/// Dispatch reads tokens and writes rows, combine reads outputs and writes
/// tokens.
BenchResult::Directions forwardBytes(const reference::Shape &shape,
                                     const Routing &routing) {
  const int64_t tokens = routing.numTokens();
  int64_t assignments = countAssignments(shape, routing);
  if (shape.isRankMajor) {
    const std::vector<int64_t> rows = expertRowsOf(shape, routing);
    assignments = std::accumulate(rows.begin(), rows.end(), int64_t(0));
  }
  const int64_t tokenBytes =
      tokens * (shape.isInputQuantized ? shape.bytesPerDispatchedRow()
                                       : shape.bytesPerRow(shape.tokenType));
  const int64_t addedBytes = tokens * shape.bytesPerRow(shape.addedType());
  const int64_t resultBytes = tokens * shape.bytesPerRow(shape.combinedType());
  return {{tokenBytes, assignments * shape.bytesPerDispatchedRow()},
          {assignments * shape.bytesPerOutputRow() +
               (shape.hasResidual ? addedBytes : 0),
           resultBytes}};
}

/// The same the other way; the gradient of the weights needs the outputs too.
BenchResult::Directions backwardBytes(const reference::Shape &shape,
                                      const Routing &routing) {
  const auto [dispatch, combine] = forwardBytes(shape, routing);
  const int64_t assignments = countAssignments(shape, routing);
  const int64_t outputBytes = assignments * shape.bytesPerRow(shape.outputType);
  // The gradient of rows has no scales.
  const int64_t rowBytes =
      assignments * shape.bytesPerRow(shape.rowGradientType());
  return {
      {rowBytes, dispatch.bytesRead},
      {combine.bytesWritten + (shape.weighted ? outputBytes : 0), outputBytes}};
}

/// Fills all inputs of \p rank but y.
void fillInputs(Rank &rank, const RankRouting &routing,
                const std::vector<int64_t> &placement, uint64_t seed,
                Tensors &tensors) {
  const reference::Shape &shape = rank.library.shape();
  auto fillRows = [&](const char *name, reference::ElementType type,
                      Purpose purpose) {
    if (!tensors.has(name))
      return;
    Random random(seed, purpose, 0, uint32_t(rank.index));
    const int64_t elements = tensors[name].shape[0] * shape.hidden;
    // Ordinary numbers: special ones may be slower to add.
    for (int64_t i = 0; i != elements; ++i)
      reference::storeElement(
          type, tensors.data(name), i,
          reference::narrow(type, float(random.fraction())));
  };
  fillRows("x", shape.tokenType, Purpose::Tokens);
  if (shape.isInputQuantized) {
    Random random(seed, Purpose::TokenScales, 0, uint32_t(rank.index));
    fillScales(*shape.quantization, random, tensors.data(tokenScales),
               tensors[tokenScales].shape[0], shape.hidden);
  }
  fillRows("bias", shape.addedType(), Purpose::Biases);
  fillRows("residual", shape.addedType(), Purpose::Residuals);
  fillRows("dout", shape.combinedType(), Purpose::TokenGradients);
  fillRows("drows", shape.rowGradientType(), Purpose::RowGradients);
  tensors.setIntegers("ids", routing.ids);
  if (!routing.weights.empty())
    tensors.setFloats("weights", routing.weights);
  if (shape.hasTable)
    tensors.setIntegers("placement", placement);
}

void uploadAll(const std::vector<Step> &steps, const Tensors &tensors) {
  for (const Step &step : steps)
    if (step.program >= 0)
      tensors.upload(step.program);
}

/// The identity from rows to y, with a cast where their types differ.
void runExperts(const reference::Shape &shape, Tensors &tensors) {
  const int64_t elements =
      tensors.numBytes("y") / reference::bytesPerElement(shape.outputType);
  for (int64_t i = 0; i != elements; ++i) {
    const uint32_t row =
        reference::loadElement(shape.rowType, tensors.data("rows"), i);
    reference::storeElement(
        shape.outputType, tensors.data("y"), i,
        reference::narrow(shape.outputType,
                          reference::widen(shape.rowType, row)));
  }
  if (!shape.outputQuantization)
    return;
  // Scales of 1.
  const bool isPacked = shape.outputQuantization->scaleType ==
                        reference::Quantization::ScaleType::UE8M0;
  for (int64_t at = 0; at != tensors.numBytes(outputScales); at += 4)
    reference::storeElement(reference::ElementType::F32,
                            tensors.data(outputScales), at / 4,
                            isPacked ? 0x7F7F7F7F : 0x3F800000);
}

/// How often steps run.
struct Schedule {
  int64_t iterations;
  int64_t passEvery; ///< passes over memory run in every so manyth iteration
};

/// \p passUs: of all passes over memory, \p otherUs: of all other steps once.
/// Passes take half of the time at most, but run often enough for a median.
Schedule scheduleFor(double passUs, double otherUs,
                     std::optional<int64_t> iterations) {
  Schedule schedule{iterations.value_or(0),
                    std::max<int64_t>(1, int64_t(passUs / (otherUs + 1)))};
  const double us = otherUs + passUs / double(schedule.passEvery);
  if (!iterations)
    schedule.iterations = std::clamp(int64_t(targetUs / (us + 1)),
                                     leastIterations, mostIterations);
  schedule.passEvery = std::clamp<int64_t>(
      schedule.iterations / leastIterations, 1, schedule.passEvery);
  return schedule;
}

} // namespace

BenchResult bench(Ranks &ranks, const Programs &programs,
                  const ProcessBaselines &baselines, const Routing &routing,
                  const Options &options) {
  const Library &library = ranks.library;
  const reference::Shape &shape = library.shape();
  const int numRanks = shape.numRanks();
  const std::vector<Step> steps = stepsOf(library, programs, baselines);
  const std::vector<int64_t> expertRows = expertRowsOf(shape, routing);

  BenchResult result;
  result.shuffles.assign(programs.shuffles.size(),
                         forwardBytes(shape, routing));
  if (programs.backward)
    result.backward = backwardBytes(shape, routing);
  result.processBaselines.assign(baselines.size(), result.shuffles.front());
  std::vector<Quartiles> stepUs(steps.size());
  const BenchResult::Directions &own = result.shuffles.front();
  std::optional<int64_t> passBytes[std::size(allMemoryPasses)];

  Progress progress(fmt::format("timing, seed {}", options.seed), 3,
                    ranks.isLead()); // make memory, warm up, measure
  GpuMeeting gpuMeeting(numRanks);

  ranks.launch([&](Rank &rank) {
    const size_t index = size_t(rank.index);
    std::vector<Plan> plans;
    for (size_t i = 0; i != programs.shuffles.size(); ++i)
      plans.emplace_back(rank);
    Tensors tensors(rank);
    std::optional<TimelineRecorder> recorder = makeRecorder(rank, options);
    for (const Step &step : steps)
      if (step.program >= 0)
        tensors.create(step.program, routing.ranks[index].tokens,
                       expertRows[index], expertRows[index]);
    std::optional<GpuClock> gpuClock;
    std::optional<MemoryLimits> limits;
    if (library.isOnGpu())
      gpuClock.emplace(rank, gpuMeeting);
    else
      limits.emplace(numRanks,
                     std::max(own.dispatch.bytes(), own.combine.bytes()));
    fillInputs(rank, routing.ranks[index], routing.placementOf(0), options.seed,
               tensors);
    uploadAll(steps, tensors);
    for (const auto &baseline : baselines) {
      baseline->setTokens(rank, tensors);
      baseline->setOutputs(rank, tensors);
    }
    if (rank.index == 0)
      progress.advance();

    auto runStep = [&](const Step &step) {
      if (step.program >= 0)
        tensors.run(step.program, plans[step.plan],
                    gpuClock ? gpuClock->stream() : nullptr);
      else if (gpuClock)
        gpuClock->copy();
      else
        limits->run(step.pass);
    };
    auto passBarriers = [&] {
      rank.meetAwake();
      rank.meetAwake();
    };
    auto timeStep = [&](const Step &step) {
      if (step.baseline)
        return step.baseline(rank);
      if (gpuClock)
        return gpuClock->time([&] { runStep(step); });
      rank.meetAwake();
      Span span;
      span.startUs = nowUs();
      if (step.isBarriers)
        passBarriers();
      else
        runStep(step);
      span.endUs = nowUs();
      return span;
    };
    /// Gives the quartiles of each step over all ranks.
    auto runSteps = [&](const Schedule &schedule) {
      std::vector<std::vector<Span>> spans(steps.size());
      for (int64_t at = 0; at != schedule.iterations; ++at)
        for (size_t i = 0; i != steps.size(); ++i) {
          if (steps[i].isPass() && at % schedule.passEvery != 0)
            continue;
          spans[i].push_back(timeStep(steps[i]));
          if (recorder && steps[i].program >= 0)
            recorder->take(steps[i].program);
        }
      std::vector<Quartiles> times;
      for (const std::vector<Span> &step : spans)
        times.push_back(quartilesUs(rank.gather(step), step.size()));
      return times;
    };

    double passUs = 0, otherUs = 0;
    const std::vector<Quartiles> warmups = runSteps({numWarmups, 1});
    for (size_t i = 0; i != steps.size(); ++i)
      (steps[i].isPass() ? passUs : otherUs) += warmups[i].median;
    if (recorder) // without them
      recorder.emplace(rank, options.timelineCalls);
    const std::vector<fusco_plan_info> infos =
        rank.gather(plans.front().info());
    tensors.download(programs.shuffles.front().dispatch);
    runExperts(shape, tensors);
    uploadAll(steps, tensors);
    for (const auto &baseline : baselines)
      baseline->setOutputs(rank, tensors);
    if (rank.index == 0)
      progress.advance();
    // All ranks must count alike: rank 0's word.
    const Schedule schedule =
        rank.gather(scheduleFor(passUs, otherUs, options.iterations)).front();
    const std::vector<Quartiles> times = runSteps(schedule);
    if (rank.index == 0)
      progress.advance();
    std::optional<Timeline> timeline;
    if (recorder)
      timeline = recorder->gather();
    if (!rank.fills(0))
      return;
    result.timeline = std::move(timeline);
    result.plans = infos;
    result.iterations = schedule.iterations;
    stepUs = times;
    if (limits)
      for (MemoryPass pass : allMemoryPasses)
        passBytes[size_t(pass)] = limits->bytesOf(pass);
  });

  size_t next = 0;
  auto takeTimes = [&](BenchResult::Directions &directions) {
    directions.dispatch.us = stepUs[next++];
    directions.combine.us = stepUs[next++];
  };
  for (BenchResult::Directions &shuffle : result.shuffles)
    takeTimes(shuffle);
  if (result.backward)
    takeTimes(*result.backward);
  for (BenchResult::Directions &baseline : result.processBaselines)
    takeTimes(baseline);
  if (!library.isOnGpu())
    result.twoBarriersUs = stepUs[next++].median;
  auto passGbps = [&](MemoryPass pass) {
    const int64_t bytes =
        passBytes[size_t(pass)].value_or(2 * gpuMeeting.copyBytes);
    return double(bytes) / (stepUs[next + size_t(pass)].median * 1e3);
  };
  result.copyGbps = passGbps(MemoryPass::Memcpy);
  if (library.isOnGpu()) {
    result.launches = 1;
  } else {
    result.copyGbps =
        std::max(result.copyGbps, passGbps(MemoryPass::StreamingCopy));
    result.writeGbps = passGbps(MemoryPass::Write);
    result.readGbps = passGbps(MemoryPass::Read);
  }
  next += passesOf(library).size();
  if (next != stepUs.size())
    result.planUs = stepUs[next].median;
  return result;
}

} // namespace fusco::run
