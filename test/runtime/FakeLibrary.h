//===- FakeLibrary.h - A hand-written generated library ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A library as fusco-compile would make it, but written by hand: each rank
/// sends its rows to the next rank (dispatch) and fetches them back (combine).
/// It uses everything that the runtime offers to generated code.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TEST_RUNTIME_FAKELIBRARY_H
#define FUSCO_TEST_RUNTIME_FAKELIBRARY_H

#include "fusco/library.h"

#include <atomic>
#include <cstdint>

namespace fusco::test {

constexpr std::int32_t maxRanks = 8;
constexpr std::int64_t hidden = 64;
constexpr std::int64_t topk = 2;
constexpr std::int64_t numExperts = 16;
constexpr std::int64_t maxTokens = 32;

enum Program : std::int32_t { Dispatch = 0, Combine = 1 };

/// The channel that is used in \p phase: another number, so that the two are
/// not taken for each other unnoticed.
constexpr std::int32_t channelOf(std::int32_t phase) { return phase + 1; }

/// Parameters by position.
enum DispatchTensor { X = 0, Ids = 1, RowsOut = 2, Counts = 3 };
enum CombineTensor { RowsIn = 0, Y = 1 };

/// Model "m" on one node of \p numRanks ranks. Tests may edit `info` before
/// use.
///   m_dispatch(x bf16 [?, 64], ids i32 [?, 2]) -> rows bf16 [room, 64],
///                                                 counts i32 [4]
///   m_combine(rows bf16 [room, 64]) -> y bf16 [?, 64]
struct FakeLibrary {
  explicit FakeLibrary(std::int32_t numRanks);
  FakeLibrary(const FakeLibrary &) = delete;
  FakeLibrary &operator=(const FakeLibrary &) = delete;

  fusco_library_info info;
  fusco_library library;
};

/// What the programs of all fake libraries saw, and how they shall misbehave.
struct FakeControl {
  std::atomic<unsigned> floatMode{0};  ///< MXCSR in the last program
  std::atomic<int> numRefusedRuns{0};  ///< runs with args->status set
  std::atomic<int> numRefusedLeaks{0}; ///< those of them that saw plan/tensors
  std::atomic<int> vanishingRank{-1};  ///< leaves its program without a word
  std::atomic<int> vanishingPhase{-1}; ///< before it signals in this phase
};
extern FakeControl fakeControl;

} // namespace fusco::test

#endif // FUSCO_TEST_RUNTIME_FAKELIBRARY_H
