//===- Check.cpp - A library against the reference interpreter ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A round, seen from a rank: draw contents, make the tensors, run and compare.
/// Ranks meet between these steps, but not between the programs, so that a fast
/// rank may run ahead as it would in a model.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Check.h"

#include "tools/common/Output.h"
#include "tools/run/RankCheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

namespace fusco::run {
namespace {

constexpr int64_t guardRows = 3;
/// Back to back, on the same inputs.
constexpr int numRepetitions = 2;

/// The rounds of one rank.
class RankRounds {
public:
  RankRounds(Rank &rank, const Programs &programs,
             const ProcessBaselines &baselines, Round &round,
             const Options &options)
      : recorder(makeRecorder(rank, options)), rank(rank), programs(programs),
        baselines(baselines),
        contents(rank, programs.backward.has_value(), round, options.seed) {
    for (size_t i = 0; i != programs.shuffles.size(); ++i)
      plans.emplace_back(rank);
  }

  /// Round \p number, in which each rank has the tokens of another.
  void run(int number, const Routing &routing);

  const Comparison &comparison() const { return contents.comparison; }
  std::optional<fusco_plan_info> firstPlan;
  std::optional<TimelineRecorder> recorder; ///< if \p options ask for it

private:
  void makeTensors(int64_t tokens);

  /// Runs \p program of the current round; gives what it is called in messages.
  /// Outputs are poisoned before the run, inputs as soon as it is over: a peer
  /// may not come for them later.
  std::string runProgram(int program, const Plan &plan);
  void runShuffle(const Shuffle &shuffle, const Plan &plan);
  void runBackward(const Shuffle &backward, const Plan &plan);
  void runBaseline(ProcessBaseline &baseline);

  Rank &rank;
  const Programs &programs;
  const ProcessBaselines &baselines;
  RankCheck contents;
  std::vector<Plan> plans;
  std::optional<Tensors> tensors;
  int number = 0; ///< of the current round
};

void RankRounds::makeTensors(int64_t tokens) {
  const int64_t numRows = contents.numRows();
  tensors.emplace(rank);
  auto create = [&](const Shuffle &shuffle) {
    for (int program : {shuffle.dispatch, shuffle.combine})
      tensors->create(program, tokens, numRows + guardRows, numRows);
  };
  for (const Shuffle &shuffle : programs.shuffles)
    create(shuffle);
  if (programs.backward)
    create(*programs.backward);
}

std::string RankRounds::runProgram(int program, const Plan &plan) {
  tensors->fill(program, true, poison);
  tensors->upload(program);
  tensors->run(program, plan);
  rank.synchronize();
  if (recorder)
    recorder->take(program);
  tensors->download(program);
  tensors->fill(program, false, poison);
  tensors->upload(program);
  return fmt::format("round {}, {} on rank {}", number,
                     rank.library.program(program).name, rank.index);
}

void RankRounds::runShuffle(const Shuffle &shuffle, const Plan &plan) {
  contents.setDispatchInputs(*tensors);
  const std::string where = runProgram(shuffle.dispatch, plan);
  contents.compareDispatch(where, *tensors);
  if (&plan == &plans.front()) { // not a baseline's
    if (!firstPlan)
      firstPlan = plan.info();
    contents.comparePlan(where, plan.info());
  }
  contents.setCombineInputs(*tensors);
  contents.compareCombine(runProgram(shuffle.combine, plan), *tensors);
}

/// In the order of training, by the plan of the forward pass.
void RankRounds::runBackward(const Shuffle &backward, const Plan &plan) {
  contents.setCombineBackwardInputs(*tensors);
  contents.compareCombineBackward(runProgram(backward.combine, plan), *tensors);
  contents.setDispatchBackwardInputs(*tensors);
  contents.compareDispatchBackward(runProgram(backward.dispatch, plan),
                                   *tensors);
}

/// Its outputs come to be in the tensors of the library's own dispatch and
/// combine.
void RankRounds::runBaseline(ProcessBaseline &baseline) {
  const Shuffle &own = programs.shuffles.front();
  auto where = [&](const char *direction) {
    return fmt::format("round {}, {}.{} on rank {}", number, direction,
                       baseline.name, rank.index);
  };
  for (int program : {own.dispatch, own.combine})
    tensors->fill(program, true, poison);
  contents.setDispatchInputs(*tensors);
  baseline.setTokens(rank, *tensors);
  baseline.dispatch(rank);
  baseline.getRows(rank, *tensors);
  contents.compareDispatch(where("dispatch"), *tensors);
  contents.setCombineInputs(*tensors);
  baseline.setOutputs(rank, *tensors);
  baseline.combine(rank);
  baseline.getResult(rank, *tensors);
  contents.compareCombine(where("combine"), *tensors);
}

void RankRounds::run(int number, const Routing &routing) {
  this->number = number;
  auto routingOf = [&](int of) -> const RankRouting & {
    return routing.ranks[size_t(of + number) % routing.ranks.size()];
  };
  auto draw = [&](Contents kind) {
    contents.draw(number, kind, routingOf, routing.placementOf(size_t(number)));
  };
  draw(Contents::Awkward);
  makeTensors(routingOf(rank.index).tokens);
  rank.meet();
  for (int repetition = 0; repetition != numRepetitions; ++repetition)
    for (size_t i = 0; i != programs.shuffles.size(); ++i) {
      runShuffle(programs.shuffles[i], plans[i]);
      if (i == 0 && programs.backward)
        runBackward(*programs.backward, plans[i]);
    }
  for (const auto &baseline : baselines) {
    if (!baseline->keepsOrder)
      draw(Contents::WholeNumbers);
    runBaseline(*baseline);
  }
  rank.meet();
}

} // namespace

CheckResult check(Ranks &ranks, const Programs &programs,
                  const ProcessBaselines &baselines, const Routing &routing,
                  const Options &options) {
  Round round(routing.ranks.size());
  CheckResult result;
  Progress progress(fmt::format("checking {} tokens in {} rounds, seed {}",
                                routing.numTokens(), numCheckRounds,
                                options.seed),
                    numCheckRounds, ranks.isLead());
  ranks.launch([&](Rank &rank) {
    RankRounds rounds(rank, programs, baselines, round, options);
    bool hasMismatch = false;
    for (int number = 0; number != numCheckRounds && !hasMismatch; ++number) {
      rounds.run(number, routing);
      if (rank.index == 0)
        progress.advance();
      // All ranks stop after the round in which one found something.
      const char hasFound = !rounds.comparison().mismatch.empty();
      const std::vector<char> found = rank.gather(hasFound);
      hasMismatch = std::count(found.begin(), found.end(), 1) != 0;
    }
    gatherResults(rank, rounds.comparison(), *rounds.firstPlan, result);
    if (!rounds.recorder)
      return;
    Timeline timeline = rounds.recorder->gather();
    if (rank.fills(0))
      result.timeline = std::move(timeline);
  });
  result.hasBackward = programs.backward.has_value();
  return result;
}

void gatherResults(Rank &rank, const Comparison &comparison,
                   const fusco_plan_info &plan, CheckResult &result) {
  const std::vector<int64_t> rows = rank.gather(comparison.rows);
  const std::vector<std::string> mismatches = rank.gather(comparison.mismatch);
  const std::vector<fusco_plan_info> plans = rank.gather(plan);
  if (!rank.fills(0))
    return; // another thread of this process does
  result.rows = std::accumulate(rows.begin(), rows.end(), int64_t(0));
  result.plans = plans;
  for (const std::string &mismatch : mismatches)
    if (result.mismatch.empty())
      result.mismatch = mismatch;
}

} // namespace fusco::run
