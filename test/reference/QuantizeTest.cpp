//===- QuantizeTest.cpp - Tests of rows in float8 with block scales -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Each rule of quantisation on a row small enough to compute by hand.
/// quantize.test compares many rows with another implementation.
//
//===----------------------------------------------------------------------===//
#include "test/reference/TestShapes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

using namespace fusco::reference;

namespace {

using ScaleType = Quantization::ScaleType;

constexpr ElementType e4m3 = ElementType::F8E4M3FN;
constexpr ElementType e5m2 = ElementType::F8E5M2;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// A quantised row.
struct Quantized {
  Encodings data;
  Bytes scales;

  float scale(int64_t block) const {
    return widen(ElementType::F32,
                 loadElement(ElementType::F32, scales.data(), block));
  }
};

Quantized quantize(const Quantization &quantization,
                   const std::vector<float> &row) {
  Encodings encodings;
  for (float value : row)
    encodings.push_back(f32(value));
  const Bytes in = bytesOf(ElementType::F32, encodings);
  const int64_t hidden = int64_t(row.size());
  Bytes data(row.size(), 0xAA);
  Quantized result;
  result.scales.assign(size_t(quantization.bytesOfScalesPerRow(hidden)), 0xAA);
  quantizeRow(quantization, ElementType::F32, hidden, in.data(), data.data(),
              result.scales.data());
  result.data = encodingsOf(quantization.type, data);
  return result;
}

/// The byte of the only block of a row whose largest magnitude is \p amax.
int ue8m0Of(ElementType type, float amax) {
  return quantize({type, 4, ScaleType::UE8M0}, {0.0f, -amax, 0.0f}).scales[0];
}

TEST(Quantize, SizesOfScales) {
  const Quantization f32Scales = {e4m3, 128, ScaleType::F32};
  EXPECT_EQ(f32Scales.scalesPerRow(2880), 23);
  EXPECT_EQ(f32Scales.scaleColumns(2880), 23);
  EXPECT_EQ(f32Scales.scaleElement(), ElementType::F32);
  EXPECT_EQ(f32Scales.bytesOfScalesPerRow(2880), 92);
  EXPECT_EQ(f32Scales.scalesPerRow(7), 1);
  const Quantization packed = {e5m2, 128, ScaleType::UE8M0};
  EXPECT_EQ(packed.scalesPerRow(2880), 23);
  EXPECT_EQ(packed.scaleColumns(2880), 6);
  EXPECT_EQ(packed.scaleElement(), ElementType::I32);
  EXPECT_EQ(packed.bytesOfScalesPerRow(2880), 24);
  EXPECT_EQ(packed.scaleColumns(512), 1);
  EXPECT_EQ(packed.scaleColumns(513), 2);
}

TEST(Quantize, LastBlockMayBeShorter) {
  // 23 blocks; amax of block b is b + 1, that of the last lies in its 64.
  std::vector<float> row(2880, 0.0f);
  for (size_t block = 0; block != 23; ++block)
    row[block * 128 + 63] = -float(block + 1);
  const Quantized result = quantize({e4m3, 128, ScaleType::F32}, row);
  EXPECT_EQ(result.scales.size(), 92u);
  for (size_t h = 0; h != row.size(); ++h)
    EXPECT_EQ(result.data[h], row[h] == 0.0f ? 0x00u : 0xFEu) << h;
  for (int64_t block = 0; block != 23; ++block)
    EXPECT_EQ(result.scale(block), float(block + 1) / 448.0f);
}

TEST(Quantize, RowShorterThanABlock) {
  const std::vector<float> row = {448, 1, -2, 3.0625f, 0.25f, -0.0f, 0};
  const Quantized result = quantize({e4m3, 128, ScaleType::F32}, row);
  EXPECT_EQ(result.scale(0), 1.0f);
  EXPECT_EQ(result.data, (Encodings{0x7E, 0x38, 0xC0, 0x44, 0x28, 0x80, 0x00}));
}

TEST(Quantize, OneScalePerToken) {
  const std::vector<float> row = {1, -57344, 0, 2, 4, 8, 16};
  const Quantized result = quantize({e5m2, 7, ScaleType::F32}, row);
  EXPECT_EQ(result.scales.size(), 4u);
  EXPECT_EQ(result.scale(0), 1.0f);
  EXPECT_EQ(result.data, (Encodings{0x3C, 0xFB, 0x00, 0x40, 0x44, 0x48, 0x4C}));
}

TEST(Quantize, ScaleAndInverseAreOneDivisionEach) {
  // 267 * 448 / 356 is 336, a tie between 320 and 352. The inverse is rounded
  // up, hence the product too: 352. Division by the scale would give 320, and
  // so would the inverse of the scale.
  const Quantized result = quantize({e4m3, 2, ScaleType::F32}, {356, 267});
  EXPECT_EQ(result.scale(0), 0x1.96DB6Ep-1f); // 356 / 448
  EXPECT_EQ(result.data, (Encodings{0x7E, 0x7B}));
}

TEST(Quantize, ZeroBlocksHaveTheSmallestScale) {
  const std::vector<float> row = {0.0f, -0.0f};
  Quantized result = quantize({e4m3, 2, ScaleType::F32}, row);
  EXPECT_EQ(result.scale(0), 0x1p-110f / 448.0f);
  EXPECT_EQ(result.data, (Encodings{0x00, 0x80}));
  // 2^-110 <= 448 * 2^-118, and 57344 * 2^-125.
  result = quantize({e4m3, 2, ScaleType::UE8M0}, row);
  EXPECT_EQ(result.scales, (Bytes{127 - 118, 0, 0, 0}));
  EXPECT_EQ(result.data, (Encodings{0x00, 0x80}));
  result = quantize({e5m2, 2, ScaleType::UE8M0}, row);
  EXPECT_EQ(result.scales, (Bytes{127 - 125, 0, 0, 0}));
}

TEST(Quantize, TinyBlocksAreMeasuredWithTheSmallestScale) {
  // The inverse is 448 * 2^110. Two of the four are float32 denormals; the last
  // becomes -1.75 units of 2^-9.
  Quantized result = quantize({e4m3, 4, ScaleType::F32},
                              {-0x1p-149f, 0x1p-119f, 0x1p-126f, -0x1p-127f});
  EXPECT_EQ(result.scale(0), 0x1p-110f / 448.0f);
  EXPECT_EQ(result.data, (Encodings{0x80, 0x36, 0x04, 0x82}));
  result = quantize({e5m2, 1, ScaleType::UE8M0}, {0x1p-127f});
  EXPECT_EQ(result.scales, (Bytes{127 - 125, 0, 0, 0}));
  EXPECT_EQ(result.data, (Encodings{0x34})); // 2^-127 * 2^125
}

TEST(Quantize, NaNsAndInfinitiesDoNotCount) {
  const std::vector<float> row = {nan, -infinity, 2.0f, infinity, -nan, 1.0f};
  Quantized result = quantize({e4m3, 6, ScaleType::F32}, row);
  EXPECT_EQ(result.scale(0), 2.0f / 448.0f);
  EXPECT_EQ(result.data, (Encodings{0x7F, 0xFE, 0x7E, 0x7E, 0x7F, 0x76}));
  result = quantize({e5m2, 2, ScaleType::UE8M0}, {nan, -infinity});
  EXPECT_EQ(result.scales, (Bytes{127 - 125, 0, 0, 0}));
  EXPECT_EQ(result.data, (Encodings{0x7F, 0xFB}));
}

TEST(Quantize, PowerOfTwoIsTheSmallestThatHoldsAmax) {
  for (ElementType type : {e4m3, e5m2}) {
    const float largest = type == e4m3 ? 448.0f : 57344.0f;
    for (int k = -100; k <= 100; ++k) {
      const float amax = std::ldexp(largest, k);
      EXPECT_EQ(ue8m0Of(type, amax), 127 + k);
      EXPECT_EQ(ue8m0Of(type, std::nextafter(amax, infinity)), 127 + k + 1);
      EXPECT_EQ(ue8m0Of(type, std::nextafter(amax, 0.0f)), 127 + k);
    }
  }
  EXPECT_EQ(ue8m0Of(e4m3, std::numeric_limits<float>::max()), 127 + 120);
  EXPECT_EQ(ue8m0Of(e5m2, 1.0f), 127 - 15);
}

TEST(Quantize, PowersOfTwoArePackedFourToAnInteger) {
  const Quantized result = quantize({e4m3, 1, ScaleType::UE8M0},
                                    {448, 896, 1792, 3584, 7168, -14336});
  EXPECT_EQ(result.scales, (Bytes{127, 128, 129, 130, 131, 132, 0, 0}));
  EXPECT_EQ(loadElement(ElementType::I32, result.scales.data(), 0),
            0x8281807Fu);
  EXPECT_EQ(result.data, (Encodings{0x7E, 0x7E, 0x7E, 0x7E, 0x7E, 0xFE}));
}

TEST(Quantize, DispatchFillsScalesAndPadsAreZero) {
  Shape shape = f32Shape(1, 2, 2, 1);
  shape.hidden = 3;
  shape.alignRows = 2;
  shape.rowType = e4m3;
  shape.quantization = {e4m3, 2, ScaleType::F32};
  // Rank 1 gets the token of rank 0 and a pad; rank 0 gets nothing.
  auto out =
      dispatch(shape, {inputOf(shape, {1}, {f32(448), f32(-224), f32(896)}),
                       inputOf(shape, {-1}, {f32(1), f32(2), f32(3)})});
  EXPECT_TRUE(out[0].rows.empty());
  EXPECT_TRUE(out[0].scales.empty());
  EXPECT_EQ(encodingsOf(e4m3, out[1].rows),
            (Encodings{0x7E, 0xF6, 0x7E, 0, 0, 0}));
  EXPECT_EQ(encodingsOf(ElementType::F32, out[1].scales),
            (Encodings{f32(1), f32(2), 0, 0}));
  // Without quantization there are no scales.
  shape.quantization.reset();
  out = dispatch(shape, {inputOf(shape, {1}, {f32(448), f32(-224), f32(896)}),
                         inputOf(shape, {}, {})});
  EXPECT_EQ(encodingsOf(e4m3, out[1].rows),
            (Encodings{0x7E, 0xF6, 0x7E, 0, 0, 0}));
  EXPECT_TRUE(out[1].scales.empty());
}

TEST(Quantize, DispatchPacksScales) {
  Shape shape = f32Shape(1, 1, 1, 1);
  setTypes(shape, ElementType::BF16);
  shape.hidden = 7;
  shape.alignRows = 4;
  shape.rowType = e5m2;
  shape.quantization = {e5m2, 1, ScaleType::UE8M0};
  const Encodings ones(7, 0x3F80); // 1.0 = 2^15 * 2^-15
  const auto out = dispatch(shape, {inputOf(shape, {0}, ones)});
  Encodings scales(8, 0);
  scales[0] = 0x70707070;
  scales[1] = 0x00707070;
  EXPECT_EQ(encodingsOf(ElementType::I32, out[0].scales), scales);
  EXPECT_EQ(out[0].rows.size(), 28u);
  EXPECT_EQ(out[0].rows[6], 0x78);
  EXPECT_EQ(out[0].rows[7], 0x00);
}

TEST(Dequantize, MultipliesByTheScaleOfTheBlock) {
  // 1, -0, the largest, NaN, and one of the next block.
  const uint8_t data[] = {0x38, 0x80, 0x7E, 0xFF, 0x38};
  const float scales[] = {3.0f, 0x1p-149f};
  float row[5];
  dequantizeRow({e4m3, 4, ScaleType::F32}, 5, data,
                reinterpret_cast<const uint8_t *>(scales), row);
  EXPECT_EQ(row[0], 3.0f);
  EXPECT_TRUE(row[1] == 0 && std::signbit(row[1]));
  EXPECT_EQ(row[2], 1344.0f);
  EXPECT_TRUE(std::isnan(row[3]));
  EXPECT_EQ(row[4], 0x1p-149f);
}

TEST(Dequantize, TakesEveryByteOfAPowerOfTwo) {
  const uint8_t data[] = {0x3C, 0x3C, 0x3C, 0x3C}; // 1 in e5m2
  const uint8_t scales[] = {0, 127, 254, 255};
  float row[4];
  dequantizeRow({e5m2, 1, ScaleType::UE8M0}, 4, data, scales, row);
  EXPECT_EQ(row[0], 0x1p-127f);
  EXPECT_EQ(row[1], 1.0f);
  EXPECT_EQ(row[2], 0x1p127f);
  EXPECT_TRUE(std::isnan(row[3]));
}

TEST(Quantize, DispatchRefusesWhatDoesNotFit) {
  Shape shape = f32Shape(1, 1, 1, 1);
  const RankInput input = inputOf(shape, {0}, {0});
  shape.quantization = {e4m3, 128, ScaleType::F32};
  shape.rowType = e5m2;
  EXPECT_THROW(dispatch(shape, {input}), std::invalid_argument);
  shape.rowType = e4m3;
  EXPECT_NO_THROW(dispatch(shape, {input}));
  shape.quantization->blockColumns = 0;
  EXPECT_THROW(dispatch(shape, {input}), std::invalid_argument);
  shape.quantization = {ElementType::F32, 128, ScaleType::F32};
  shape.rowType = ElementType::F32;
  EXPECT_THROW(dispatch(shape, {input}), std::invalid_argument);
}

} // namespace
