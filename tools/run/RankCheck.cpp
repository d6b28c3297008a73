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

void RankCheck::forEachToFill(const std::function<void(int)> &fill) const {
  for (int of = 0; of != shape.numRanks(); ++of)
    if (rank.fills(of))
      fill(of);
}

void RankCheck::drawTokens(int of, const RankRouting &routing) {
  reference::RankInput &input = round.inputs[size_t(of)];
  input.tokens = routing.tokens;
  input.ids = routing.ids;
  input.weights = routing.weights;
  if (contents == Contents::WholeNumbers) {
    Random weights(seed, Purpose::Weights, uint32_t(number), uint32_t(of));
    fillWholeWeights(weights, input.weights);
  }
  input.x.resize(size_t(input.tokens * shape.bytesPerRow(shape.tokenType)));
  Random random(seed, Purpose::Tokens, uint32_t(number), uint32_t(of));
  // Of random bits, few elements of a block are large enough beside the largest
  // to be quantised to more than 0.
  if (shape.quantization && !shape.isInputQuantized && number % 2 == 0)
    fillNumbers(shape.tokenType, random, input.x.data(), input.tokens,
                shape.hidden);
  else
    fillBits(shape.tokenType, random, input.x.data(),
             input.tokens * shape.hidden);
  if (shape.isInputQuantized) {
    const reference::Quantization &how = *shape.quantization;
    input.xScales.resize(
        size_t(input.tokens * how.bytesOfScalesPerRow(shape.hidden)));
    Random scales(seed, Purpose::TokenScales, uint32_t(number), uint32_t(of));
    fillScales(how, scales, input.xScales.data(), input.tokens, shape.hidden);
  }
  if (shape.hasBias) {
    input.bias.resize(size_t(shape.bytesPerRow(shape.addedType())));
    Random bias(seed, Purpose::Biases, uint32_t(number), uint32_t(of));
    fillNumbers(shape.addedType(), bias, input.bias.data(), 1, shape.hidden);
  }
  if (shape.hasResidual) {
    input.residual.resize(
        size_t(input.tokens * shape.bytesPerRow(shape.addedType())));
    Random residual(seed, Purpose::Residuals, uint32_t(number), uint32_t(of));
    fillNumbers(shape.addedType(), residual, input.residual.data(),
                input.tokens, shape.hidden);
  }
  if (!hasBackward)
    return;
  reference::Bytes &dout = round.dout[size_t(of)];
  dout.resize(size_t(input.tokens * shape.bytesPerRow(shape.combinedType())));
  Random gradients(seed, Purpose::TokenGradients, uint32_t(number),
                   uint32_t(of));
  fillNumbers(shape.combinedType(), gradients, dout.data(), input.tokens,
              shape.hidden);
}

/// Expert-major rows for rank \p of.
reference::Bytes RankCheck::drawRows(int of, reference::ElementType type,
                                     Purpose purpose) const {
  const reference::RankDispatch &layout = round.dispatched[size_t(of)];
  const int64_t bytesPerRow = shape.bytesPerRow(type);
  // All ones are a NaN in every type: nothing may read a pad.
  reference::Bytes rows(size_t(layout.offsets.back() * bytesPerRow), 0xFF);
  Random random(seed, purpose, uint32_t(number), uint32_t(of));
  for (size_t local = 0; local != layout.counts.size(); ++local) {
    uint8_t *const first = rows.data() + layout.offsets[local] * bytesPerRow;
    if (contents == Contents::WholeNumbers)
      fillWholeNumbers(type, random, first, layout.counts[local] * shape.hidden,
                       shape.topk);
    else
      fillNumbers(type, random, first, layout.counts[local], shape.hidden);
  }
  return rows;
}

/// The scales of expert-major rows for rank \p of.
reference::Bytes RankCheck::drawScales(int of) const {
  const reference::RankDispatch &layout = round.dispatched[size_t(of)];
  const reference::Quantization &quantization = *shape.outputQuantization;
  const int64_t bytesPerRow = quantization.bytesOfScalesPerRow(shape.hidden);
  // Of either type a NaN.
  reference::Bytes scales(size_t(layout.offsets.back() * bytesPerRow), 0xFF);
  Random random(seed, Purpose::OutputScales, uint32_t(number), uint32_t(of));
  for (size_t local = 0; local != layout.counts.size(); ++local)
    fillScales(quantization, random,
               scales.data() + layout.offsets[local] * bytesPerRow,
               layout.counts[local], shape.hidden);
  return scales;
}

/// Where each rank's rows are.
static std::vector<const uint8_t *>
addressesOf(const std::vector<reference::Bytes> &rows) {
  std::vector<const uint8_t *> addresses;
  for (const reference::Bytes &bytes : rows)
    addresses.push_back(bytes.data());
  return addresses;
}

void RankCheck::computeExpected() {
  const std::vector<const uint8_t *> y = addressesOf(round.y);
  expectedOut = reference::combineRank(shape, input(), dispatched().slots, y,
                                       addressesOf(round.yScales));
  if (!hasBackward)
    return;
  expectedGradient =
      reference::combineBackward(shape, rank.index, round.inputs,
                                 round.dispatched, addressesOf(round.dout), y);
  expectedDx = reference::dispatchBackward(shape, input(), dispatched().slots,
                                           addressesOf(round.drows));
}

/// Slots without a row are to be found as they were.
void RankCheck::poisonUnused(reference::RankDispatch &dispatch) const {
  const int64_t rows = dispatch.offsets.back();
  auto poisonTable = [&](uint8_t *bytes, size_t numBytes) {
    const int64_t bytesPerRow = rows == 0 ? 0 : int64_t(numBytes) / rows;
    for (size_t local = 0; local != dispatch.counts.size(); ++local) {
      const int64_t end = dispatch.offsets[local] + dispatch.counts[local];
      std::fill(bytes + end * bytesPerRow,
                bytes + dispatch.offsets[local + 1] * bytesPerRow, poison);
    }
  };
  for (reference::Bytes *table : {&dispatch.rows, &dispatch.scales})
    poisonTable(table->data(), table->size());
  poisonTable(reinterpret_cast<uint8_t *>(dispatch.rowWeights.data()),
              dispatch.rowWeights.size() * sizeof(float));
}

void RankCheck::draw(int number, Contents contents,
                     const std::function<const RankRouting &(int)> &routingOf,
                     const std::vector<int64_t> &placement) {
  this->number = number;
  this->contents = contents;
  this->placement = placement;
  forEachToFill([&](int of) { drawTokens(of, routingOf(of)); });
  rank.meet();
  if (rank.fills(0)) {
    round.dispatched = reference::dispatch(shape, round.inputs, placement);
    if (shape.capacityRows != 0)
      for (reference::RankDispatch &dispatch : round.dispatched)
        poisonUnused(dispatch);
  }
  rank.meet();
  forEachToFill([&](int of) {
    round.y[size_t(of)] = drawRows(of, shape.outputType, Purpose::ExpertRows);
    if (shape.outputQuantization)
      round.yScales[size_t(of)] = drawScales(of);
    if (hasBackward)
      round.drows[size_t(of)] =
          drawRows(of, shape.rowGradientType(), Purpose::RowGradients);
  });
  rank.meet();
  computeExpected();
}

//===--- Inputs -----------------------------------------------------------===//

void RankCheck::setDispatchInputs(Tensors &tensors) const {
  tensors.setBytes("x", input().x);
  if (shape.isInputQuantized)
    tensors.setBytes(tokenScales, input().xScales);
  tensors.setIntegers("ids", input().ids);
  if (!input().weights.empty())
    tensors.setFloats("weights", input().weights);
  if (shape.hasTable)
    tensors.setIntegers("placement", placement);
}

void RankCheck::setCombineInputs(Tensors &tensors) const {
  tensors.setBytes("y", round.y[size_t(rank.index)]);
  if (shape.outputQuantization)
    tensors.setBytes(outputScales, round.yScales[size_t(rank.index)]);
  if (shape.hasBias)
    tensors.setBytes("bias", input().bias);
  if (shape.hasResidual)
    tensors.setBytes("residual", input().residual);
}

void RankCheck::setCombineBackwardInputs(Tensors &tensors) const {
  tensors.setBytes("dout", round.dout[size_t(rank.index)]);
  if (shape.weighted)
    tensors.setBytes("y", round.y[size_t(rank.index)]);
}

void RankCheck::setDispatchBackwardInputs(Tensors &tensors) const {
  tensors.setBytes("drows", round.drows[size_t(rank.index)]);
}

/// What the whole of a tensor like \p tensor should hold, whose rows are as
/// dispatched() says, and poison behind them.
reference::Bytes RankCheck::scalesByColumns(const DLTensor &tensor) const {
  const reference::Bytes &scales = dispatched().scales;
  constexpr size_t bytesPerElement = 4;
  const size_t columns = size_t(tensor.shape[tensor.ndim - 2]);
  const size_t rows = size_t(tensor.shape[tensor.ndim - 1]); // of a segment
  const size_t segments = tensor.ndim == 3 ? size_t(tensor.shape[0]) : 1;
  reference::Bytes result(segments * columns * rows * bytesPerElement, poison);
  const size_t numRows = scales.size() / (columns * bytesPerElement);
  for (size_t row = 0; row != numRows; ++row)
    for (size_t column = 0; column != columns; ++column) {
      const size_t line = row / rows * columns + column;
      std::copy_n(&scales[(row * columns + column) * bytesPerElement],
                  bytesPerElement,
                  &result[(line * rows + row % rows) * bytesPerElement]);
    }
  return result;
}

//===--- Outputs ----------------------------------------------------------===//

void RankCheck::compareDispatch(const std::string &where,
                                const Tensors &tensors) {
  comparison.integers(where, tensors, "counts", dispatched().counts);
  comparison.integers(where, tensors, "offsets", dispatched().offsets);
  comparison.rowsAndGuard(where, tensors, "rows", shape.rowType,
                          dispatched().rows);
  if (shape.dropsOverflow)
    comparison.integers(where, tensors, "kept_ids", dispatched().keptIds);
  if (shape.hasScalesByColumns)
    comparison.rowsOf(where, tensors, "scales",
                      shape.quantization->scaleElement(),
                      scalesByColumns(tensors["scales"]));
  else if (shape.quantization)
    comparison.rowsAndGuard(where, tensors, "scales",
                            shape.quantization->scaleElement(),
                            dispatched().scales);
  if (shape.hasReady)
    comparison.integers(where, tensors, "ready", dispatched().ready);
  if (shape.isRankMajor)
    comparison.integerRowsAndGuard(where, tensors,
                                   shape.hasGlobalIds ? "row_ids" : "local_ids",
                                   dispatched().rowIds);
  if (!shape.isRankMajor && !shape.hasRowWeights)
    return;
  const std::vector<float> &weights = dispatched().rowWeights;
  const auto *bytes = reinterpret_cast<const uint8_t *>(weights.data());
  comparison.rowsAndGuard(where, tensors, "row_weights",
                          reference::ElementType::F32,
                          {bytes, bytes + weights.size() * sizeof(float)});
}

void RankCheck::compareCombine(const std::string &where,
                               const Tensors &tensors) {
  comparison.rowsOf(where, tensors, "out", shape.combinedType(), expectedOut);
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
  auto countRouted = [](const std::vector<int64_t> &ids) {
    return int64_t(ids.size()) - std::count(ids.begin(), ids.end(), -1);
  };
  int64_t assignments = shape.isRankMajor ? expected.rowsUniqueRank
                                          : countRouted(expected.keptIds);
  auto compare = [&](const char *name, int64_t want, int64_t got) {
    comparison.integer(where, fmt::format("plan info {}", name), want, got);
  };
  compare("tokens", input().tokens, info.tokens);
  compare("assignments", assignments, info.assignments);
  if (!shape.isRankMajor)
    compare("assignmentsDropped", countRouted(ids) - assignments,
            info.assignmentsDropped);
  compare("rowsUniqueRank", expected.rowsUniqueRank, info.rowsUniqueRank);
  compare("rowsUniqueNode", expected.rowsUniqueNode, info.rowsUniqueNode);
  compare("rowsReceived", received, info.rowsReceived);
  compare("rowsPadded", expected.offsets.back(), info.rowsPadded);
}

} // namespace fusco::run
