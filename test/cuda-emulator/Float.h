//===- Float.h - Small floating-point formats -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// f16 and bf16 as lane values, exact conversions from double, and the NaN that
/// a GPU's arithmetic returns.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TEST_CUDA_EMULATOR_FLOAT_H
#define FUSCO_TEST_CUDA_EMULATOR_FLOAT_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace fusco::emulator {

template <class To, class From> To bitsAs(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

/// A 16-bit format with \p fractionBits.
template <int fractionBits> struct SmallFloat {
  static constexpr int exponentBits = 15 - fractionBits;
  static constexpr int bias = (1 << (exponentBits - 1)) - 1;
  static constexpr std::uint16_t infinity = ((1 << exponentBits) - 1)
                                            << fractionBits;
  std::uint16_t bits;

  /// To the nearest, ties to even, or towards zero.
  static SmallFloat from(double value, bool towardsZero = false) {
    std::uint64_t wide = bitsAs<std::uint64_t>(value);
    std::uint16_t sign = wide >> 63 << 15;
    int exponent = (wide >> 52) & 0x7FF;
    std::uint64_t fraction = wide & ((std::uint64_t(1) << 52) - 1);
    if (exponent == 0x7FF && fraction)
      return {0x7FFF};
    if (exponent == 0x7FF)
      return {std::uint16_t(sign | infinity)};
    if (exponent == 0)
      return {sign};
    fraction |= std::uint64_t(1) << 52;
    int biased = exponent - 1023 + bias;
    int shift = 52 - fractionBits;
    if (biased <= 0) { // subnormal
      shift = std::min(shift + 1 - biased, 63);
      biased = 1;
    }
    std::uint64_t kept = fraction >> shift;
    std::uint64_t lost = fraction & ((std::uint64_t(1) << shift) - 1);
    std::uint64_t half = std::uint64_t(1) << (shift - 1);
    if (!towardsZero && (lost > half || (lost == half && (kept & 1))))
      ++kept;
    // The leading one of `kept`, if it has one, adds to the exponent.
    std::uint64_t result = (std::uint64_t(biased - 1) << fractionBits) + kept;
    if (biased > 2 * bias || result >= infinity)
      result = towardsZero ? infinity - 1 : infinity;
    return {std::uint16_t(sign | result)};
  }

  operator double() const {
    int exponent = (bits >> fractionBits) & ((1 << exponentBits) - 1);
    int fraction = bits & ((1 << fractionBits) - 1);
    double value;
    if (exponent == (1 << exponentBits) - 1)
      value = fraction ? NAN : INFINITY;
    else if (exponent == 0)
      value = std::ldexp(double(fraction), 1 - bias - fractionBits);
    else
      value = bitsAs<double>(std::uint64_t(exponent - bias + 1023) << 52 |
                             std::uint64_t(fraction) << (52 - fractionBits));
    return bits >> 15 ? -value : value;
  }
};

using Half = SmallFloat<10>;
using BFloat = SmallFloat<7>;

inline float canonical(float value) {
  return std::isnan(value) ? bitsAs<float>(0x7FFFFFFFu) : value;
}
inline double canonical(double value) { return value; }

} // namespace fusco::emulator

#endif // FUSCO_TEST_CUDA_EMULATOR_FLOAT_H
