//===- Timing.h - Time of something that all ranks do -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// One run's time from the first start to the last end, and the quartiles of
/// many.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_TIMING_H
#define FUSCO_TOOLS_RUN_TIMING_H

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace fusco::run {

/// When a rank started and ended, by a clock that all ranks of a machine share.
struct Span {
  double startUs = 0, endUs = 0;
};

inline double nowUs() {
  std::chrono::duration<double, std::micro> time =
      std::chrono::steady_clock::now().time_since_epoch();
  return time.count();
}

/// Of many runs, in microseconds: a quarter, half and three quarters of them
/// took no longer.
struct Quartiles {
  double first = 0, median = 0, third = 0;
};

/// Those of \p times, at least one, in any order.
inline Quartiles quartilesOf(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  // Between the two runs that are nearest to the quantile.
  auto quantile = [&](double fraction) {
    const double at = fraction * double(times.size() - 1);
    const size_t below = size_t(at);
    const size_t above = std::min(below + 1, times.size() - 1);
    return times[below] + (at - double(below)) * (times[above] - times[below]);
  };
  return {quantile(0.25), quantile(0.5), quantile(0.75)};
}

/// The quartiles over runs of the time from the first rank's start to the last
/// one's end. \p spans are those of rank 0, run by run, then those of rank 1
/// and so on: of \p runs runs, at least one.
inline Quartiles quartilesUs(const std::vector<Span> &spans, size_t runs) {
  std::vector<double> times;
  for (size_t run = 0; run != runs; ++run) {
    Span all = spans[run];
    for (size_t at = run; at < spans.size(); at += runs) {
      all.startUs = std::min(all.startUs, spans[at].startUs);
      all.endUs = std::max(all.endUs, spans[at].endUs);
    }
    times.push_back(all.endUs - all.startUs);
  }
  return quartilesOf(std::move(times));
}

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_TIMING_H
