//===- BackwardTest.cpp - Tests of the reference backward -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The rules of the backward on cases small enough to compute by hand, and the
/// gradients of a whole expert layer against differences of its loss.
//
//===----------------------------------------------------------------------===//
#include "test/reference/TestShapes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>

using namespace fusco::reference;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// The backward of combine for rank 0 of \p shape with one rank, whose outputs
/// of the experts have the encodings \p y.
CombineGradient backwardOf(const Shape &shape, const RankInput &input,
                           const Encodings &dout, const Encodings &y) {
  const std::vector<RankInput> inputs = {input};
  const Bytes doutBytes = bytesOf(shape.tokenType, dout);
  const Bytes yBytes = bytesOf(shape.outputType, y);
  return combineBackward(shape, 0, inputs, dispatch(shape, inputs),
                         {doutBytes.data()}, {yBytes.data()});
}

/// The gradient of the only weight of a token whose row of y is \p y.
uint32_t weightGradientOf(Shape shape, const std::vector<float> &dout,
                          const std::vector<float> &y) {
  shape.hidden = int64_t(y.size());
  auto encode = [](ElementType type, const std::vector<float> &values) {
    Encodings encodings;
    for (float value : values)
      encodings.push_back(narrow(type, value));
    return encodings;
  };
  const Encodings x(y.size(), 0);
  return f32(backwardOf(shape, inputOf(shape, {0}, x),
                        encode(shape.tokenType, dout),
                        encode(shape.outputType, y))
                 .dweights.at(0));
}

TEST(DispatchBackward, SumsTheRowsOfATokenWithoutWeights) {
  Shape shape = f32Shape(1, 2, 2, 2);
  std::vector<RankInput> inputs = {
      inputOf(shape, {0, 1, -1, -1, 1, -1}, {0, 0, 0}, {9, 9, 9, 9, 9, 9}),
      inputOf(shape, {}, {})};
  auto dispatched = dispatch(shape, inputs);
  const std::vector<Bytes> drows = {
      bytesOf(shape.rowType, {f32(1.0f)}),
      bytesOf(shape.rowType, {f32(2.0f), f32(4.0f)})};
  EXPECT_EQ(encodingsOf(shape.tokenType,
                        dispatchBackward(shape, inputs[0], dispatched[0].slots,
                                         pointersTo(drows))),
            (Encodings{f32(3.0f), 0, f32(4.0f)}));
}

TEST(DispatchBackward, ReadsRowsAndWritesTokens) {
  Shape shape = f32Shape(1, 1, 2, 2);
  shape.rowType = ElementType::F16;
  shape.outputType = ElementType::BF16; // has no part in it
  const RankInput input = inputOf(shape, {0, 1}, {0});
  const Bytes drows = bytesOf(ElementType::F16, {0x3C00, 0x0002});
  EXPECT_EQ(encodingsOf(ElementType::F32,
                        dispatchBackward(shape, input,
                                         dispatch(shape, {input})[0].slots,
                                         {drows.data()})),
            (Encodings{f32(1.0f + 0x1p-23f)}));
}

TEST(CombineBackward, RowsAreWeightedAndPadsAreZero) {
  Shape shape = f32Shape(1, 1, 2, 2);
  shape.alignRows = 2;
  const CombineGradient gradient =
      backwardOf(shape, inputOf(shape, {1, 0, -1, 1}, {0, 0}, {2, 3, 4, 5}),
                 {f32(1.0f), f32(10.0f)}, Encodings(4, 0));
  EXPECT_EQ(encodingsOf(shape.outputType, gradient.dy),
            (Encodings{f32(3.0f), 0, f32(2.0f), f32(50.0f)}));
}

TEST(CombineBackward, GathersFromAllRanks) {
  Shape shape = f32Shape(2, 1, 2, 1);
  const std::vector<RankInput> inputs = {inputOf(shape, {1, 0}, {0, 0}, {2, 3}),
                                         inputOf(shape, {1}, {0}, {4})};
  const std::vector<Bytes> dout = {
      bytesOf(shape.tokenType, {f32(1.0f), f32(10.0f)}),
      bytesOf(shape.tokenType, {f32(100.0f)})};
  const std::vector<Bytes> y = {
      bytesOf(shape.outputType, {f32(5.0f)}),
      bytesOf(shape.outputType, {f32(6.0f), f32(7.0f)})};
  auto dispatched = dispatch(shape, inputs);
  auto gradientOf = [&](int rank) {
    return combineBackward(shape, rank, inputs, dispatched, pointersTo(dout),
                           pointersTo(y));
  };
  EXPECT_EQ(encodingsOf(shape.outputType, gradientOf(0).dy),
            (Encodings{f32(30.0f)}));
  EXPECT_EQ(encodingsOf(shape.outputType, gradientOf(1).dy),
            (Encodings{f32(2.0f), f32(400.0f)}));
  EXPECT_EQ(gradientOf(0).dweights, (std::vector<float>{6, 50}));
  EXPECT_EQ(gradientOf(1).dweights, (std::vector<float>{700}));
}

TEST(CombineBackward, ProductsAreRoundedOnceAndKeepZeroAndDenormals) {
  Shape shape = f32Shape(1, 1, 1, 1);
  shape.outputType = ElementType::BF16;
  // A tie to even, a denormal of the result, -0, an overflow and a NaN.
  const CombineGradient gradient = backwardOf(
      shape,
      inputOf(shape, {0, 0, 0, 0, 0}, Encodings(5, 0),
              {1.0f, 0.5f, -1.0f, 2.0f, 0.0f}),
      {0x3F808000, 0x00020000, 0, 0x7F7FFFFF, f32(infinity)}, Encodings(5, 0));
  EXPECT_EQ(encodingsOf(ElementType::BF16, gradient.dy),
            (Encodings{0x3F80, 0x0001, 0x8000, 0x7F80, 0x7FFF}));
}

TEST(CombineBackward, WeightOneIsStillAProduct) {
  Shape shape = f32Shape(1, 1, 1, 1);
  setTypes(shape, ElementType::BF16);
  const RankInput input = inputOf(shape, {0}, {0}, {1.0f});
  EXPECT_EQ(
      encodingsOf(shape.outputType, backwardOf(shape, input, {0xFF81}, {0}).dy),
      (Encodings{0x7FFF}));
}

TEST(CombineBackward, UnweightedRowsKeepTheirBits) {
  Shape shape = f32Shape(1, 1, 1, 1);
  setTypes(shape, ElementType::BF16);
  shape.weighted = false;
  const CombineGradient gradient =
      backwardOf(shape, inputOf(shape, {0}, {0}), {0xFF81}, {0});
  EXPECT_EQ(encodingsOf(shape.outputType, gradient.dy), (Encodings{0xFF81}));
  EXPECT_TRUE(gradient.dweights.empty());
}

TEST(WeightGradient, LanesTakeEvery32ndElement) {
  Shape shape = f32Shape(1, 1, 1, 1);
  // Element 32 follows element 0 in lane 0: 1e30 - 1e30, then lane 1's 1. In
  // the order of the row the 1 would be lost.
  std::vector<float> dout(33, 0.0f), ones(33, 1.0f);
  dout[0] = 1e30f;
  dout[1] = 1.0f;
  dout[32] = -1e30f;
  EXPECT_EQ(weightGradientOf(shape, dout, ones), f32(1.0f));
}

TEST(WeightGradient, LanesAreAddedPairwise) {
  Shape shape = f32Shape(1, 1, 1, 1);
  const std::vector<float> ones(32, 1.0f);
  auto sumOf = [&](int first, int second, int third) {
    std::vector<float> dout(32, 0.0f);
    dout[size_t(first)] = 1e30f;
    dout[size_t(second)] = -1e30f;
    dout[size_t(third)] = 1.0f;
    return weightGradientOf(shape, dout, ones);
  };
  // Of three lanes, the two that meet first cancel, or the 1 is lost.
  EXPECT_EQ(sumOf(3, 19, 11), f32(1.0f)); // n = 16 before 8
  EXPECT_EQ(sumOf(3, 11, 19), f32(0.0f));
  EXPECT_EQ(sumOf(0, 8, 4), f32(1.0f)); // n = 8 before 4
  EXPECT_EQ(sumOf(0, 4, 8), f32(0.0f));
  EXPECT_EQ(sumOf(0, 4, 2), f32(1.0f)); // n = 4 before 2
  EXPECT_EQ(sumOf(0, 2, 4), f32(0.0f));
  EXPECT_EQ(sumOf(0, 2, 1), f32(1.0f)); // n = 2 before 1
  EXPECT_EQ(sumOf(0, 1, 2), f32(0.0f));
}

TEST(WeightGradient, ElementsAreFusedIntoTheirLane) {
  Shape shape = f32Shape(1, 1, 1, 1);
  // As Combine.WithinARankIsAFusedChainOverK.
  const float v = 1.0f + 0x1p-12f;
  std::vector<float> dout(33, 0.0f), y(33, 0.0f);
  dout[0] = -(1.0f + 0x1p-11f);
  y[0] = 1.0f;
  dout[32] = y[32] = v;
  EXPECT_EQ(weightGradientOf(shape, dout, y), f32(0x1p-24f));
}

TEST(WeightGradient, TypesMayDiffer) {
  Shape shape = f32Shape(1, 1, 1, 1);
  shape.tokenType = ElementType::BF16;
  shape.outputType = ElementType::F16;
  EXPECT_EQ(weightGradientOf(shape, {2.0f, 3.0f}, {0.5f, 0x1p-24f}),
            f32(1.0f + 0x3p-24f));
}

TEST(WeightGradient, ZerosAndNaNs) {
  Shape shape = f32Shape(1, 1, 1, 2);
  // +0 where there is no assignment, whatever dout holds.
  const std::vector<float> none =
      backwardOf(shape, inputOf(shape, {-1, -1}, {0}), {f32(infinity)}, {})
          .dweights;
  EXPECT_EQ(f32(none[0]), 0u);
  EXPECT_EQ(f32(none[1]), 0u);
  shape.topk = 1;
  EXPECT_EQ(weightGradientOf(shape, {-0.0f}, {1.0f}), 0u);
  EXPECT_EQ(weightGradientOf(shape, {infinity}, {0.0f}), 0x7FFFFFFFu);
}

//===----------------------------------------------------------------------===//
// Against differences
//===----------------------------------------------------------------------===//

/// An expert layer in float32 whose expert e multiplies each element by a
/// factor of its own, and the loss sum(g * out).
class Layer {
public:
  explicit Layer(int seed) : engine(uint64_t(seed)) {
    auto pick = [&](int least, int most) {
      return std::uniform_int_distribution<int>(least, most)(engine);
    };
    shape = f32Shape(pick(1, 2), pick(1, 3), pick(1, 9), pick(1, 4));
    shape.hidden = pick(1, 70);
    shape.alignRows = pick(1, 4);
    factors = random(shape.experts * shape.hidden);
    for (int rank = 0; rank != shape.numRanks(); ++rank) {
      RankInput input;
      input.tokens = pick(0, 4);
      for (int64_t i = 0; i != input.tokens * shape.topk; ++i)
        input.ids.push_back(pick(-1, int(shape.experts) - 1));
      input.weights = random(input.tokens * shape.topk);
      input.x = encode(random(input.tokens * shape.hidden));
      g.push_back(encode(random(input.tokens * shape.hidden)));
      inputs.push_back(std::move(input));
    }
    dispatched = dispatch(shape, inputs);
    y = applyExperts();
  }

  /// The outputs of all ranks' experts.
  std::vector<Bytes> applyExperts() const {
    std::vector<Bytes> result;
    for (const RankDispatch &rank : dispatch(shape, inputs))
      result.push_back(rank.rows);
    scale(result);
    return result;
  }

  /// Multiplies each assignment's row in \p rows by its expert's factors: the
  /// experts, and their backward too.
  void scale(std::vector<Bytes> &rows) const {
    for (size_t source = 0; source != inputs.size(); ++source)
      for (size_t pair = 0; pair != inputs[source].ids.size(); ++pair) {
        const Slot &slot = dispatched[source].slots[pair];
        for (int64_t h = 0; slot.rank >= 0 && h != shape.hidden; ++h)
          at(rows[size_t(slot.rank)], slot.row * shape.hidden + h) *=
              factors[size_t(inputs[source].ids[pair] * shape.hidden + h)];
      }
  }

  double loss(const std::vector<Bytes> &outputs) const {
    const std::vector<Bytes> out =
        combine(shape, inputs, dispatched, pointersTo(outputs));
    double sum = 0;
    for (size_t rank = 0; rank != out.size(); ++rank)
      for (int64_t i = 0; i != inputs[rank].tokens * shape.hidden; ++i)
        sum += double(at(g[rank], i)) * double(at(out[rank], i));
    return sum;
  }

  static float &at(Bytes &bytes, int64_t element) {
    return reinterpret_cast<float *>(bytes.data())[element];
  }
  static float at(const Bytes &bytes, int64_t element) {
    return reinterpret_cast<const float *>(bytes.data())[element];
  }

  Shape shape;
  std::vector<RankInput> inputs;
  std::vector<Bytes> g, y;
  std::vector<RankDispatch> dispatched;

private:
  std::vector<float> random(int64_t count) {
    std::uniform_real_distribution<float> distribution(-1, 1);
    std::vector<float> values(static_cast<size_t>(count));
    for (float &value : values)
      value = distribution(engine);
    return values;
  }
  static Bytes encode(const std::vector<float> &values) {
    const auto *bytes = reinterpret_cast<const uint8_t *>(values.data());
    return Bytes(bytes, bytes + values.size() * sizeof(float));
  }

  std::mt19937_64 engine;
  std::vector<float> factors; ///< [experts, hidden]
};

/// How the loss changes with \p value. It is linear in every single value, so
/// that a wide step has no error but rounding.
double differenceQuotient(float &value, const std::function<double()> &loss) {
  constexpr float step = 0.5f;
  const float before = value;
  value = before + step;
  const double above = loss();
  value = before - step;
  const double below = loss();
  value = before;
  return (above - below) / (2 * step);
}

class Differences : public testing::TestWithParam<int> {};

TEST_P(Differences, AreTheGradients) {
  constexpr double tolerance = 2e-5;
  Layer layer(GetParam());
  const Shape &shape = layer.shape;
  std::vector<CombineGradient> gradients;
  std::vector<Bytes> drows;
  for (int rank = 0; rank != shape.numRanks(); ++rank) {
    gradients.push_back(combineBackward(shape, rank, layer.inputs,
                                        layer.dispatched, pointersTo(layer.g),
                                        pointersTo(layer.y)));
    drows.push_back(gradients.back().dy);
  }
  layer.scale(drows);

  for (size_t rank = 0; rank != layer.inputs.size(); ++rank) {
    RankInput &input = layer.inputs[rank];
    const Bytes dx = dispatchBackward(
        shape, input, layer.dispatched[rank].slots, pointersTo(drows));
    for (int64_t i = 0; i != input.tokens * shape.hidden; ++i)
      EXPECT_NEAR(
          differenceQuotient(Layer::at(input.x, i),
                             [&] { return layer.loss(layer.applyExperts()); }),
          Layer::at(dx, i), tolerance)
          << "x of rank " << rank << ", element " << i;
    for (size_t i = 0; i != input.weights.size(); ++i)
      EXPECT_NEAR(differenceQuotient(input.weights[i],
                                     [&] { return layer.loss(layer.y); }),
                  gradients[rank].dweights[i], tolerance)
          << "weights of rank " << rank << ", element " << i;
    const int64_t numRows = layer.dispatched[rank].offsets.back();
    for (int64_t i = 0; i != numRows * shape.hidden; ++i)
      EXPECT_NEAR(differenceQuotient(Layer::at(layer.y[rank], i),
                                     [&] { return layer.loss(layer.y); }),
                  Layer::at(gradients[rank].dy, i), tolerance)
          << "y of rank " << rank << ", element " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Differences, testing::Range(0, 12));

} // namespace
