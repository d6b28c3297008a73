//===- Timing.h - Time of something that all ranks do -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// One run's time from the first start to the last end, and the median of many.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_TIMING_H
#define FUSCO_TOOLS_RUN_TIMING_H

#include <algorithm>
#include <chrono>
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

/// The median over runs of the time from the first rank's start to the last
/// one's end. \p spans are those of rank 0, run by run, then those of rank 1
/// and so on: of \p runs runs, at least one.
inline double medianUs(const std::vector<Span> &spans, size_t runs) {
  std::vector<double> times;
  for (size_t run = 0; run != runs; ++run) {
    Span all = spans[run];
    for (size_t at = run; at < spans.size(); at += runs) {
      all.startUs = std::min(all.startUs, spans[at].startUs);
      all.endUs = std::max(all.endUs, spans[at].endUs);
    }
    times.push_back(all.endUs - all.startUs);
  }
  std::sort(times.begin(), times.end());
  size_t half = times.size() / 2;
  return times.size() % 2 ? times[half] : (times[half - 1] + times[half]) / 2;
}

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_TIMING_H
