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

/// When each thread started and ended; threads may write at the same time.
class Timing {
public:
  explicit Timing(int threads)
      : starts(size_t(threads)), ends(size_t(threads)) {}

  void start(int thread) { starts[size_t(thread)] = Clock::now(); }
  void stop(int thread) { ends[size_t(thread)] = Clock::now(); }

  /// From the first start to the last end.
  double us() const {
    std::chrono::duration<double, std::micro> time =
        *std::max_element(ends.begin(), ends.end()) -
        *std::min_element(starts.begin(), starts.end());
    return time.count();
  }

private:
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> starts, ends;
};

/// The median of the times of \p runs, at least one.
inline double medianUs(const std::vector<Timing> &runs) {
  std::vector<double> times;
  for (const Timing &run : runs)
    times.push_back(run.us());
  std::sort(times.begin(), times.end());
  size_t half = times.size() / 2;
  return times.size() % 2 ? times[half] : (times[half - 1] + times[half]) / 2;
}

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_TIMING_H
