//===- FloatTest.cpp - Tests of the element conversions -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Widening and narrowing against hand-computed encodings, and against a second
/// definition that uses the arithmetic of double instead of integers.
//
//===----------------------------------------------------------------------===//
#include "tools/reference/Float.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace fusco::reference;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

float floatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// The finite value nearest to \p value in a format with \p fractionBits and
/// smallest normal exponent \p minExponent, in double, unbounded above.
double roundedInDouble(float value, int fractionBits, int minExponent) {
  if (value == 0.0f)
    return value;
  int exponent = std::max(std::ilogb(value), minExponent);
  double unit = std::ldexp(1.0, exponent - fractionBits);
  return std::nearbyint(double(value) / unit) * unit; // ties to even
}

void expectNearest(ElementType type, float value, int fractionBits,
                   int minExponent, double overflow,
                   double overflowsTo = infinity) {
  double expected = roundedInDouble(value, fractionBits, minExponent);
  if (std::fabs(expected) >= overflow)
    expected = std::copysign(overflowsTo, value);
  float got = widen(type, narrow(type, value));
  EXPECT_EQ(double(got), expected) << "value " << value;
  EXPECT_EQ(std::signbit(got), std::signbit(value)) << "value " << value;
}

TEST(Float, BytesPerElement) {
  EXPECT_EQ(bytesPerElement(ElementType::BF16), 2);
  EXPECT_EQ(bytesPerElement(ElementType::F16), 2);
  EXPECT_EQ(bytesPerElement(ElementType::F32), 4);
  EXPECT_EQ(bytesPerElement(ElementType::F8E4M3FN), 1);
  EXPECT_EQ(bytesPerElement(ElementType::F8E5M2), 1);
  EXPECT_EQ(bytesPerElement(ElementType::I32), 4);
}

TEST(Float, Bf16TiesGoToEven) {
  EXPECT_EQ(narrow(ElementType::BF16, 1.0f), 0x3F80u);
  EXPECT_EQ(narrow(ElementType::BF16, floatOf(0x3F808000)), 0x3F80u);
  EXPECT_EQ(narrow(ElementType::BF16, floatOf(0x3F808001)), 0x3F81u);
  EXPECT_EQ(narrow(ElementType::BF16, floatOf(0x3F818000)), 0x3F82u);
  EXPECT_EQ(narrow(ElementType::BF16, floatOf(0xBF818000)), 0xBF82u);
}

TEST(Float, Bf16KeepsDenormalsAndOverflowsToInfinity) {
  EXPECT_EQ(narrow(ElementType::BF16, floatOf(0x00010000)), 0x0001u);
  EXPECT_EQ(narrow(ElementType::BF16, floatOf(0x00008000)), 0x0000u); // tie
  EXPECT_EQ(narrow(ElementType::BF16, floatOf(0x00018000)), 0x0002u); // tie
  EXPECT_EQ(narrow(ElementType::BF16, floatOf(0x80000001)), 0x8000u);
  EXPECT_EQ(narrow(ElementType::BF16, floatOf(0x007FFFFF)), 0x0080u);
  EXPECT_EQ(narrow(ElementType::BF16, floatOf(0x7F7FFFFF)), 0x7F80u);
  EXPECT_EQ(narrow(ElementType::BF16, floatOf(0x7F7F7FFF)), 0x7F7Fu);
}

TEST(Float, F16TiesDenormalsOverflow) {
  EXPECT_EQ(narrow(ElementType::F16, 1.0f), 0x3C00u);
  EXPECT_EQ(narrow(ElementType::F16, 1.0f + 0x1p-11f), 0x3C00u);
  EXPECT_EQ(narrow(ElementType::F16, 1.0f + 0x3p-11f), 0x3C02u);
  EXPECT_EQ(narrow(ElementType::F16, 65504.0f), 0x7BFFu);
  EXPECT_EQ(narrow(ElementType::F16, floatOf(0x477FEFFF)), 0x7BFFu);
  EXPECT_EQ(narrow(ElementType::F16, 65520.0f), 0x7C00u); // tie, even: infinity
  EXPECT_EQ(narrow(ElementType::F16, -1e30f), 0xFC00u);
  EXPECT_EQ(narrow(ElementType::F16, 0x1p-24f), 0x0001u);
  EXPECT_EQ(narrow(ElementType::F16, 0x1p-25f), 0x0000u); // tie
  EXPECT_EQ(narrow(ElementType::F16, 0x3p-25f), 0x0002u); // tie
  EXPECT_EQ(narrow(ElementType::F16, -0x1.000002p-25f), 0x8001u);
  EXPECT_EQ(narrow(ElementType::F16, floatOf(0x387FFFFF)), 0x0400u);
  EXPECT_EQ(narrow(ElementType::F16, -0.0f), 0x8000u);
}

TEST(Float, E4M3FNTiesDenormalsSaturation) {
  constexpr ElementType type = ElementType::F8E4M3FN;
  EXPECT_EQ(narrow(type, 1.0f), 0x38u);
  EXPECT_EQ(narrow(type, 1.0625f), 0x38u); // tie
  EXPECT_EQ(narrow(type, 1.1875f), 0x3Au); // tie
  EXPECT_EQ(narrow(type, -1.0625001f), 0xB9u);
  EXPECT_EQ(narrow(type, 448.0f), 0x7Eu);
  EXPECT_EQ(narrow(type, 463.99997f), 0x7Eu);
  EXPECT_EQ(narrow(type, 464.0f), 0x7Eu); // would be a tie with 480
  EXPECT_EQ(narrow(type, -480.0f), 0xFEu);
  EXPECT_EQ(narrow(type, -1e30f), 0xFEu);
  EXPECT_EQ(narrow(type, 0x1p-9f), 0x01u);
  EXPECT_EQ(narrow(type, 0x1p-10f), 0x00u); // tie
  EXPECT_EQ(narrow(type, 0x3p-10f), 0x02u); // tie
  EXPECT_EQ(narrow(type, -0x1.000002p-10f), 0x81u);
  EXPECT_EQ(narrow(type, 0x0.FFFFFFp-6f), 0x08u); // into the normal numbers
  EXPECT_EQ(narrow(type, -0x1p-149f), 0x80u);
  EXPECT_EQ(narrow(type, -0.0f), 0x80u);
}

TEST(Float, E5M2TiesDenormalsSaturation) {
  constexpr ElementType type = ElementType::F8E5M2;
  EXPECT_EQ(narrow(type, 1.0f), 0x3Cu);
  EXPECT_EQ(narrow(type, 1.125f), 0x3Cu); // tie
  EXPECT_EQ(narrow(type, 1.375f), 0x3Eu); // tie
  EXPECT_EQ(narrow(type, 57344.0f), 0x7Bu);
  EXPECT_EQ(narrow(type, 61440.0f), 0x7Bu); // would be a tie with infinity
  EXPECT_EQ(narrow(type, -65536.0f), 0xFBu);
  EXPECT_EQ(narrow(type, 0x1p-16f), 0x01u);
  EXPECT_EQ(narrow(type, 0x1p-17f), 0x00u); // tie
  EXPECT_EQ(narrow(type, 0x3p-17f), 0x02u); // tie
  EXPECT_EQ(narrow(type, -0x1.000002p-17f), 0x81u);
  EXPECT_EQ(narrow(type, -0.0f), 0x80u);
}

TEST(Float, EveryNaNHasOneEncoding) {
  for (uint32_t bits : {0x7FC00000u, 0xFFC00000u, 0x7F800001u, 0xFFFFFFFFu}) {
    EXPECT_EQ(narrow(ElementType::BF16, floatOf(bits)), 0x7FFFu);
    EXPECT_EQ(narrow(ElementType::F16, floatOf(bits)), 0x7FFFu);
    EXPECT_EQ(narrow(ElementType::F32, floatOf(bits)), 0x7FFFFFFFu);
    EXPECT_EQ(narrow(ElementType::F8E4M3FN, floatOf(bits)), 0x7Fu);
    EXPECT_EQ(narrow(ElementType::F8E5M2, floatOf(bits)), 0x7Fu);
  }
}

TEST(Float, Infinity) {
  EXPECT_EQ(narrow(ElementType::BF16, infinity), 0x7F80u);
  EXPECT_EQ(narrow(ElementType::F16, -infinity), 0xFC00u);
  EXPECT_EQ(narrow(ElementType::F32, -infinity), 0xFF800000u);
  EXPECT_EQ(widen(ElementType::F16, 0x7C00), infinity);
  EXPECT_EQ(widen(ElementType::BF16, 0xFF80), -infinity);
  EXPECT_EQ(narrow(ElementType::F8E4M3FN, infinity), 0x7Eu);
  EXPECT_EQ(narrow(ElementType::F8E5M2, -infinity), 0xFBu);
  EXPECT_EQ(widen(ElementType::F8E5M2, 0xFC), -infinity);
}

TEST(Float, EveryEncodingSurvivesWideningAndNarrowing) {
  for (uint32_t bits = 0; bits != 0x10000; ++bits)
    for (ElementType type : {ElementType::BF16, ElementType::F16}) {
      float value = widen(type, bits);
      EXPECT_EQ(narrow(type, value), std::isnan(value) ? 0x7FFFu : bits);
    }
}

TEST(Float, EveryFloat8SurvivesWideningAndNarrowing) {
  for (uint32_t bits = 0; bits != 0x100; ++bits)
    for (ElementType type : {ElementType::F8E4M3FN, ElementType::F8E5M2}) {
      const float value = widen(type, bits);
      uint32_t expected = bits;
      if (std::isnan(value))
        expected = 0x7F;
      else if (std::isinf(value))
        expected = bits - 1; // the largest finite number
      EXPECT_EQ(narrow(type, value), expected);
    }
}

TEST(Float, WidenFloat8IsTheValueOfTheFormat) {
  for (int bits = 0; bits != 0x7F; ++bits) {
    const int exponent = bits >> 3, fraction = bits & 7;
    const double value = exponent == 0
                             ? std::ldexp(fraction, -9)
                             : std::ldexp(8 + fraction, exponent - 10);
    EXPECT_EQ(double(widen(ElementType::F8E4M3FN, uint32_t(bits))), value);
    EXPECT_EQ(double(widen(ElementType::F8E4M3FN, uint32_t(bits | 0x80))),
              -value);
  }
  EXPECT_TRUE(std::isnan(widen(ElementType::F8E4M3FN, 0x7F)));
  EXPECT_TRUE(std::isnan(widen(ElementType::F8E4M3FN, 0xFF)));
  // E5M2 is the upper half of f16, its infinities and NaNs included.
  for (uint32_t bits = 0; bits != 0x100; ++bits) {
    const float value = widen(ElementType::F8E5M2, bits);
    const float expected = widen(ElementType::F16, bits << 8);
    EXPECT_EQ(std::memcmp(&value, &expected, sizeof value), 0) << bits;
  }
}

TEST(Float, WidenF16IsTheValueOfTheFormat) {
  for (uint32_t bits = 0; bits != 0x7C00; ++bits) {
    int exponent = int(bits >> 10), fraction = int(bits & 0x3FF);
    double value = exponent == 0 ? std::ldexp(fraction, -24)
                                 : std::ldexp(1024 + fraction, exponent - 25);
    EXPECT_EQ(double(widen(ElementType::F16, bits)), value);
    EXPECT_EQ(double(widen(ElementType::F16, bits | 0x8000)), -value);
  }
}

TEST(Float, NarrowAgreesWithArithmeticInDouble) {
  std::mt19937 random(20240229);
  for (int i = 0; i != 1000000; ++i) {
    float value = floatOf(uint32_t(random()));
    if (!std::isfinite(value))
      continue;
    expectNearest(ElementType::BF16, value, 7, -126, 0x1p128);
    // Most floats are far outside f16 and float8: bring them near.
    int exponent;
    float near =
        std::ldexp(std::frexp(value, &exponent), int(random() % 48) - 28);
    expectNearest(ElementType::F16, near, 10, -14, 0x1p16);
    expectNearest(ElementType::F8E4M3FN, near, 3, -6, 448, 448);
    expectNearest(ElementType::F8E5M2, near, 2, -14, 57344, 57344);
  }
}

TEST(Float, LoadAndStoreNeedNoAlignment) {
  uint8_t bytes[9] = {};
  storeElement(ElementType::BF16, bytes + 1, 1, 0xABCD);
  EXPECT_EQ(bytes[3], 0xCD);
  EXPECT_EQ(bytes[4], 0xAB);
  EXPECT_EQ(loadElement(ElementType::BF16, bytes + 1, 1), 0xABCDu);
  storeElement(ElementType::F32, bytes + 1, 1, 0x01020304);
  EXPECT_EQ(loadElement(ElementType::F32, bytes + 1, 1), 0x01020304u);
  EXPECT_EQ(bytes[5], 4);
  EXPECT_EQ(loadElement(ElementType::F16, bytes + 1, 1), 0xABCDu);
}

} // namespace
