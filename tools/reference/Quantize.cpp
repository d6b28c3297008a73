//===- Quantize.cpp - Rows in float8 with block scales --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Quantisation, one block after the other.
//
//===----------------------------------------------------------------------===//
#include "tools/reference/Quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace fusco::reference {
namespace {

using ScaleType = Quantization::ScaleType;

constexpr int scalesPerI32 = 4;
/// No block's amax is smaller: scales and their inverses stay normal numbers.
constexpr float minAmax = 0x1p-110f;

int64_t ceilDiv(int64_t value, int64_t divisor) {
  return (value + divisor - 1) / divisor;
}

float largestOf(ElementType type) {
  return type == ElementType::F8E4M3FN ? 448.0f : 57344.0f;
}

/// The smallest e with amax <= largest * 2^e. As fractions in [0.5, 1) times
/// powers of two, that is the difference of the exponents, and one more if
/// amax has the larger fraction.
int scaleExponent(float amax, float largest) {
  int amaxExponent, largestExponent;
  const float amaxFraction = std::frexp(amax, &amaxExponent);
  const float largestFraction = std::frexp(largest, &largestExponent);
  return amaxExponent - largestExponent +
         (amaxFraction > largestFraction ? 1 : 0);
}

} // namespace

int64_t Quantization::scalesPerRow(int64_t hidden) const {
  return ceilDiv(hidden, blockColumns);
}

ElementType Quantization::scaleElement() const {
  return scaleType == ScaleType::F32 ? ElementType::F32 : ElementType::I32;
}

int64_t Quantization::scaleColumns(int64_t hidden) const {
  return scaleType == ScaleType::F32
             ? scalesPerRow(hidden)
             : ceilDiv(scalesPerRow(hidden), scalesPerI32);
}

void quantizeRow(const Quantization &quantization, ElementType from,
                 int64_t hidden, const uint8_t *row, uint8_t *data,
                 uint8_t *scales) {
  const float largest = largestOf(quantization.type);
  std::memset(scales, 0, size_t(quantization.bytesOfScalesPerRow(hidden)));
  for (int64_t block = 0; block != quantization.scalesPerRow(hidden); ++block) {
    const int64_t begin = block * quantization.blockColumns;
    const int64_t end = std::min(begin + quantization.blockColumns, hidden);
    float amax = minAmax;
    for (int64_t h = begin; h != end; ++h) {
      const float magnitude = std::fabs(widen(from, loadElement(from, row, h)));
      if (std::isfinite(magnitude))
        amax = std::max(amax, magnitude);
    }
    float inverse;
    if (quantization.scaleType == ScaleType::F32) {
      inverse = largest / amax;
      storeElement(ElementType::F32, scales, block,
                   narrow(ElementType::F32, amax / largest));
    } else {
      const int exponent = scaleExponent(amax, largest);
      inverse = std::ldexp(1.0f, -exponent);
      scales[block] = uint8_t(exponent + 127); // little endian: in order
    }
    for (int64_t h = begin; h != end; ++h) {
      const float product = widen(from, loadElement(from, row, h)) * inverse;
      storeElement(quantization.type, data, h,
                   narrow(quantization.type, product));
    }
  }
}

void dequantizeRow(const Quantization &quantization, int64_t hidden,
                   const uint8_t *data, const uint8_t *scales, float *row) {
  for (int64_t h = 0; h != hidden; ++h) {
    const int64_t block = h / quantization.blockColumns;
    float scale;
    if (quantization.scaleType == ScaleType::F32)
      scale =
          widen(ElementType::F32, loadElement(ElementType::F32, scales, block));
    else if (scales[block] == 255)
      scale = std::numeric_limits<float>::quiet_NaN();
    else
      scale = std::ldexp(1.0f, int(scales[block]) - 127);
    row[h] = widen(quantization.type, loadElement(quantization.type, data, h)) *
             scale;
  }
}

} // namespace fusco::reference
