//===- Random.cpp - Repeatable random numbers -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Seeding of the streams.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Random.h"

namespace fusco::run {
namespace {

std::mt19937_64 engineOf(uint64_t seed, Purpose purpose, uint32_t round,
                         uint32_t rank) {
  std::seed_seq sequence = {uint32_t(seed), uint32_t(seed >> 32),
                            uint32_t(purpose), round, rank};
  return std::mt19937_64(sequence);
}

} // namespace

Random::Random(uint64_t seed, Purpose purpose, uint32_t round, uint32_t rank)
    : engine(engineOf(seed, purpose, round, rank)) {}

} // namespace fusco::run
