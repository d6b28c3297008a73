//===- Copy.cpp - Copies of rows ------------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Streaming stores of whole cache lines, memcpy for all else.
//
//===----------------------------------------------------------------------===//
#include "tools/baseline/Copy.h"

#include <cstring>
#include <immintrin.h>

namespace fusco::baseline {

static constexpr int64_t lineBytes = 64;

void copyRows(uint8_t *to, const uint8_t *from, int64_t bytes) {
  if (reinterpret_cast<uintptr_t>(to) % lineBytes != 0 ||
      bytes % lineBytes != 0) {
    std::memcpy(to, from, size_t(bytes));
    return;
  }
  for (int64_t at = 0; at != bytes; at += lineBytes) {
    const auto *source = reinterpret_cast<const __m256i *>(from + at);
    auto *target = reinterpret_cast<__m256i *>(to + at);
    const __m256i low = _mm256_loadu_si256(source);
    const __m256i high = _mm256_loadu_si256(source + 1);
    _mm256_stream_si256(target, low);
    _mm256_stream_si256(target + 1, high);
  }
}

void endCopies() { _mm_sfence(); }

} // namespace fusco::baseline
