//===- deadline.h - How long is waited --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Callers' times in microseconds as those of the steady clock.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_DEADLINE_H
#define FUSCO_RUNTIME_DEADLINE_H

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace fusco::runtime {

/// \p us, or what is far more than anyone waits for: a point of time so far off
/// does not overflow.
inline std::chrono::microseconds boundTime(std::uint64_t us) {
  constexpr std::uint64_t mostUs = std::uint64_t(1) << 50;
  return std::chrono::microseconds(std::min(us, mostUs));
}

/// The point of time \p us from now.
inline std::chrono::steady_clock::time_point deadlineAfter(std::uint64_t us) {
  return std::chrono::steady_clock::now() + boundTime(us);
}

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_DEADLINE_H
