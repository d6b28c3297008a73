//===- GpuClock.cpp - Times of what ranks do on a GPU ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The gate is a copy on rank 0's stream that takes longer than all ranks need
/// to line up behind it.
//
//===----------------------------------------------------------------------===//
#include "tools/run/GpuClock.h"

#include <algorithm>

namespace fusco::run {
namespace {

/// Far more than caches hold, if the GPU has room for it.
constexpr int64_t mostCopyBytes = int64_t(1) << 30;
constexpr int64_t leastCopiesInMemory = 64;
/// About 0.2 ms.
constexpr int64_t mostGateBytes = int64_t(1) << 28;

const char *const copySource = "copy source", *const copyTarget = "copy target";

int64_t chooseCopyBytes() {
  size_t memoryBytes = 0;
  cuda::CUdevice device = 0;
  requireGpu(gpuDriver().ctxGetDevice(&device), "finding the GPU");
  requireGpu(gpuDriver().deviceTotalMem(&memoryBytes, device),
             "asking for the GPU's memory");
  return std::min(mostCopyBytes, int64_t(memoryBytes) / leastCopiesInMemory);
}

} // namespace

GpuClock::GpuClock(Rank &rank, GpuMeeting &meeting)
    : rank(rank), meeting(meeting), ownStream(makeStream()), start(makeEvent()),
      end(makeEvent()) {
  meeting.starts[size_t(rank.index)] = start.get();
  if (rank.index != 0)
    return;
  gate = makeEvent();
  meeting.gate = gate.get();
  meeting.copyBytes = chooseCopyBytes();
  buffers.emplace(rank);
  for (const char *name : {copySource, copyTarget})
    buffers->create(name, {kDLUInt, 8, 1}, {meeting.copyBytes});
}

void GpuClock::copyBytes(int64_t bytes) {
  auto address = [&](const char *name) {
    return reinterpret_cast<uintptr_t>((*buffers)[name].data);
  };
  requireGpu(gpuDriver().memcpyDtoDAsync(address(copyTarget),
                                         address(copySource), size_t(bytes),
                                         ownStream.get()),
             "copying on the GPU");
}

void GpuClock::copy() {
  if (rank.index == 0)
    copyBytes(meeting.copyBytes);
}

Span GpuClock::time(const std::function<void()> &launch) {
  const cuda::Driver &driver = gpuDriver();
  rank.meet(); // nobody looks at the last time's events any more
  if (rank.index == 0) {
    copyBytes(std::min(mostGateBytes, meeting.copyBytes));
    requireGpu(driver.eventRecord(gate.get(), ownStream.get()),
               "recording an event");
  }
  rank.meetAwake();
  requireGpu(driver.streamWaitEvent(ownStream.get(), meeting.gate, 0),
             "waiting for an event");
  requireGpu(driver.eventRecord(start.get(), ownStream.get()),
             "recording an event");
  launch();
  requireGpu(driver.eventRecord(end.get(), ownStream.get()),
             "recording an event");
  rank.synchronize(stream());
  rank.meet(); // the first rank's start lies behind all of us

  auto elapsedUs = [&](cuda::CUevent event) {
    float ms = 0;
    requireGpu(driver.eventElapsedTime(&ms, meeting.starts.front(), event),
               "reading a time");
    return double(ms) * 1e3;
  };
  return {elapsedUs(start.get()), elapsedUs(end.get())};
}

} // namespace fusco::run
