//===- RankCheck.h - One rank's half of a check -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The contents of one rank's tensors in a round, what the reference
/// interpreter makes of them, and the comparison with what programs made.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_RANKCHECK_H
#define FUSCO_TOOLS_RUN_RANKCHECK_H

#include "tools/run/Comparison.h"
#include "tools/run/Random.h"
#include "tools/run/Routing.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace fusco::run {

/// Contents of tensors in a round, by rank. Threads share one and fill their
/// ranks' parts; a process that is one rank has its own and fills all, which
/// takes no messages: contents follow from the seed.
struct Round {
  explicit Round(size_t numRanks)
      : inputs(numRanks), y(numRanks), yScales(numRanks), dout(numRanks),
        drows(numRanks) {}

  std::vector<reference::RankInput> inputs;
  std::vector<reference::RankDispatch> dispatched;
  std::vector<reference::Bytes> y, yScales, dout, drows;
};

/// What rows and weights that are multiplied and added hold.
enum class Contents {
  Awkward,     ///< special ones, and what rounds
  WholeNumbers ///< multiples whose sums of float32 no order rounds
};

class RankCheck {
public:
  /// Checks the backward too if \p hasBackward.
  RankCheck(Rank &rank, bool hasBackward, Round &round, uint64_t seed)
      : rank(rank), hasBackward(hasBackward), round(round), seed(seed),
        shape(rank.library.shape()) {}

  /// Draws the contents of round \p number, where \p routingOf says what a
  /// rank's tokens are. All ranks call it together; the reference interpreter
  /// computes what is expected.
  /// \p placement is the table that places experts, if there is one.
  void draw(int number, Contents contents,
            const std::function<const RankRouting &(int)> &routingOf,
            const std::vector<int64_t> &placement);

  /// Rows that this rank gets in the round, pads counted.
  int64_t numRows() const { return dispatched().offsets.back(); }

  // The inputs of each kind of program.
  void setDispatchInputs(Tensors &tensors) const;
  void setCombineInputs(Tensors &tensors) const;
  void setCombineBackwardInputs(Tensors &tensors) const;
  void setDispatchBackwardInputs(Tensors &tensors) const;

  // The outputs of each. `where` says in which run of which program.
  void compareDispatch(const std::string &where, const Tensors &tensors);
  void compareCombine(const std::string &where, const Tensors &tensors);
  void compareCombineBackward(const std::string &where, const Tensors &tensors);
  void compareDispatchBackward(const std::string &where,
                               const Tensors &tensors);
  void comparePlan(const std::string &where, const fusco_plan_info &info);

  Comparison comparison;

private:
  reference::RankInput &input() { return round.inputs[size_t(rank.index)]; }
  const reference::RankInput &input() const {
    return round.inputs[size_t(rank.index)];
  }
  const reference::RankDispatch &dispatched() const {
    return round.dispatched[size_t(rank.index)];
  }
  /// Those of rank \p of, which is this one or, in a process of its own, any.
  void drawTokens(int of, const RankRouting &routing);
  void poisonUnused(reference::RankDispatch &dispatch) const;
  reference::Bytes scalesByColumns(const DLTensor &tensor) const;
  reference::Bytes drawRows(int of, reference::ElementType type,
                            Purpose purpose) const;
  reference::Bytes drawScales(int of) const;
  void computeExpected();
  void forEachToFill(const std::function<void(int)> &fill) const;

  Rank &rank;
  const bool hasBackward;
  Round &round;
  const uint64_t seed;
  const reference::Shape &shape;

  // This rank's, of the current round.
  int number = 0;
  Contents contents = Contents::Awkward;
  std::vector<int64_t> placement;
  reference::Bytes expectedOut, expectedDx;
  reference::CombineGradient expectedGradient;
};

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_RANKCHECK_H
