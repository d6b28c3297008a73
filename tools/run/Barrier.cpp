//===- Barrier.cpp - Meeting point of a run's ranks -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Spinning, yielding, napping.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Barrier.h"

#include <chrono>
#include <thread>

namespace fusco::run {
namespace {

constexpr int numSpins = 32;     // as programs wait
constexpr int numYields = 20000; // some milliseconds
constexpr std::chrono::microseconds nap(100);
constexpr int64_t triesPerQuestion = 64;

} // namespace

bool Barrier::wait(const std::function<bool()> &isBroken) {
  const uint64_t mine = generation.load(std::memory_order_acquire);
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
    arrived.store(0, std::memory_order_relaxed);
    generation.store(mine + 1, std::memory_order_release);
    return true;
  }
  for (int64_t tries = 0; generation.load(std::memory_order_acquire) == mine;
       ++tries) {
    if (hasLeaver.load(std::memory_order_acquire) ||
        (tries % triesPerQuestion == triesPerQuestion - 1 && isBroken()))
      return false;
    if (tries < numSpins)
      __builtin_ia32_pause();
    else if (tries < numSpins + numYields)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(nap);
  }
  return true;
}

void Barrier::leave() {
  hasLeaver.store(true, std::memory_order_release);
  finish();
  while (numGone.load(std::memory_order_acquire) != threads)
    std::this_thread::sleep_for(nap);
}

} // namespace fusco::run
