//===- Handlers.h - Building blocks of instructions --------------*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Lane loops for operations on values, and the choice of their instance by the
/// type in an instruction's name.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TEST_CUDA_EMULATOR_HANDLERS_H
#define FUSCO_TEST_CUDA_EMULATOR_HANDLERS_H

#include "test/cuda-emulator/Cuda.h"
#include "test/cuda-emulator/Decoder.h"
#include "test/cuda-emulator/Float.h"
#include "test/cuda-emulator/Warp.h"

namespace fusco::emulator {

template <class Op, class Result, class A>
void unary(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<Result>(instruction, 0);
  auto *a = warp.get<A>(instruction, 1);
  forLanes(lanes, [=](int lane) { result[lane] = Op()(a[lane]); });
}

template <class Op, class Result, class A, class B>
void binary(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<Result>(instruction, 0);
  auto *a = warp.get<A>(instruction, 1);
  auto *b = warp.get<B>(instruction, 2);
  forLanes(lanes, [=](int lane) { result[lane] = Op()(a[lane], b[lane]); });
}

template <class Op, class Result, class A, class B, class C>
void ternary(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<Result>(instruction, 0);
  auto *a = warp.get<A>(instruction, 1);
  auto *b = warp.get<B>(instruction, 2);
  auto *c = warp.get<C>(instruction, 3);
  forLanes(lanes,
           [=](int lane) { result[lane] = Op()(a[lane], b[lane], c[lane]); });
}

/// \p make(T()) for the integer type T of \p type, nullptr for other types.
template <class Fn> Handler forIntegers(Type type, Fn make) {
  switch (type) {
  case Type::B16:
  case Type::U16:
    return make(std::uint16_t());
  case Type::B32:
  case Type::U32:
    return make(std::uint32_t());
  case Type::B64:
  case Type::U64:
    return make(std::uint64_t());
  case Type::S16:
    return make(std::int16_t());
  case Type::S32:
    return make(std::int32_t());
  case Type::S64:
    return make(std::int64_t());
  default:
    return nullptr;
  }
}

/// The same where the sign does not matter.
template <class Fn> Handler forBits(unsigned bytes, Fn make) {
  switch (bytes) {
  case 2:
    return make(std::uint16_t());
  case 4:
    return make(std::uint32_t());
  case 8:
    return make(std::uint64_t());
  default:
    return nullptr;
  }
}

template <class Fn> Handler forFloats(Type type, Fn make) {
  switch (type) {
  case Type::F16:
    return make(Half());
  case Type::BF16:
    return make(BFloat());
  case Type::F32:
    return make(float());
  case Type::F64:
    return make(double());
  default:
    return nullptr;
  }
}

} // namespace fusco::emulator

#endif // FUSCO_TEST_CUDA_EMULATOR_HANDLERS_H
