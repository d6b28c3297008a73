//===- Arithmetic.cpp - Instructions on values ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Integers, bits, floating point, comparisons. Integers wrap (the file is
/// compiled with -fwrapv); f32 and f64 are the host's, with nothing contracted.
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Handlers.h"

#include <algorithm>
#include <limits>
#include <type_traits>

using namespace fusco::emulator;

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

namespace {

template <class T> constexpr bool isFloat = !std::is_integral_v<T>;
template <class T> constexpr bool isSmall = isFloat<T> && sizeof(T) == 2;

/// a + b, with the last bit set if it is not exact: rounding that once more to
/// 16 bits gives what rounding the exact sum would.
double addToOdd(double a, double b) {
  double sum = a + b;
  if (!std::isfinite(sum))
    return sum;
  double part = sum - a;
  double lost = (a - (sum - part)) + (b - part);
  std::uint64_t bits = bitsAs<std::uint64_t>(sum);
  if (lost != 0 && (bits & 1) == 0)
    bits += (lost > 0) == (sum > 0) ? 1 : -1;
  return bitsAs<double>(bits);
}

template <class T> T multiplyAdd(T a, T b, T c) {
  if constexpr (isSmall<T>)
    return T::from(addToOdd(double(a) * double(b), double(c)));
  else if constexpr (isFloat<T>)
    return canonical(std::fma(a, b, c));
  else
    return a * b + c;
}

struct Add {
  template <class T> T operator()(T a, T b) const {
    if constexpr (isSmall<T>)
      return T::from(addToOdd(a, b));
    else if constexpr (isFloat<T>)
      return canonical(a + b);
    else
      return a + b;
  }
};
struct Sub {
  template <class T> T operator()(T a, T b) const {
    if constexpr (isSmall<T>)
      return T::from(addToOdd(a, -double(b)));
    else if constexpr (isFloat<T>)
      return canonical(a - b);
    else
      return a - b;
  }
};
struct Mul {
  template <class T> T operator()(T a, T b) const {
    if constexpr (isSmall<T>)
      return T::from(double(a) * double(b));
    else if constexpr (isFloat<T>)
      return canonical(a * b);
    else if constexpr (sizeof(T) == 2) // int would overflow
      return T(std::uint32_t(a) * std::uint32_t(b));
    else
      return a * b;
  }
};
struct Div {
  template <class T> T operator()(T a, T b) const {
    if constexpr (isFloat<T>) {
      return canonical(a / b);
    } else {
      if (b == 0)
        return T(-1);
      if (std::is_signed_v<T> && b == T(-1))
        return T(0) - a;
      return a / b;
    }
  }
};
struct Rem {
  template <class T> T operator()(T a, T b) const {
    if (b == 0)
      return a;
    return std::is_signed_v<T> && b == T(-1) ? T(0) : T(a % b);
  }
};

/// The other operand where one is NaN; -0 is less than 0.
template <bool isMax> struct MinMax {
  template <class T> T operator()(T a, T b) const {
    if constexpr (isFloat<T>) {
      double x = a, y = b;
      if (std::isnan(x) && std::isnan(y)) {
        if constexpr (isSmall<T>)
          return T{0x7FFF};
        else
          return canonical(a);
      }
      if (std::isnan(x) || std::isnan(y))
        return std::isnan(x) ? b : a;
      bool isLess = x < y || (x == y && std::signbit(x));
      return isLess != isMax ? a : b;
    } else {
      return isMax ? std::max(a, b) : std::min(a, b);
    }
  }
};
using Min = MinMax<false>;
using Max = MinMax<true>;

struct Neg {
  template <class T> T operator()(T a) const {
    if constexpr (isSmall<T>)
      return T{std::uint16_t(a.bits ^ 0x8000)};
    else if constexpr (isFloat<T>)
      return canonical(-a);
    else
      return T(0) - a;
  }
};
struct Abs {
  template <class T> T operator()(T a) const {
    if constexpr (isSmall<T>)
      return T{std::uint16_t(a.bits & 0x7FFF)};
    else if constexpr (isFloat<T>)
      return canonical(std::fabs(a));
    else
      return a < T(0) ? T(0) - a : a;
  }
};
struct Sqrt {
  template <class T> T operator()(T a) const { return canonical(std::sqrt(a)); }
};
struct Rcp {
  template <class T> T operator()(T a) const { return canonical(T(1) / a); }
};

struct And {
  template <class T> T operator()(T a, T b) const { return a & b; }
};
struct Or {
  template <class T> T operator()(T a, T b) const { return a | b; }
};
struct Xor {
  template <class T> T operator()(T a, T b) const { return a ^ b; }
};
struct Not {
  template <class T> T operator()(T a) const { return ~a; }
};
struct Cnot {
  template <class T> T operator()(T a) const { return a == 0; }
};
/// Amounts beyond the width shift everything out.
struct Shl {
  template <class T> T operator()(T a, std::uint32_t b) const {
    return b < sizeof(T) * 8 ? T(std::make_unsigned_t<T>(a) << b) : T(0);
  }
};
struct Shr {
  template <class T> T operator()(T a, std::uint32_t b) const {
    const std::uint32_t width = sizeof(T) * 8;
    if (b >= width)
      return std::is_signed_v<T> ? T(a >> (width - 1)) : T(0);
    return a >> b;
  }
};

/// A type twice as wide as T.
template <class T>
using Wide = std::conditional_t<
    sizeof(T) == 2,
    std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>,
    std::conditional_t<
        sizeof(T) == 4,
        std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>,
        std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;

struct MulWide {
  template <class T> Wide<T> operator()(T a, T b) const {
    return Wide<T>(a) * Wide<T>(b);
  }
};
struct MulHi {
  template <class T> T operator()(T a, T b) const {
    return T((Wide<T>(a) * Wide<T>(b)) >> (sizeof(T) * 8));
  }
};
struct MadLo {
  template <class T> T operator()(T a, T b, T c) const {
    return Add()(Mul()(a, b), c);
  }
};
struct MadHi {
  template <class T> T operator()(T a, T b, T c) const {
    return MulHi()(a, b) + c;
  }
};
struct MadWide {
  template <class T> Wide<T> operator()(T a, T b, Wide<T> c) const {
    return Wide<T>(a) * Wide<T>(b) + c;
  }
};
struct Fma {
  template <class T> T operator()(T a, T b, T c) const {
    return multiplyAdd(a, b, c);
  }
};

struct Popc {
  std::uint32_t operator()(std::uint64_t a) const {
    return __builtin_popcountll(a);
  }
};
struct Clz {
  std::uint32_t operator()(std::uint32_t a) const {
    return a ? __builtin_clz(a) : 32;
  }
  std::uint32_t operator()(std::uint64_t a) const {
    return a ? __builtin_clzll(a) : 64;
  }
};
struct Brev {
  template <class T> T operator()(T a) const {
    T result = 0;
    for (unsigned i = 0; i < sizeof(T) * 8; ++i)
      result = result << 1 | ((a >> i) & 1);
    return result;
  }
};
/// The highest bit that differs from the sign, -1 if none does.
template <bool isShiftAmount> struct Bfind {
  template <class T> std::uint32_t operator()(T a) const {
    std::make_unsigned_t<T> bits = a < T(0) ? ~a : a;
    if (bits == 0)
      return ~0u;
    unsigned fromTop = Clz()(bits);
    return isShiftAmount ? fromTop : sizeof(T) * 8 - 1 - fromTop;
  }
};
struct Bfe {
  template <class T>
  T operator()(T a, std::uint32_t start, std::uint32_t length) const {
    const unsigned width = sizeof(T) * 8;
    start &= 0xFF;
    length &= 0xFF;
    if (length == 0)
      return 0;
    unsigned top = std::min(start + length - 1, width - 1);
    bool fill = std::is_signed_v<T> && ((a >> top) & 1);
    T result = 0;
    for (unsigned i = 0; i < width; ++i) {
      bool bit =
          i < length && start + i < width ? (a >> (start + i)) & 1 : fill;
      result |= T(bit) << i;
    }
    return result;
  }
};
template <class T>
void bitFieldInsert(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<T>(instruction, 0);
  auto *a = warp.get<T>(instruction, 1), *b = warp.get<T>(instruction, 2);
  auto *start = warp.get<std::uint32_t>(instruction, 3);
  auto *length = warp.get<std::uint32_t>(instruction, 4);
  const unsigned width = sizeof(T) * 8;
  forLanes(lanes, [=](int lane) {
    unsigned first = start[lane] & 0xFF, count = length[lane] & 0xFF;
    T ones = count >= width ? T(-1) : (T(1) << count) - 1;
    T mask = first >= width ? T(0) : ones << first;
    T field = first >= width ? T(0) : a[lane] << first;
    result[lane] = (b[lane] & ~mask) | (field & mask);
  });
}
struct Prmt {
  std::uint32_t operator()(std::uint32_t a, std::uint32_t b,
                           std::uint32_t selector) const {
    std::uint64_t bytes = std::uint64_t(b) << 32 | a;
    std::uint32_t result = 0;
    for (int i = 0; i < 4; ++i) {
      unsigned choice = selector >> (4 * i);
      std::uint32_t byte = (bytes >> (8 * (choice & 7))) & 0xFF;
      if (choice & 8)
        byte = byte & 0x80 ? 0xFF : 0;
      result |= byte << (8 * i);
    }
    return result;
  }
};
template <bool isLeft, bool isClamped> struct FunnelShift {
  std::uint32_t operator()(std::uint32_t a, std::uint32_t b,
                           std::uint32_t amount) const {
    amount = isClamped ? std::min(amount, 32u) : amount & 31;
    std::uint64_t both = std::uint64_t(b) << 32 | a;
    return isLeft ? (both << amount) >> 32 : both >> amount;
  }
};
void lop3(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<std::uint32_t>(instruction, 0);
  auto *a = warp.get<std::uint32_t>(instruction, 1);
  auto *b = warp.get<std::uint32_t>(instruction, 2);
  auto *c = warp.get<std::uint32_t>(instruction, 3);
  unsigned table = instruction.detail;
  forLanes(lanes, [=](int lane) {
    std::uint32_t value = 0;
    for (int i = 0; i < 8; ++i)
      if ((table >> i) & 1)
        value |= (i & 4 ? a[lane] : ~a[lane]) & (i & 2 ? b[lane] : ~b[lane]) &
                 (i & 1 ? c[lane] : ~c[lane]);
    result[lane] = value;
  });
}

//===----------------------------------------------------------------------===//
// Handlers of pairs of 16 bits and of predicates
//===----------------------------------------------------------------------===//

/// The operation on both halves of registers.
template <class Op, class T, int numSources>
void packed(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<T>(instruction, 0);
  auto *a = warp.get<T>(instruction, 1);
  auto *b = warp.get<T>(instruction, numSources > 1 ? 2 : 1);
  auto *c = warp.get<T>(instruction, numSources > 2 ? 3 : 1);
  forLanes(lanes, [=](int lane) {
    for (int i = 2 * lane; i < 2 * lane + 2; ++i) {
      if constexpr (numSources == 1)
        result[i] = Op()(a[i]);
      else if constexpr (numSources == 2)
        result[i] = Op()(a[i], b[i]);
      else
        result[i] = Op()(a[i], b[i], c[i]);
    }
  });
}

template <class Op> Handler packedHandler(Type type) {
  auto make = [&](auto t) -> Handler {
    using T = decltype(t);
    if constexpr (std::is_invocable_v<Op, T>)
      return packed<Op, T, 1>;
    else if constexpr (std::is_invocable_v<Op, T, T>)
      return packed<Op, T, 2>;
    else
      return packed<Op, T, 3>;
  };
  if (type == Type::F16x2)
    return make(Half());
  if (type == Type::BF16x2)
    return make(BFloat());
  if (type == Type::S16x2)
    return make(std::int16_t());
  if (type == Type::U16x2)
    return make(std::uint16_t());
  return nullptr;
}

template <class Op>
void onPredicates(Warp &warp, const Instruction &instruction, Mask lanes) {
  Mask &result = *warp.get<Mask>(instruction, 0);
  Mask a = *warp.get<Mask>(instruction, 1), b = *warp.get<Mask>(instruction, 2);
  Mask value;
  if constexpr (std::is_invocable_v<Op, Mask, Mask>)
    value = Op()(a, b);
  else
    value = Op()(a);
  result = (result & ~lanes) | (value & lanes);
}

//===----------------------------------------------------------------------===//
// Comparisons
//===----------------------------------------------------------------------===//

/// What holds of two values, as bits; comparisons are sets of them.
enum Relation : unsigned { Less = 1, Equal = 2, Greater = 4, Unordered = 8 };

template <class T> unsigned relate(T a, T b) {
  if constexpr (isFloat<T>) {
    double x = a, y = b;
    return x < y ? Less : x == y ? Equal : x > y ? Greater : Unordered;
  } else {
    return a < b ? Less : a == b ? Equal : Greater;
  }
}

/// Bits of the detail: 0-3 the relations, 4-5 how to combine with a predicate.
enum { CombineShift = 4, NegatePredicate = 31 };

template <class T>
void setPredicate(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *a = warp.get<T>(instruction, 2), *b = warp.get<T>(instruction, 3);
  const unsigned relations = instruction.detail & 15;
  Mask holds = 0;
  forLanes(lanes, [&](int lane) {
    holds |= Mask((relate(a[lane], b[lane]) & relations) != 0) << lane;
  });
  Mask other = *warp.get<Mask>(instruction, 4);
  if (instruction.detail < 0)
    other = ~other;
  Mask &p = *warp.get<Mask>(instruction, 0),
       &q = *warp.get<Mask>(instruction, 1);
  auto combine = [&](Mask value) {
    switch ((instruction.detail >> CombineShift) & 3) {
    case 1:
      return value & other;
    case 2:
      return value | other;
    case 3:
      return value ^ other;
    default:
      return value;
    }
  };
  // q first: it may be the sink, and p must win if they are one register.
  q = (q & ~lanes) | (combine(~holds) & lanes);
  p = (p & ~lanes) | (combine(holds) & lanes);
}

template <class T>
void setValue(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<std::uint32_t>(instruction, 0);
  auto *a = warp.get<T>(instruction, 1), *b = warp.get<T>(instruction, 2);
  const unsigned relations = instruction.detail & 15;
  const std::uint32_t yes =
      instruction.detail & 16 ? bitsAs<std::uint32_t>(1.0f) : ~0u;
  forLanes(lanes, [=](int lane) {
    result[lane] = relate(a[lane], b[lane]) & relations ? yes : 0;
  });
}

template <class T>
void select(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<T>(instruction, 0);
  auto *a = warp.get<T>(instruction, 1), *b = warp.get<T>(instruction, 2);
  Mask p = *warp.get<Mask>(instruction, 3);
  if (instruction.detail < 0)
    p = ~p;
  forLanes(lanes, [=](int lane) {
    result[lane] = (p >> lane) & 1 ? a[lane] : b[lane];
  });
}

} // namespace

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

static void takeValues(Decoder &d, Type type, unsigned count) {
  for (unsigned i = 0; i < count; ++i)
    d.value(type);
}

template <class Op> static Handler decodeBinary(Decoder &d) {
  Type type = d.type();
  d.ignore({"rn"});
  takeValues(d, type, 3);
  auto make = [](auto t) -> Handler {
    using T = decltype(t);
    return binary<Op, T, T, T>;
  };
  if (Handler handler = forIntegers(type, make))
    return handler;
  if constexpr (!std::is_same_v<Op, Div> && !std::is_same_v<Op, Rem>) {
    if (Handler handler = packedHandler<Op>(type))
      return handler;
    return forFloats(type, make);
  } else if constexpr (std::is_same_v<Op, Div>) {
    return type == Type::F32   ? make(float())
           : type == Type::F64 ? make(double())
                               : nullptr;
  } else {
    return nullptr;
  }
}

template <class Op> static Handler decodeUnary(Decoder &d) {
  Type type = d.type();
  takeValues(d, type, 2);
  auto make = [](auto t) -> Handler {
    using T = decltype(t);
    return unary<Op, T, T>;
  };
  if (Handler handler = packedHandler<Op>(type))
    return handler;
  Handler handler = forIntegers(type, make);
  return handler ? handler : forFloats(type, make);
}

template <class Op> static Handler decodeRoot(Decoder &d) {
  if (!d.has("rn"))
    return nullptr;
  takeValues(d, d.type(), 2);
  if (d.type() == Type::F32)
    return unary<Op, float, float>;
  return d.type() == Type::F64 ? unary<Op, double, double> : Handler(nullptr);
}

template <class Op> static Handler decodeLogic(Decoder &d) {
  constexpr bool isUnary = std::is_invocable_v<Op, Mask>;
  if (d.type() == Type::Pred) {
    for (int i = 0; i < (isUnary ? 2 : 3); ++i)
      d.predicate();
    return onPredicates<Op>;
  }
  takeValues(d, d.type(), isUnary ? 2 : 3);
  return forBits(getBytes(d.type()), [](auto t) -> Handler {
    using T = decltype(t);
    if constexpr (isUnary)
      return unary<Op, T, T>;
    else
      return binary<Op, T, T, T>;
  });
}

template <class Op> static Handler decodeShift(Decoder &d) {
  takeValues(d, d.type(), 2);
  d.value(4);
  return forIntegers(d.type(), [](auto t) -> Handler {
    using T = decltype(t);
    return binary<Op, T, T, std::uint32_t>;
  });
}

static Handler decodeMul(Decoder &d) {
  int part = d.choose({"lo", "hi", "wide"});
  if (part <= 0)
    return decodeBinary<Mul>(d);
  Type type = d.type();
  if (part == 2)
    d.value(2 * getBytes(type));
  takeValues(d, type, part == 2 ? 2 : 3);
  return forIntegers(type, [&](auto t) -> Handler {
    using T = decltype(t);
    if (part == 1)
      return binary<MulHi, T, T, T>;
    if constexpr (sizeof(T) == 8)
      return nullptr;
    else
      return binary<MulWide, Wide<T>, T, T>;
  });
}

static Handler decodeMad(Decoder &d) {
  int part = d.choose({"lo", "hi", "wide"});
  Type type = d.type();
  if (part == 2)
    d.value(2 * getBytes(type));
  takeValues(d, type, part == 2 ? 2 : 4);
  if (part == 2)
    d.value(2 * getBytes(type));
  return forIntegers(type, [&](auto t) -> Handler {
    using T = decltype(t);
    if (part == 0)
      return ternary<MadLo, T, T, T, T>;
    if (part == 1)
      return ternary<MadHi, T, T, T, T>;
    if constexpr (sizeof(T) == 8)
      return nullptr;
    else
      return ternary<MadWide, Wide<T>, T, T, Wide<T>>;
  });
}

static Handler decodeFma(Decoder &d) {
  if (!d.has("rn"))
    return nullptr;
  takeValues(d, d.type(), 4);
  if (Handler handler = packedHandler<Fma>(d.type()))
    return handler;
  return forFloats(d.type(), [](auto t) -> Handler {
    using T = decltype(t);
    return ternary<Fma, T, T, T, T>;
  });
}

template <class Op> static Handler decodeCount(Decoder &d) {
  d.value(4);
  d.value(d.type());
  if (getBytes(d.type()) == 4)
    return unary<Op, std::uint32_t, std::uint32_t>;
  return unary<Op, std::uint32_t, std::uint64_t>;
}

static Handler decodeBfind(Decoder &d) {
  bool isShiftAmount = d.has("shiftamt");
  d.value(4);
  d.value(d.type());
  return forIntegers(d.type(), [&](auto t) -> Handler {
    using T = decltype(t);
    if constexpr (sizeof(T) == 2)
      return nullptr;
    else
      return isShiftAmount ? unary<Bfind<true>, std::uint32_t, T>
                           : unary<Bfind<false>, std::uint32_t, T>;
  });
}

static Handler decodeBrev(Decoder &d) {
  takeValues(d, d.type(), 2);
  return forBits(getBytes(d.type()), [](auto t) -> Handler {
    using T = decltype(t);
    return unary<Brev, T, T>;
  });
}

static Handler decodeBfe(Decoder &d) {
  takeValues(d, d.type(), 2);
  takeValues(d, Type::U32, 2);
  return forIntegers(d.type(), [](auto t) -> Handler {
    using T = decltype(t);
    return ternary<Bfe, T, T, std::uint32_t, std::uint32_t>;
  });
}

static Handler decodeBfi(Decoder &d) {
  takeValues(d, d.type(), 3);
  takeValues(d, Type::U32, 2);
  return forBits(getBytes(d.type()),
                 [](auto t) -> Handler { return bitFieldInsert<decltype(t)>; });
}

static Handler decodePrmt(Decoder &d) {
  takeValues(d, Type::B32, 4);
  using U = std::uint32_t;
  return ternary<Prmt, U, U, U, U>;
}

static Handler decodeShf(Decoder &d) {
  bool isLeft = d.choose({"r", "l"}) == 1;
  bool isClamped = d.choose({"wrap", "clamp"}) == 1;
  takeValues(d, Type::B32, 4);
  using U = std::uint32_t;
  if (isLeft)
    return isClamped ? ternary<FunnelShift<true, true>, U, U, U, U>
                     : ternary<FunnelShift<true, false>, U, U, U, U>;
  return isClamped ? ternary<FunnelShift<false, true>, U, U, U, U>
                   : ternary<FunnelShift<false, false>, U, U, U, U>;
}

static Handler decodeLop3(Decoder &d) {
  takeValues(d, Type::B32, 4);
  d.instruction.detail = d.take().value & 0xFF;
  return lop3;
}

static int decodeRelations(Decoder &d) {
  static const std::pair<const char *, int> comparisons[] = {
      {"eq", Equal},
      {"ne", Less | Greater},
      {"lt", Less},
      {"le", Less | Equal},
      {"gt", Greater},
      {"ge", Greater | Equal},
      {"lo", Less},
      {"ls", Less | Equal},
      {"hi", Greater},
      {"hs", Greater | Equal},
      {"equ", Equal | Unordered},
      {"neu", Less | Greater | Unordered},
      {"ltu", Less | Unordered},
      {"leu", Less | Equal | Unordered},
      {"gtu", Greater | Unordered},
      {"geu", Greater | Equal | Unordered},
      {"num", Less | Equal | Greater},
      {"nan", Unordered}};
  for (auto [name, relations] : comparisons)
    if (d.has(name))
      return relations;
  d.fail("no comparison");
}

static Handler decodeSetp(Decoder &d) {
  d.instruction.detail = decodeRelations(d);
  int combination = d.choose({"and", "or", "xor"}) + 1;
  d.instruction.detail |= combination << CombineShift;
  d.predicate();
  // With five operands, or four and no third source, the second is a result.
  if (d.operandsLeft() == (combination ? 4u : 3u))
    d.predicate();
  else
    d.sink();
  takeValues(d, d.type(), 2);
  if (combination)
    d.predicate(NegatePredicate);
  else
    d.sink();
  auto make = [](auto t) -> Handler { return setPredicate<decltype(t)>; };
  Handler handler = forIntegers(d.type(), make);
  return handler ? handler : forFloats(d.type(), make);
}

static Handler decodeSet(Decoder &d) {
  d.instruction.detail = decodeRelations(d);
  if (d.type(0) == Type::F32)
    d.instruction.detail |= 16;
  d.value(4);
  takeValues(d, d.type(1), 2);
  auto make = [](auto t) -> Handler { return setValue<decltype(t)>; };
  Handler handler = forIntegers(d.type(1), make);
  return handler ? handler : forFloats(d.type(1), make);
}

static Handler decodeSelp(Decoder &d) {
  takeValues(d, d.type(), 3);
  d.predicate(NegatePredicate);
  return forBits(getBytes(d.type()),
                 [](auto t) -> Handler { return select<decltype(t)>; });
}

const DecodeTable &fusco::emulator::getArithmetic() {
  static const DecodeTable table = {
      {"add", decodeBinary<Add>},  {"sub", decodeBinary<Sub>},
      {"mul", decodeMul},          {"mad", decodeMad},
      {"fma", decodeFma},          {"div", decodeBinary<Div>},
      {"rem", decodeBinary<Rem>},  {"min", decodeBinary<Min>},
      {"max", decodeBinary<Max>},  {"neg", decodeUnary<Neg>},
      {"abs", decodeUnary<Abs>},   {"sqrt", decodeRoot<Sqrt>},
      {"rcp", decodeRoot<Rcp>},    {"and", decodeLogic<And>},
      {"or", decodeLogic<Or>},     {"xor", decodeLogic<Xor>},
      {"not", decodeLogic<Not>},   {"cnot", decodeLogic<Cnot>},
      {"shl", decodeShift<Shl>},   {"shr", decodeShift<Shr>},
      {"popc", decodeCount<Popc>}, {"clz", decodeCount<Clz>},
      {"brev", decodeBrev},        {"bfind", decodeBfind},
      {"bfe", decodeBfe},          {"bfi", decodeBfi},
      {"prmt", decodePrmt},        {"shf", decodeShf},
      {"lop3", decodeLop3},        {"setp", decodeSetp},
      {"set", decodeSet},          {"selp", decodeSelp}};
  return table;
}
