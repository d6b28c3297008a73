//===- Check.cpp - A library against the reference interpreter ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A round, seen from a rank: draw the input; rank 0 lets the reference
/// interpreter dispatch; make the tensors and draw the experts' outputs; let
/// the reference interpreter combine; run and compare. Ranks meet between these
/// steps, but not between the programs, so that a fast rank may run ahead as it
/// would in a model.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Check.h"

#include "tools/run/Launch.h"
#include "tools/run/Output.h"
#include "tools/run/RowContents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace fusco::run {
namespace {

using reference::RankDispatch;
using reference::RankInput;

constexpr uint8_t poison = 0xA5;
constexpr int64_t guardRows = 3;
/// Back to back, on the same inputs.
constexpr int numRepetitions = 2;

/// What the ranks share during a round.
struct Round {
  std::vector<RankInput> inputs;
  std::vector<RankDispatch> dispatched;
  std::vector<const uint8_t *> y;
};

/// One rank's half of the check.
class RankCheck {
public:
  RankCheck(Rank &rank, const std::vector<Shuffle> &shuffles, Round &round,
            const Options &options)
      : rank(rank), shuffles(shuffles), round(round), options(options),
        shape(rank.library.shape()) {
    for (size_t i = 0; i != shuffles.size(); ++i)
      plans.emplace_back(rank);
  }

  void runRound(int number, const RankRouting &routing);

  int64_t rows = 0;
  std::string mismatch;
  std::optional<fusco_plan_info> firstPlan;

private:
  void fillInput(int number, const RankRouting &routing);
  void drawExpertRows(int number);
  void makeTensors();
  // Outputs are poisoned before the run, inputs as soon as it is over: a peer
  // may not come for them later.
  void runDispatch(int program, const Plan &plan);
  void runCombine(int program, const Plan &plan);
  void compareDispatch(const std::string &where);
  void comparePlan(const std::string &where, const fusco_plan_info &info);
  void compareIntegers(const std::string &where, const char *name,
                       const std::vector<int64_t> &expected);
  void compareRows(const std::string &where, const char *name,
                   const reference::Bytes &expected);
  void report(const std::string &text) {
    if (mismatch.empty())
      mismatch = text;
  }

  Rank &rank;
  const std::vector<Shuffle> &shuffles;
  Round &round;
  const Options &options;
  const reference::Shape &shape;
  std::vector<Plan> plans;
  std::optional<Tensors> tensors;
  reference::Bytes expertRows; ///< this rank's, for y
};

void RankCheck::fillInput(int number, const RankRouting &routing) {
  RankInput &input = round.inputs[size_t(rank.index)];
  input.tokens = routing.tokens;
  input.ids = routing.ids;
  input.weights = routing.weights;
  input.x.resize(size_t(input.tokens * shape.bytesPerRow()));
  Random random(options.seed, Purpose::Tokens, uint32_t(number),
                uint32_t(rank.index));
  fillTokens(shape, random, input.x.data(), input.tokens);
}

void RankCheck::drawExpertRows(int number) {
  const RankDispatch &expected = round.dispatched[size_t(rank.index)];
  // All ones are a NaN in every type: nothing may read a pad.
  expertRows.assign(expected.rows.size(), 0xFF);
  Random random(options.seed, Purpose::ExpertRows, uint32_t(number),
                uint32_t(rank.index));
  for (size_t local = 0; local != expected.counts.size(); ++local)
    fillExpertRows(shape, random,
                   expertRows.data() +
                       expected.offsets[local] * shape.bytesPerRow(),
                   expected.counts[local]);
  round.y[size_t(rank.index)] = expertRows.data();
}

void RankCheck::makeTensors() {
  const RankInput &input = round.inputs[size_t(rank.index)];
  const int64_t numRows = round.dispatched[size_t(rank.index)].offsets.back();
  tensors.emplace(rank);
  for (const Shuffle &shuffle : shuffles)
    for (int program : {shuffle.dispatch, shuffle.combine})
      tensors->create(program, input.tokens, numRows + guardRows, numRows);
}

void RankCheck::runDispatch(int program, const Plan &plan) {
  const RankInput &input = round.inputs[size_t(rank.index)];
  std::copy(input.x.begin(), input.x.end(), tensors->data("x"));
  tensors->setIntegers("ids", input.ids);
  if (shape.weighted)
    std::memcpy(tensors->data("weights"), input.weights.data(),
                input.weights.size() * sizeof(float));
  tensors->fill(program, true, poison);
  tensors->run(program, plan);
  tensors->fill(program, false, poison);
}

void RankCheck::runCombine(int program, const Plan &plan) {
  std::copy(expertRows.begin(), expertRows.end(), tensors->data("y"));
  tensors->fill(program, true, poison);
  tensors->run(program, plan);
  tensors->fill(program, false, poison);
}

void RankCheck::compareIntegers(const std::string &where, const char *name,
                                const std::vector<int64_t> &expected) {
  if (!tensors->has(name)) // not every form of a model gives them
    return;
  const std::vector<int64_t> got = tensors->integers(name);
  for (size_t i = 0; i != expected.size(); ++i)
    if (got[i] != expected[i])
      return report(fmt::format("{}: {}[{}]: expected {}, got {}", where, name,
                                i, expected[i], got[i]));
}

void RankCheck::compareRows(const std::string &where, const char *name,
                            const reference::Bytes &expected) {
  rows += int64_t(expected.size()) / shape.bytesPerRow();
  const uint8_t *got = tensors->data(name);
  if (std::equal(expected.begin(), expected.end(), got)) // fast: memcmp
    return;
  auto wrong = std::mismatch(expected.begin(), expected.end(), got).first;
  const int64_t element =
      (wrong - expected.begin()) / reference::bytesPerElement(shape.type);
  const int digits = int(2 * reference::bytesPerElement(shape.type));
  report(fmt::format(
      "{}: {} row {}, column {}: expected 0x{:0{}x}, got 0x{:0{}x}", where,
      name, element / shape.hidden, element % shape.hidden,
      reference::loadElement(shape.type, expected.data(), element), digits,
      reference::loadElement(shape.type, got, element), digits));
}

void RankCheck::compareDispatch(const std::string &where) {
  const RankDispatch &expected = round.dispatched[size_t(rank.index)];
  compareIntegers(where, "counts", expected.counts);
  compareIntegers(where, "offsets", expected.offsets);
  compareRows(where, "rows", expected.rows);
  const uint8_t *end = tensors->data("rows") + tensors->numBytes("rows");
  const uint8_t *guard = tensors->data("rows") + expected.rows.size();
  const uint8_t *touched =
      std::find_if(guard, end, [](uint8_t byte) { return byte != poison; });
  if (touched != end)
    report(fmt::format(
        "{}: rows has {} rows, but row {} behind them was written to", where,
        expected.offsets.back(),
        (touched - tensors->data("rows")) / shape.bytesPerRow()));
}

void RankCheck::comparePlan(const std::string &where,
                            const fusco_plan_info &info) {
  const RankInput &input = round.inputs[size_t(rank.index)];
  const RankDispatch &expected = round.dispatched[size_t(rank.index)];
  int64_t received = 0;
  for (int64_t count : expected.counts)
    received += count;
  int64_t assignments = int64_t(input.ids.size()) -
                        std::count(input.ids.begin(), input.ids.end(), -1);
  auto compare = [&](const char *name, int64_t want, int64_t got) {
    if (got != want)
      report(fmt::format("{}: plan info {}: expected {}, got {}", where, name,
                         want, got));
  };
  compare("tokens", input.tokens, info.tokens);
  compare("assignments", assignments, info.assignments);
  compare("rowsUniqueRank", expected.rowsUniqueRank, info.rowsUniqueRank);
  compare("rowsUniqueNode", expected.rowsUniqueNode, info.rowsUniqueNode);
  compare("rowsReceived", received, info.rowsReceived);
  compare("rowsPadded", expected.offsets.back(), info.rowsPadded);
}

void RankCheck::runRound(int number, const RankRouting &routing) {
  fillInput(number, routing);
  rank.meet();
  if (rank.index == 0)
    round.dispatched = reference::dispatch(shape, round.inputs);
  rank.meet();
  drawExpertRows(number);
  makeTensors();
  rank.meet();
  const reference::Bytes combined = reference::combineRank(
      shape, round.inputs[size_t(rank.index)],
      round.dispatched[size_t(rank.index)].slots, round.y);

  for (int repetition = 0; repetition != numRepetitions; ++repetition)
    for (size_t i = 0; i != shuffles.size(); ++i) {
      auto where = [&](int program) {
        return fmt::format("round {}, {} on rank {}", number,
                           rank.library.program(program).name, rank.index);
      };
      const int dispatch = shuffles[i].dispatch, combine = shuffles[i].combine;
      runDispatch(dispatch, plans[i]);
      compareDispatch(where(dispatch));
      if (i == 0) {
        if (!firstPlan)
          firstPlan = plans[i].info();
        comparePlan(where(dispatch), plans[i].info());
      }
      runCombine(combine, plans[i]);
      compareRows(where(combine), "out", combined);
    }
  rank.meet();
}

} // namespace

CheckResult check(const Library &library, const std::vector<Shuffle> &shuffles,
                  const Routing &routing, const Options &options) {
  const size_t numRanks = routing.ranks.size();
  Round round;
  round.inputs.resize(numRanks);
  round.y.resize(numRanks);
  std::vector<CheckResult> results(numRanks);
  Progress progress(fmt::format("checking {} tokens in {} rounds, seed {}",
                                routing.numTokens(), numCheckRounds,
                                options.seed),
                    numCheckRounds);
  launchRanks(library, options.timeoutMs, [&](Rank &rank) {
    CheckResult &result = results[size_t(rank.index)];
    RankCheck rankCheck(rank, shuffles, round, options);
    bool hasMismatch = false;
    for (int number = 0; number != numCheckRounds && !hasMismatch; ++number) {
      rankCheck.runRound(
          number,
          routing.ranks[(size_t(rank.index) + size_t(number)) % numRanks]);
      result.mismatch = rankCheck.mismatch;
      if (rank.index == 0)
        progress.advance();
      // All ranks stop after the round in which one found something.
      rank.meet();
      hasMismatch =
          std::any_of(results.begin(), results.end(),
                      [](const CheckResult &other) { return !other.passed(); });
      rank.meet();
    }
    result.rows = rankCheck.rows;
    result.plans.push_back(*rankCheck.firstPlan);
  });

  CheckResult sum;
  for (const CheckResult &result : results) {
    sum.rows += result.rows;
    sum.plans.push_back(result.plans.front());
    if (sum.mismatch.empty())
      sum.mismatch = result.mismatch;
  }
  return sum;
}

} // namespace fusco::run
