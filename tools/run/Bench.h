//===- Bench.h - Times of a library's programs ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Times dispatch, combine, their backward and what they are compared with:
/// from inputs ready to outputs ready, planning included, slowest rank, median
/// of many.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_BENCH_H
#define FUSCO_TOOLS_RUN_BENCH_H

#include "tools/run/Launch.h"
#include "tools/run/Options.h"
#include "tools/run/ProcessBaseline.h"
#include "tools/run/Routing.h"
#include "tools/run/Timeline.h"
#include "tools/run/Timing.h"

#include <optional>
#include <vector>

namespace fusco::run {

/// What one program must read once and write once, over all ranks, counting
/// rows alone, and its time.
struct Direction {
  int64_t bytesRead = 0, bytesWritten = 0;
  Quartiles us;

  int64_t bytes() const { return bytesRead + bytesWritten; }
};

struct BenchResult {
  struct Directions {
    Direction dispatch, combine;
  };
  std::vector<Directions> shuffles; ///< as they were given
  std::optional<Directions> backward;
  std::vector<Directions> processBaselines; ///< as they were given
  std::optional<double> planUs; ///< of the program "plan", if there is one
  int64_t iterations = 0;
  /// Medians of plain passes over memory, made in turn with what is timed. A
  /// copy counts the bytes that it reads and those that it writes. On a CPU the
  /// same threads make them, and it is the faster of memcpy and a streaming
  /// copy; on a GPU it is the driver's copy.
  double copyGbps = 0;
  std::optional<double> writeGbps, readGbps; ///< on a CPU
  /// Of the same threads or processes passing two barriers, on a CPU: what a
  /// dispatch and a combine that move nothing must wait for at least.
  std::optional<double> twoBarriersUs;
  std::optional<int> launches;        ///< kernels of each program, on a GPU
  std::vector<fusco_plan_info> plans; ///< by rank, of the first shuffle
  std::optional<Timeline> timeline;   ///< if \p options ask for it
};

/// Times \p programs and \p baselines in turn, iteration by iteration, so that
/// a drifting machine treats them alike. Experts are the identity, but for a
/// cast.
BenchResult bench(Ranks &ranks, const Programs &programs,
                  const ProcessBaselines &baselines, const Routing &routing,
                  const Options &options);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_BENCH_H
