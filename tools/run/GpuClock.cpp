//===- GpuClock.cpp - Times of what ranks do on a GPU ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The gate is a copy on rank 0's stream that takes longer than all ranks need
/// to line up behind it. Other processes' events cannot be looked at, so that
/// ranks that are processes have no gate.
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
  copySource = makeDeviceMemory(meeting.copyBytes);
  copyTarget = makeDeviceMemory(meeting.copyBytes);
}

void GpuClock::copyBytes(int64_t bytes) {
  requireGpu(gpuDriver().memcpyDtoDAsync(copyTarget.get(), copySource.get(),
                                         size_t(bytes), ownStream.get()),
             "copying on the GPU");
}

void GpuClock::copy() {
  if (rank.index == 0)
    copyBytes(meeting.copyBytes);
}

void GpuClock::lineUp() {
  const cuda::Driver &driver = gpuDriver();
  if (rank.index == 0) {
    copyBytes(std::min(mostGateBytes, meeting.copyBytes));
    requireGpu(driver.eventRecord(gate.get(), ownStream.get()),
               "recording an event");
  }
  rank.meetAwake();
  requireGpu(driver.streamWaitEvent(ownStream.get(), meeting.gate, 0),
             "waiting for an event");
}

Span GpuClock::time(const std::function<void()> &launch) {
  auto record = [&](const cuda::Event &event) {
    requireGpu(gpuDriver().eventRecord(event.get(), ownStream.get()),
               "recording an event");
  };
  auto elapsedUs = [](cuda::CUevent from, const cuda::Event &to) {
    float ms = 0;
    requireGpu(gpuDriver().eventElapsedTime(&ms, from, to.get()),
               "reading a time");
    return double(ms) * 1e3;
  };
  rank.meet(); // nobody looks at the last time's events any more
  if (rank.isAlone())
    rank.meetAwake();
  else
    lineUp();
  record(start);
  launch();
  record(end);
  rank.synchronize(stream());
  if (rank.isAlone())
    return {0, elapsedUs(start.get(), end)};
  rank.meet(); // the first rank's start lies behind all of us
  const cuda::CUevent first = meeting.starts.front();
  return {elapsedUs(first, start), elapsedUs(first, end)};
}

} // namespace fusco::run
