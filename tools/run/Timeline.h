//===- Timeline.h - What ranks did, and when --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Takes the events that programs of a library with a timeline note, and makes
/// spans of them: a call, its steps, stages, waits and puts.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_TIMELINE_H
#define FUSCO_TOOLS_RUN_TIMELINE_H

#include "tools/run/Launch.h"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

namespace fusco::run {

/// A span of one worker of a rank. Plain data: ranks hand it to each other.
struct TimelineSpan {
  uint64_t startNs, endNs;
  int64_t value;         ///< of its begin
  int64_t bytes;         ///< of a put
  int32_t info;          ///< index of the library's spans
  int32_t step, stage;   ///< around it, likewise; -1 where there is none
  int32_t program, call; ///< calls of a program that are kept count from 0
  int16_t worker;
  int16_t depth; ///< spans around it
  bool isCut;    ///< its end was not noted: the worker's last event stands in
};

/// The last calls of each program.
struct Timeline {
  struct OfRank {
    std::vector<TimelineSpan> spans; ///< in the order in which they begin, call
                                     ///< by call, worker by worker
    uint64_t numDropped = 0;         ///< events of these calls that are missing
  };
  std::vector<OfRank> ranks;
};

/// Keeps what a rank's programs noted in the last \p numCalls calls of each.
class TimelineRecorder {
public:
  TimelineRecorder(Rank &rank, int64_t numCalls)
      : rank(rank), numCalls(size_t(numCalls)) {}

  /// Takes the events of a call of \p program that is over.
  void take(int program);
  /// All ranks' timelines. All of them call it together.
  Timeline gather();

private:
  struct Call {
    std::vector<fusco_event> events;
    uint64_t numDropped;
  };
  Rank &rank;
  const size_t numCalls;
  std::map<int, std::deque<Call>> calls; ///< by program
};

/// One for \p rank if \p options ask for a timeline.
std::optional<TimelineRecorder> makeRecorder(Rank &rank,
                                             const Options &options);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_TIMELINE_H
