//===- Check.cpp - A library against the reference interpreter ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A round, seen from a rank: draw the tokens; rank 0 lets the reference
/// interpreter dispatch; draw the rows and make the tensors; let the reference
/// interpreter do the rest; run and compare. Ranks meet between these
/// steps, but not between the programs, so that a fast rank may run ahead as it
/// would in a model.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Check.h"

#include "tools/run/Comparison.h"
#include "tools/run/Output.h"
#include "tools/run/RowContents.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace fusco::run {
namespace {

using reference::RankDispatch;
using reference::RankInput;

constexpr int64_t guardRows = 3;
/// Back to back, on the same inputs.
constexpr int numRepetitions = 2;

/// What the ranks share during a round: contents of tensors, by rank.
struct Round {
  explicit Round(size_t numRanks)
      : inputs(numRanks), y(numRanks), dout(numRanks), drows(numRanks) {}

  std::vector<RankInput> inputs;
  std::vector<RankDispatch> dispatched;
  std::vector<const uint8_t *> y, dout, drows;
};

/// One rank's half of the check.
class RankCheck {
public:
  RankCheck(Rank &rank, const Programs &programs, Round &round,
            const Options &options)
      : rank(rank), programs(programs), round(round), options(options),
        shape(rank.library.shape()) {
    for (size_t i = 0; i != programs.shuffles.size(); ++i)
      plans.emplace_back(rank);
  }

  void runRound(int number, const RankRouting &routing);

  Comparison comparison;
  std::optional<fusco_plan_info> firstPlan;

private:
  RankInput &input() { return round.inputs[size_t(rank.index)]; }
  const RankDispatch &dispatched() const {
    return round.dispatched[size_t(rank.index)];
  }
  void drawTokens(const RankRouting &routing);
  reference::Bytes drawRows(reference::ElementType type, Purpose purpose);
  void makeTensors();
  void computeExpected();

  /// Runs \p program of the current round; gives what it is called in messages.
  /// Outputs are poisoned before the run, inputs as soon as it is over: a peer
  /// may not come for them later.
  std::string run(int program, const Plan &plan);
  void runDispatch(int program, const Plan &plan);
  void runCombine(int program, const Plan &plan);
  void runDispatchBackward(int program, const Plan &plan);
  void runCombineBackward(int program, const Plan &plan);
  void comparePlan(const std::string &where, const fusco_plan_info &info);

  Rank &rank;
  const Programs &programs;
  Round &round;
  const Options &options;
  const reference::Shape &shape;
  std::vector<Plan> plans;
  std::optional<Tensors> tensors;

  // This rank's, of the current round.
  int number = 0;
  reference::Bytes y, dout, drows;
  reference::Bytes expectedOut, expectedDx;
  reference::CombineGradient expectedGradient;
};

void RankCheck::drawTokens(const RankRouting &routing) {
  RankInput &input = this->input();
  input.tokens = routing.tokens;
  input.ids = routing.ids;
  input.weights = routing.weights;
  const size_t bytes =
      size_t(input.tokens * shape.bytesPerRow(shape.tokenType));
  input.x.resize(bytes);
  Random random(options.seed, Purpose::Tokens, uint32_t(number),
                uint32_t(rank.index));
  fillBits(shape.tokenType, random, input.x.data(),
           input.tokens * shape.hidden);
  if (!programs.backward)
    return;
  dout.resize(bytes);
  Random gradients(options.seed, Purpose::TokenGradients, uint32_t(number),
                   uint32_t(rank.index));
  fillNumbers(shape.tokenType, gradients, dout.data(), input.tokens,
              shape.hidden);
  round.dout[size_t(rank.index)] = dout.data();
}

/// Expert-major rows for this rank.
reference::Bytes RankCheck::drawRows(reference::ElementType type,
                                     Purpose purpose) {
  const RankDispatch &layout = dispatched();
  const int64_t bytesPerRow = shape.bytesPerRow(type);
  // All ones are a NaN in every type: nothing may read a pad.
  reference::Bytes rows(size_t(layout.offsets.back() * bytesPerRow), 0xFF);
  Random random(options.seed, purpose, uint32_t(number), uint32_t(rank.index));
  for (size_t local = 0; local != layout.counts.size(); ++local)
    fillNumbers(type, random, rows.data() + layout.offsets[local] * bytesPerRow,
                layout.counts[local], shape.hidden);
  return rows;
}

void RankCheck::makeTensors() {
  const int64_t numRows = dispatched().offsets.back();
  tensors.emplace(rank);
  auto create = [&](const Shuffle &shuffle) {
    for (int program : {shuffle.dispatch, shuffle.combine})
      tensors->create(program, input().tokens, numRows + guardRows, numRows);
  };
  for (const Shuffle &shuffle : programs.shuffles)
    create(shuffle);
  if (programs.backward)
    create(*programs.backward);
}

void RankCheck::computeExpected() {
  expectedOut =
      reference::combineRank(shape, input(), dispatched().slots, round.y);
  if (!programs.backward)
    return;
  expectedGradient = reference::combineBackward(
      shape, rank.index, round.inputs, round.dispatched, round.dout, round.y);
  expectedDx = reference::dispatchBackward(shape, input(), dispatched().slots,
                                           round.drows);
}

std::string RankCheck::run(int program, const Plan &plan) {
  tensors->fill(program, true, poison);
  tensors->run(program, plan);
  tensors->fill(program, false, poison);
  return fmt::format("round {}, {} on rank {}", number,
                     rank.library.program(program).name, rank.index);
}

void RankCheck::runDispatch(int program, const Plan &plan) {
  tensors->setBytes("x", input().x);
  tensors->setIntegers("ids", input().ids);
  if (shape.weighted)
    tensors->setFloats("weights", input().weights);
  const std::string where = run(program, plan);
  comparison.integers(where, *tensors, "counts", dispatched().counts);
  comparison.integers(where, *tensors, "offsets", dispatched().offsets);
  comparison.rowsAndGuard(where, *tensors, "rows", shape.rowType,
                          dispatched().rows);
  if (&plan != &plans.front()) // a baseline's
    return;
  if (!firstPlan)
    firstPlan = plan.info();
  comparePlan(where, plan.info());
}

void RankCheck::runCombine(int program, const Plan &plan) {
  tensors->setBytes("y", y);
  const std::string where = run(program, plan);
  comparison.rowsOf(where, *tensors, "out", shape.tokenType, expectedOut);
}

void RankCheck::runCombineBackward(int program, const Plan &plan) {
  tensors->setBytes("dout", dout);
  if (shape.weighted)
    tensors->setBytes("y", y);
  const std::string where = run(program, plan);
  comparison.rowsAndGuard(where, *tensors, "dy", shape.outputType,
                          expectedGradient.dy);
  if (!shape.weighted)
    return;
  const auto *dweights =
      reinterpret_cast<const uint8_t *>(expectedGradient.dweights.data());
  comparison.rowsOf(
      where, *tensors, "dweights", reference::ElementType::F32,
      {dweights, dweights + expectedGradient.dweights.size() * sizeof(float)});
}

void RankCheck::runDispatchBackward(int program, const Plan &plan) {
  tensors->setBytes("drows", drows);
  const std::string where = run(program, plan);
  comparison.rowsOf(where, *tensors, "dx", shape.tokenType, expectedDx);
}

void RankCheck::comparePlan(const std::string &where,
                            const fusco_plan_info &info) {
  const std::vector<int64_t> &ids = input().ids;
  const RankDispatch &expected = dispatched();
  int64_t received = 0;
  for (int64_t count : expected.counts)
    received += count;
  int64_t assignments =
      int64_t(ids.size()) - std::count(ids.begin(), ids.end(), -1);
  auto compare = [&](const char *name, int64_t want, int64_t got) {
    comparison.integer(where, fmt::format("plan info {}", name), want, got);
  };
  compare("tokens", input().tokens, info.tokens);
  compare("assignments", assignments, info.assignments);
  compare("rowsUniqueRank", expected.rowsUniqueRank, info.rowsUniqueRank);
  compare("rowsUniqueNode", expected.rowsUniqueNode, info.rowsUniqueNode);
  compare("rowsReceived", received, info.rowsReceived);
  compare("rowsPadded", expected.offsets.back(), info.rowsPadded);
}

void RankCheck::runRound(int number, const RankRouting &routing) {
  this->number = number;
  drawTokens(routing);
  rank.meet();
  if (rank.index == 0)
    round.dispatched = reference::dispatch(shape, round.inputs);
  rank.meet();
  y = drawRows(shape.outputType, Purpose::ExpertRows);
  round.y[size_t(rank.index)] = y.data();
  if (programs.backward) {
    drows = drawRows(shape.rowType, Purpose::RowGradients);
    round.drows[size_t(rank.index)] = drows.data();
  }
  makeTensors();
  rank.meet();
  computeExpected();

  for (int repetition = 0; repetition != numRepetitions; ++repetition)
    for (size_t i = 0; i != programs.shuffles.size(); ++i) {
      runDispatch(programs.shuffles[i].dispatch, plans[i]);
      runCombine(programs.shuffles[i].combine, plans[i]);
      // In the order of training, by the plan of the forward pass.
      if (i == 0 && programs.backward) {
        runCombineBackward(programs.backward->combine, plans[i]);
        runDispatchBackward(programs.backward->dispatch, plans[i]);
      }
    }
  rank.meet();
}

} // namespace

CheckResult check(const Library &library, const Programs &programs,
                  const Routing &routing, const Options &options) {
  const size_t numRanks = routing.ranks.size();
  Round round(numRanks);
  std::vector<CheckResult> results(numRanks);
  Progress progress(fmt::format("checking {} tokens in {} rounds, seed {}",
                                routing.numTokens(), numCheckRounds,
                                options.seed),
                    numCheckRounds);
  launchRanks(library, options.timeoutMs, [&](Rank &rank) {
    CheckResult &result = results[size_t(rank.index)];
    RankCheck rankCheck(rank, programs, round, options);
    bool hasMismatch = false;
    for (int number = 0; number != numCheckRounds && !hasMismatch; ++number) {
      rankCheck.runRound(
          number,
          routing.ranks[(size_t(rank.index) + size_t(number)) % numRanks]);
      result.mismatch = rankCheck.comparison.mismatch;
      if (rank.index == 0)
        progress.advance();
      // All ranks stop after the round in which one found something.
      rank.meet();
      hasMismatch =
          std::any_of(results.begin(), results.end(),
                      [](const CheckResult &other) { return !other.passed(); });
      rank.meet();
    }
    result.rows = rankCheck.comparison.rows;
    result.plans.push_back(*rankCheck.firstPlan);
  });

  CheckResult sum;
  sum.hasBackward = programs.backward.has_value();
  for (const CheckResult &result : results) {
    sum.rows += result.rows;
    sum.plans.push_back(result.plans.front());
    if (sum.mismatch.empty())
      sum.mismatch = result.mismatch;
  }
  return sum;
}

} // namespace fusco::run
