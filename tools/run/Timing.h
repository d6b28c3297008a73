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

  void start(int thread) { starts[size_t(thread)] = nowUs(); }
  void stop(int thread) { ends[size_t(thread)] = nowUs(); }
  /// In place of start and stop: by another clock that all threads share.
  void record(int thread, double startUs, double endUs) {
    starts[size_t(thread)] = startUs;
    ends[size_t(thread)] = endUs;
  }

  /// From the first start to the last end.
  double us() const {
    return *std::max_element(ends.begin(), ends.end()) -
           *std::min_element(starts.begin(), starts.end());
  }

private:
  static double nowUs() {
    std::chrono::duration<double, std::micro> time =
        std::chrono::steady_clock::now().time_since_epoch();
    return time.count();
  }

  std::vector<double> starts, ends;
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
