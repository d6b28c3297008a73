//===- Barrier.h - Meeting point of a run's ranks ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A reusable barrier that a failing rank can leave for good, so that nobody
/// waits for it. It may stand in memory that processes share.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_BARRIER_H
#define FUSCO_TOOLS_RUN_BARRIER_H

#include <atomic>
#include <cstdint>
#include <functional>

namespace fusco::run {

class Barrier {
public:
  explicit Barrier(int threads) : threads(threads) {}

  /// Returns true when all threads have called it equally often; false once a
  /// thread has left. Spins, then yields, then naps, so that a short wait ends
  /// sharply and a long one leaves the processor to those who work.
  bool wait() {
    return wait([] { return false; });
  }
  /// The same; returns false once \p isBroken, which is asked now and then.
  bool wait(const std::function<bool()> &isBroken);

  /// Makes this and every later wait() of the others return false, and returns
  /// when all of them have left or finished: until then they may write to
  /// memory of this thread.
  void leave();

  /// Says that this thread will not wait() again, though nothing went wrong.
  void finish() { numGone.fetch_add(1, std::memory_order_acq_rel); }

private:
  const int threads;
  std::atomic<int> arrived{0};
  std::atomic<uint64_t> generation{0};
  std::atomic<bool> hasLeaver{false};
  std::atomic<int> numGone{0}; ///< threads that left or finished
};

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_BARRIER_H
