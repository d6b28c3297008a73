//===- Float.cpp - Element types of a row, bit for bit --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Conversions between float32 and the element types, on integers.
//
//===----------------------------------------------------------------------===//
#include "tools/reference/Float.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace fusco::reference {
namespace {

constexpr uint32_t signMask = 0x80000000u;
constexpr uint32_t infinityF32 = 0x7F800000u;

/// A binary format of at most 16 bits with a smaller exponent than float32.
/// Magnitudes are encodings without the sign.
struct SmallFormat {
  int fractionBits;
  int bias;
  uint32_t signMask;
  uint32_t largest;  ///< magnitude of the largest finite number
  uint32_t overflow; ///< magnitude that what is too large gets
};

constexpr SmallFormat f16 = {10, 15, 0x8000, 0x7BFF, 0x7C00};
constexpr SmallFormat f8E4M3FN = {3, 7, 0x80, 0x7E, 0x7E};
constexpr SmallFormat f8E5M2 = {2, 15, 0x80, 0x7B, 0x7B};

uint32_t bitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float floatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// value / 2^shift, rounded to nearest, ties to even; 1 <= shift <= 24.
uint32_t shiftRounded(uint32_t value, int shift) {
  uint32_t half = 1u << (shift - 1);
  uint32_t isOdd = (value >> shift) & 1;
  return (value + half - 1 + isOdd) >> shift;
}

/// \p magnitude is the encoding of a float32 that is no NaN and has no sign.
uint32_t narrowMagnitude(const SmallFormat &format, uint32_t magnitude) {
  // Both exponents are biased. A carry out of the significand steps into the
  // next exponent.
  const int exponent = int(magnitude >> 23);
  const int rebias = 127 - format.bias;
  if (exponent > rebias)
    return std::min(shiftRounded(magnitude - (uint32_t(rebias) << 23),
                                 23 - format.fractionBits),
                    format.overflow);
  // A denormal counts units of 2^(1 - bias - fractionBits); the float is
  // significand * 2^(exponent - 150).
  const int shift = 151 - format.bias - format.fractionBits - exponent;
  if (shift > 24) // below half a unit
    return 0;
  return shiftRounded((magnitude & 0x7FFFFFu) | 0x800000u, shift);
}

uint32_t narrowSmall(const SmallFormat &format, uint32_t bits) {
  return (bits & signMask ? format.signMask : 0) |
         narrowMagnitude(format, bits & ~signMask);
}

float widenSmall(const SmallFormat &format, uint32_t bits) {
  const uint32_t sign = bits & format.signMask ? signMask : 0;
  const uint32_t magnitude = bits & (format.signMask - 1);
  const uint32_t exponent = magnitude >> format.fractionBits;
  const uint32_t fraction = magnitude & ((1u << format.fractionBits) - 1);
  const int shift = 23 - format.fractionBits;
  if (magnitude > format.largest)
    return floatOf(sign | infinityF32 | fraction << shift);
  const uint32_t rebias = uint32_t(127 - format.bias);
  if (exponent != 0)
    return floatOf(sign | (exponent + rebias) << 23 | fraction << shift);
  // Counts units of 2^(1 - bias - fractionBits); the product is exact.
  const float unit =
      floatOf((rebias + 1 - uint32_t(format.fractionBits)) << 23);
  return floatOf(sign | bitsOf(float(fraction) * unit));
}

} // namespace

int64_t bytesPerElement(ElementType type) {
  switch (type) {
  case ElementType::F8E4M3FN:
  case ElementType::F8E5M2:
    return 1;
  case ElementType::BF16:
  case ElementType::F16:
    return 2;
  case ElementType::F32:
  case ElementType::I32:
    break;
  }
  return 4;
}

float widen(ElementType type, uint32_t bits) {
  switch (type) {
  case ElementType::BF16:
    return floatOf(bits << 16);
  case ElementType::F16:
    return widenSmall(f16, bits);
  case ElementType::F32:
    return floatOf(bits);
  case ElementType::F8E4M3FN:
    return widenSmall(f8E4M3FN, bits);
  case ElementType::F8E5M2:
    return widenSmall(f8E5M2, bits);
  case ElementType::I32:
    break;
  }
  std::abort(); // has no value
}

uint32_t narrow(ElementType type, float value) {
  const uint32_t bits = bitsOf(value);
  const uint32_t magnitude = bits & ~signMask;
  if (magnitude > infinityF32)
    return 0x7FFFFFFFu >> (32 - 8 * bytesPerElement(type));
  switch (type) {
  case ElementType::BF16:
    return (bits & signMask) >> 16 | shiftRounded(magnitude, 16);
  case ElementType::F16:
    return narrowSmall(f16, bits);
  case ElementType::F32:
    return bits;
  case ElementType::F8E4M3FN:
    return narrowSmall(f8E4M3FN, bits);
  case ElementType::F8E5M2:
    return narrowSmall(f8E5M2, bits);
  case ElementType::I32:
    break;
  }
  std::abort(); // has no value
}

uint32_t loadElement(ElementType type, const uint8_t *row, int64_t index) {
  uint32_t bits = 0; // little endian, as is everything here
  std::memcpy(&bits, row + index * bytesPerElement(type),
              size_t(bytesPerElement(type)));
  return bits;
}

void storeElement(ElementType type, uint8_t *row, int64_t index,
                  uint32_t bits) {
  std::memcpy(row + index * bytesPerElement(type), &bits,
              size_t(bytesPerElement(type)));
}

} // namespace fusco::reference
