//===- RowContents.cpp - What the rows of a run hold ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Random bits, random numbers, and what makes them special.
//
//===----------------------------------------------------------------------===//
#include "tools/run/RowContents.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace fusco::run {
namespace {

using reference::ElementType;

/// Encodings at the edges of \p type: -0, the smallest and the largest
/// denormal, the largest number, the infinities, a quiet and a signalling NaN.
std::array<uint32_t, 8> specialsOf(ElementType type) {
  switch (type) {
  case ElementType::BF16:
    return {0x8000, 0x0001, 0x807F, 0x7F7F, 0x7F80, 0xFF80, 0x7FC1, 0xFF81};
  case ElementType::F16:
    return {0x8000, 0x0001, 0x83FF, 0x7BFF, 0x7C00, 0xFC00, 0x7E01, 0xFC01};
  case ElementType::F8E4M3FN: // no infinities: both largest, smallest normal
    return {0x80, 0x01, 0x87, 0x7E, 0xFE, 0x08, 0x7F, 0xFF};
  case ElementType::F8E5M2:
    return {0x80, 0x01, 0x83, 0x7B, 0x7C, 0xFC, 0x7E, 0xFD};
  case ElementType::F32:
  case ElementType::I32: // no row is made of it
    break;
  }
  return {0x80000000, 0x00000001, 0x807FFFFF, 0x7F7FFFFF,
          0x7F800000, 0xFF800000, 0x7FC00001, 0xFF800001};
}

/// A number close to the smallest normal one of \p type.
float tinyOf(ElementType type) {
  switch (type) {
  case ElementType::F16:
  case ElementType::F8E5M2:
    return 0x1p-14f;
  case ElementType::F8E4M3FN:
    return 0x1p-6f;
  case ElementType::BF16:
  case ElementType::F32:
  case ElementType::I32:
    break;
  }
  return 0x1p-125f;
}

/// Overwrites about one element in \p period with a special one.
void sprinkle(ElementType type, Random &random, uint8_t *data, int64_t elements,
              uint64_t period) {
  const std::array<uint32_t, 8> specials = specialsOf(type);
  for (int64_t i = int64_t(random.below(period)); i < elements;
       i += 1 + int64_t(random.below(2 * period)))
    reference::storeElement(type, data, i,
                            specials[random.below(specials.size())]);
}

} // namespace

void fillBits(ElementType type, Random &random, uint8_t *data,
              int64_t elements) {
  const int64_t bytes = elements * reference::bytesPerElement(type);
  for (int64_t at = 0; at < bytes; at += 8) {
    uint64_t bits = random.bits();
    std::memcpy(data + at, &bits, size_t(std::min<int64_t>(8, bytes - at)));
  }
  sprinkle(type, random, data, elements, 61);
}

void fillNumbers(ElementType type, Random &random, uint8_t *data, int64_t rows,
                 int64_t columns) {
  for (int64_t row = 0; row != rows; ++row) {
    uint8_t *at = data + row * columns * reference::bytesPerElement(type);
    const uint64_t kind = random.below(16);
    const float scale = kind == 0 ? tinyOf(type) : 2.0f;
    for (int64_t h = 0; h != columns; ++h) {
      float value = float(int32_t(random.bits() >> 32)) * 0x1p-31f * scale;
      reference::storeElement(type, at, h, reference::narrow(type, value));
    }
    if (kind == 1)
      sprinkle(type, random, at, columns, 7);
    if (kind == 2) // so few that most pieces of the row have none or one
      sprinkle(type, random, at, columns, 509);
  }
}

/// Of the weights of fillWholeWeights().
static constexpr int64_t weightSteps = 1024;

void fillWholeNumbers(ElementType type, Random &random, uint8_t *data,
                      int64_t elements, int terms) {
  constexpr int64_t exactInF32 = 1 << 24, exactInBf16 = 127;
  const int64_t largest =
      std::min(exactInBf16, exactInF32 / weightSteps / terms);
  for (int64_t i = 0; i != elements; ++i) {
    const int64_t value =
        int64_t(random.below(uint64_t(2 * largest + 1))) - largest;
    reference::storeElement(type, data, i,
                            reference::narrow(type, float(value)));
  }
}

void fillWholeWeights(Random &random, std::vector<float> &weights) {
  for (float &weight : weights)
    weight =
        float(1 + random.below(uint64_t(weightSteps))) / float(weightSteps);
}

void fillScales(const reference::Quantization &quantization, Random &random,
                uint8_t *data, int64_t rows, int64_t hidden) {
  const int64_t columns = quantization.scaleColumns(hidden);
  if (quantization.scaleType == reference::Quantization::ScaleType::F32) {
    fillNumbers(ElementType::F32, random, data, rows, columns);
    return;
  }
  const int64_t bytesPerRow = quantization.bytesOfScalesPerRow(hidden);
  for (int64_t row = 0; row != rows; ++row) {
    const bool isSpecial = random.below(16) == 0;
    for (int64_t at = 0; at != bytesPerRow; ++at) {
      const bool isUnused = at >= quantization.scalesPerRow(hidden);
      data[row * bytesPerRow + at] = uint8_t(
          isSpecial || isUnused ? random.below(256) : 120 + random.below(16));
    }
    if (isSpecial) // the denormal, the NaN and what is next to them
      for (int edge : {0, 255, 1, 254})
        data[row * bytesPerRow + int64_t(random.below(uint64_t(bytesPerRow)))] =
            uint8_t(edge);
  }
}

} // namespace fusco::run
