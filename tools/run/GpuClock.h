//===- GpuClock.h - Times of what ranks do on a GPU -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Times by the GPU's own events, and the copy that times are compared with.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_GPUCLOCK_H
#define FUSCO_TOOLS_RUN_GPUCLOCK_H

#include "tools/run/Gpu.h"
#include "tools/run/Launch.h"
#include "tools/run/Timing.h"

#include <functional>
#include <vector>

namespace fusco::run {

/// What the clocks of all ranks share.
struct GpuMeeting {
  explicit GpuMeeting(int ranks) : starts(size_t(ranks)) {}

  std::vector<cuda::CUevent> starts; ///< by rank
  cuda::CUevent gate = nullptr;      ///< after it all ranks start
  int64_t copyBytes = 0;             ///< that a copy reads, and writes
};

/// One rank's clock, with the stream that the rank works on. It must end before
/// its rank does.
class GpuClock {
public:
  /// All ranks must have made theirs before one of them is used.
  GpuClock(Rank &rank, GpuMeeting &meeting);

  void *stream() const { return ownStream.get(); }

  /// Times what \p launch puts on stream(). All ranks call it together. Where
  /// they are threads their streams start at the same moment, when rank 0 has
  /// opened the gate: what the host needs for launching is not counted. Where
  /// they are processes each gives its own time, from 0 on, which counts how
  /// long it waited for those that came later.
  Span time(const std::function<void()> &launch);

  /// Puts a copy of meeting.copyBytes within the GPU's memory on rank 0's
  /// stream.
  void copy();

private:
  void copyBytes(int64_t bytes);
  /// Puts the gate, which all ranks are behind when it opens, on stream().
  void lineUp();

  Rank &rank;
  GpuMeeting &meeting;
  cuda::Stream ownStream;
  cuda::Event start, end;
  cuda::Event gate;                          ///< of rank 0
  cuda::DeviceMemory copySource, copyTarget; ///< of rank 0
};

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_GPUCLOCK_H
