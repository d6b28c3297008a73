//===- RankCheck.cpp - One rank's half of a check -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See RankCheck.h.
//
//===----------------------------------------------------------------------===//
#include "tools/run/RankCheck.h"

#include "tools/run/RowContents.h"

#include <fmt/format.h>

#include <algorithm>

namespace fusco::run {

//===--- Contents ---------------------------------------------------------===//

void RankCheck::drawTokens(const RankRouting &routing) {
  reference::RankInput &input = this->input();
  input.tokens = routing.tokens;
  input.ids = routing.ids;
  input.weights = routing.weights;
  const size_t bytes =
      size_t(input.tokens * shape.bytesPerRow(shape.tokenType));
  input.x.resize(bytes);
  Random random(seed, Purpose::Tokens, uint32_t(number), uint32_t(rank.index));
  fillBits(shape.tokenType, random, input.x.data(),
           input.tokens * shape.hidden);
  if (!hasBackward)
    return;
  dout.resize(bytes);
  Random gradients(seed, Purpose::TokenGradients, uint32_t(number),
                   uint32_t(rank.index));
  fillNumbers(shape.tokenType, gradients, dout.data(), input.tokens,
              shape.hidden);
  round.dout[size_t(rank.index)] = dout.data();
}

/// Expert-major rows for this rank.
reference::Bytes RankCheck::drawRows(reference::ElementType type,
                                     Purpose purpose) const {
  const reference::RankDispatch &layout = dispatched();
  const int64_t bytesPerRow = shape.bytesPerRow(type);
  // All ones are a NaN in every type: nothing may read a pad.
  reference::Bytes rows(size_t(layout.offsets.back() * bytesPerRow), 0xFF);
  Random random(seed, purpose, uint32_t(number), uint32_t(rank.index));
  for (size_t local = 0; local != layout.counts.size(); ++local)
    fillNumbers(type, random, rows.data() + layout.offsets[local] * bytesPerRow,
                layout.counts[local], shape.hidden);
  return rows;
}

void RankCheck::computeExpected() {
  expectedOut =
      reference::combineRank(shape, input(), dispatched().slots, round.y);
  if (!hasBackward)
    return;
  expectedGradient = reference::combineBackward(
      shape, rank.index, round.inputs, round.dispatched, round.dout, round.y);
  expectedDx = reference::dispatchBackward(shape, input(), dispatched().slots,
                                           round.drows);
}

void RankCheck::draw(int number, const RankRouting &routing) {
  this->number = number;
  drawTokens(routing);
  rank.meet();
  if (rank.index == 0)
    round.dispatched = reference::dispatch(shape, round.inputs);
  rank.meet();
  y = drawRows(shape.outputType, Purpose::ExpertRows);
  round.y[size_t(rank.index)] = y.data();
  if (hasBackward) {
    drows = drawRows(shape.rowType, Purpose::RowGradients);
    round.drows[size_t(rank.index)] = drows.data();
  }
  rank.meet();
  computeExpected();
}

//===--- Inputs -----------------------------------------------------------===//

void RankCheck::setDispatchInputs(Tensors &tensors) const {
  tensors.setBytes("x", input().x);
  tensors.setIntegers("ids", input().ids);
  if (shape.weighted)
    tensors.setFloats("weights", input().weights);
}

void RankCheck::setCombineInputs(Tensors &tensors) const {
  tensors.setBytes("y", y);
}

void RankCheck::setCombineBackwardInputs(Tensors &tensors) const {
  tensors.setBytes("dout", dout);
  if (shape.weighted)
    tensors.setBytes("y", y);
}

void RankCheck::setDispatchBackwardInputs(Tensors &tensors) const {
  tensors.setBytes("drows", drows);
}

//===--- Outputs ----------------------------------------------------------===//

void RankCheck::compareDispatch(const std::string &where,
                                const Tensors &tensors) {
  comparison.integers(where, tensors, "counts", dispatched().counts);
  comparison.integers(where, tensors, "offsets", dispatched().offsets);
  comparison.rowsAndGuard(where, tensors, "rows", shape.rowType,
                          dispatched().rows);
}

void RankCheck::compareCombine(const std::string &where,
                               const Tensors &tensors) {
  comparison.rowsOf(where, tensors, "out", shape.tokenType, expectedOut);
}

void RankCheck::compareCombineBackward(const std::string &where,
                                       const Tensors &tensors) {
  comparison.rowsAndGuard(where, tensors, "dy", shape.outputType,
                          expectedGradient.dy);
  if (!shape.weighted)
    return;
  const auto *dweights =
      reinterpret_cast<const uint8_t *>(expectedGradient.dweights.data());
  comparison.rowsOf(
      where, tensors, "dweights", reference::ElementType::F32,
      {dweights, dweights + expectedGradient.dweights.size() * sizeof(float)});
}

void RankCheck::compareDispatchBackward(const std::string &where,
                                        const Tensors &tensors) {
  comparison.rowsOf(where, tensors, "dx", shape.tokenType, expectedDx);
}

void RankCheck::comparePlan(const std::string &where,
                            const fusco_plan_info &info) {
  const std::vector<int64_t> &ids = input().ids;
  const reference::RankDispatch &expected = dispatched();
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

} // namespace fusco::run
