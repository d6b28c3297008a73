//===- Random.h - Repeatable random numbers ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// One stream of random numbers per purpose, all from the seed that a run
/// prints. The standard's distributions are not used: they differ between
/// libraries.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_RANDOM_H
#define FUSCO_TOOLS_RUN_RANDOM_H

#include <cstdint>
#include <random>

namespace fusco::run {

/// What random numbers are drawn for; part of the stream's seed.
enum class Purpose : uint32_t {
  Routing,
  Weights,
  Tokens,
  ExpertRows,
  TokenGradients,
  RowGradients,
  Residuals,
  Biases,
  OutputScales,
  TokenScales
};

class Random {
public:
  /// The stream of \p purpose in round \p round on rank \p rank.
  Random(uint64_t seed, Purpose purpose, uint32_t round = 0, uint32_t rank = 0);

  uint64_t bits() { return engine(); }
  /// Equally likely in [0, bound).
  uint64_t below(uint64_t bound) { return bits() % bound; }
  /// Equally likely in (0, 1].
  double fraction() { return double((bits() >> 11) + 1) * 0x1p-53; }

private:
  std::mt19937_64 engine;
};

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_RANDOM_H
