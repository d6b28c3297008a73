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

#include <cstring>

namespace fusco::reference {
namespace {

constexpr uint32_t signMask = 0x80000000u;
constexpr uint32_t infinityF32 = 0x7F800000u;
constexpr uint32_t minNormalF16 = 0x38800000u; // 2^-14 as float32
constexpr uint32_t overflowF16 = 0x47800000u;  // 2^16 as float32

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
uint32_t narrowMagnitudeToF16(uint32_t magnitude) {
  if (magnitude >= overflowF16)
    return 0x7C00;
  // Both exponents are biased: 127 against 15. A carry out of the significand
  // steps into the next exponent, and into infinity after the last.
  if (magnitude >= minNormalF16)
    return shiftRounded(magnitude - (112u << 23), 13);
  // A denormal counts units of 2^-24; the float is significand * 2^(e - 150).
  int exponent = int(magnitude >> 23);
  if (exponent < 102) // below half a unit
    return 0;
  uint32_t significand = (magnitude & 0x7FFFFFu) | 0x800000u;
  return shiftRounded(significand, 126 - exponent);
}

float widenF16(uint32_t bits) {
  uint32_t sign = (bits & 0x8000u) << 16;
  uint32_t exponent = (bits >> 10) & 0x1Fu;
  uint32_t fraction = bits & 0x3FFu;
  if (exponent == 0x1F)
    return floatOf(sign | infinityF32 | fraction << 13);
  if (exponent != 0)
    return floatOf(sign | (exponent + 112) << 23 | fraction << 13);
  float magnitude = float(fraction) * 0x1p-24f; // exact
  return floatOf(sign | bitsOf(magnitude));
}

} // namespace

int64_t bytesPerElement(ElementType type) {
  return type == ElementType::F32 ? 4 : 2;
}

float widen(ElementType type, uint32_t bits) {
  switch (type) {
  case ElementType::BF16:
    return floatOf(bits << 16);
  case ElementType::F16:
    return widenF16(bits);
  case ElementType::F32:
    break;
  }
  return floatOf(bits);
}

uint32_t narrow(ElementType type, float value) {
  uint32_t bits = bitsOf(value);
  uint32_t magnitude = bits & ~signMask;
  if (magnitude > infinityF32)
    return type == ElementType::F32 ? 0x7FFFFFFFu : 0x7FFFu;
  uint32_t sign16 = (bits & signMask) >> 16;
  switch (type) {
  case ElementType::BF16:
    return sign16 | shiftRounded(magnitude, 16);
  case ElementType::F16:
    return sign16 | narrowMagnitudeToF16(magnitude);
  case ElementType::F32:
    break;
  }
  return bits;
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
