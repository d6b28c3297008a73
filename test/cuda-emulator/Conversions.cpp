//===- Conversions.cpp - Between integer and floating types ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Handlers.h"

#include <algorithm>

using namespace fusco::emulator;

namespace {

/// The detail of a conversion between integers or from them: how wide both
/// types are, and whether they are signed. 6 bits each, and the rest.
enum {
  TargetBitsShift = 0,
  SourceBitsShift = 8,
  TargetSigned = 1 << 16,
  SourceSigned = 1 << 17,
  Saturate = 1 << 18,
  RoundShift = 20
};

/// How to round to an integral value.
enum Rounding { ToNearest, TowardsZero, Down, Up };

std::int32_t describe(Type target, Type source) {
  return getBytes(target) * 8 << TargetBitsShift |
         getBytes(source) * 8 << SourceBitsShift |
         (isSigned(target) ? TargetSigned : 0) |
         (isSigned(source) ? SourceSigned : 0);
}

/// The low \p bits of \p value, extended.
inline std::uint64_t extend(std::uint64_t value, int bits, bool isSigned) {
  int shift = 64 - bits;
  return isSigned ? std::uint64_t(std::int64_t(value << shift) >> shift)
                  : value << shift >> shift;
}

/// Integers to integers, from registers of type S to registers of type D.
template <class D, class S>
void resize(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<D>(instruction, 0);
  auto *a = warp.get<S>(instruction, 1);
  const std::int32_t detail = instruction.detail;
  const int targetBits = (detail >> TargetBitsShift) & 0xFF;
  const int sourceBits = (detail >> SourceBitsShift) & 0xFF;
  const bool isTargetSigned = detail & TargetSigned;
  const bool isSourceSigned = detail & SourceSigned;
  forLanes(lanes, [=](int lane) {
    std::uint64_t value = extend(a[lane], sourceBits, isSourceSigned);
    if (detail & Saturate) {
      __int128 exact =
          isSourceSigned ? __int128(std::int64_t(value)) : __int128(value);
      __int128 one = 1;
      __int128 low = isTargetSigned ? -(one << (targetBits - 1)) : 0;
      __int128 high = (one << (targetBits - isTargetSigned)) - 1;
      value = std::clamp(exact, low, high);
    }
    result[lane] = extend(value, targetBits, isTargetSigned);
  });
}

template <class T> T narrowTo(double value) {
  if constexpr (sizeof(T) == 2)
    return T::from(value);
  else
    return canonical(T(value));
}

template <class D, class S>
void fromInteger(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<D>(instruction, 0);
  auto *a = warp.get<S>(instruction, 1);
  const int bits = (instruction.detail >> SourceBitsShift) & 0xFF;
  const bool isSourceSigned = instruction.detail & SourceSigned;
  forLanes(lanes, [=](int lane) {
    std::uint64_t value = extend(a[lane], bits, isSourceSigned);
    if constexpr (sizeof(D) == 2) {
      // Beyond 2^53 to the nearest twice is exact enough: both formats have at
      // most 11 bits, and a tie of them is exact in double.
      result[lane] =
          D::from(isSourceSigned ? double(std::int64_t(value)) : double(value));
    } else {
      result[lane] = isSourceSigned ? D(std::int64_t(value)) : D(value);
    }
  });
}

double roundTo(double value, int rounding) {
  switch (rounding) {
  case TowardsZero:
    return std::trunc(value);
  case Down:
    return std::floor(value);
  case Up:
    return std::ceil(value);
  default:
    return std::nearbyint(value);
  }
}

/// What does not fit is clamped. NaN is 0, or 2^63 for 64 bits.
template <class D, class S>
void toInteger(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<D>(instruction, 0);
  auto *a = warp.get<S>(instruction, 1);
  const std::int32_t detail = instruction.detail;
  const int bits = (detail >> TargetBitsShift) & 0xFF;
  const bool isTargetSigned = detail & TargetSigned;
  const double limit = std::ldexp(1.0, bits - isTargetSigned);
  forLanes(lanes, [=](int lane) {
    double value = roundTo(a[lane], detail >> RoundShift);
    std::uint64_t bitsOfValue;
    if (std::isnan(value))
      bitsOfValue = bits == 64 ? std::uint64_t(1) << 63 : 0;
    else if (value >= limit)
      bitsOfValue = ~std::uint64_t(0) >> (64 - bits + isTargetSigned);
    else if (value < 0)
      bitsOfValue = isTargetSigned ? std::int64_t(std::max(value, -limit)) : 0;
    else
      bitsOfValue = std::uint64_t(value);
    result[lane] = bitsOfValue;
  });
}

template <class D, class S>
void changeFloat(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<D>(instruction, 0);
  auto *a = warp.get<S>(instruction, 1);
  const int rounding = instruction.detail;
  forLanes(lanes, [=](int lane) {
    if constexpr (sizeof(D) == 2 && sizeof(S) > 2)
      result[lane] = D::from(a[lane], rounding == TowardsZero);
    else if constexpr (std::is_same_v<D, float> && std::is_same_v<S, BFloat>)
      result[lane] = bitsAs<float>(std::uint32_t(a[lane].bits) << 16);
    else
      result[lane] = narrowTo<D>(a[lane]);
  });
}

/// cvt.rni.f32.f32 and the like.
template <class T>
void roundFloat(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<T>(instruction, 0);
  auto *a = warp.get<T>(instruction, 1);
  const int rounding = instruction.detail;
  forLanes(lanes, [=](int lane) {
    result[lane] = narrowTo<T>(roundTo(a[lane], rounding));
  });
}

/// Two f32, the first of them to the upper half.
template <class T>
void packTwo(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<T>(instruction, 0);
  auto *upper = warp.get<float>(instruction, 1);
  auto *lower = warp.get<float>(instruction, 2);
  const bool towardsZero = instruction.detail == TowardsZero;
  forLanes(lanes, [=](int lane) {
    T high = T::from(upper[lane], towardsZero);
    result[2 * lane] = T::from(lower[lane], towardsZero);
    result[2 * lane + 1] = high;
  });
}

} // namespace

static bool isFloating(Type type) { return type >= Type::F16; }

static Handler decodeFromOrToInteger(Decoder &d, Type target, Type source) {
  d.instruction.detail |= describe(target, source);
  if (isFloating(target)) {
    if (!d.has("rn"))
      return nullptr;
    d.value(target);
    unsigned bytes = d.anyValue(getBytes(source));
    return forFloats(target, [&](auto t) {
      using D = decltype(t);
      return forBits(
          bytes, [](auto s) -> Handler { return fromInteger<D, decltype(s)>; });
    });
  }
  int rounding = d.choose({"rni", "rzi", "rmi", "rpi"});
  d.has("sat"); // it is clamped anyway
  if (rounding < 0)
    return nullptr;
  d.instruction.detail |= rounding << RoundShift;
  unsigned bytes = d.anyValue(getBytes(target));
  d.value(source);
  return forFloats(source, [&](auto s) {
    using S = decltype(s);
    return forBits(bytes,
                   [](auto t) -> Handler { return toInteger<decltype(t), S>; });
  });
}

static Handler decodeCvt(Decoder &d) {
  Type target = d.type(0), source = d.type(1);
  if (target == Type::F16x2 || target == Type::BF16x2) {
    d.instruction.detail = d.choose({"rn", "rz"});
    d.value(target);
    d.value(Type::F32);
    d.value(Type::F32);
    if (source != Type::F32 || d.instruction.detail < 0)
      return nullptr;
    return target == Type::F16x2 ? packTwo<Half> : packTwo<BFloat>;
  }
  if (isFloating(target) != isFloating(source))
    return decodeFromOrToInteger(d, target, source);
  if (!isFloating(target)) {
    d.instruction.detail = describe(target, source);
    if (d.has("sat"))
      d.instruction.detail |= Saturate;
    unsigned targetBytes = d.anyValue(getBytes(target));
    unsigned sourceBytes = d.anyValue(getBytes(source));
    return forBits(targetBytes, [&](auto t) {
      using D = decltype(t);
      return forBits(sourceBytes,
                     [](auto s) -> Handler { return resize<D, decltype(s)>; });
    });
  }
  int integral = d.choose({"rni", "rzi", "rmi", "rpi"});
  d.instruction.detail =
      integral >= 0 ? integral : std::max(d.choose({"rn", "rz"}), 0);
  d.value(target);
  d.value(source);
  if (integral >= 0) {
    if (target != source)
      return nullptr;
    return forFloats(target,
                     [](auto t) -> Handler { return roundFloat<decltype(t)>; });
  }
  // Only the 16-bit formats can be rounded towards zero.
  if (d.instruction.detail == TowardsZero && getBytes(target) != 2)
    return nullptr;
  return forFloats(target, [&](auto t) {
    using D = decltype(t);
    return forFloats(
        source, [](auto s) -> Handler { return changeFloat<D, decltype(s)>; });
  });
}

const DecodeTable &fusco::emulator::getConversions() {
  static const DecodeTable table = {{"cvt", decodeCvt}};
  return table;
}
