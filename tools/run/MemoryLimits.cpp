//===- MemoryLimits.cpp - How fast this machine moves bytes ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See MemoryLimits.h. The passes are written with AVX2, which every library
/// for a CPU needs too.
//
//===----------------------------------------------------------------------===//
#include "tools/run/MemoryLimits.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <immintrin.h>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace fusco::run {
namespace {

constexpr int64_t hugePageBytes = 2 << 20;
constexpr int64_t leastTraffic = 256 << 20;

__attribute__((target("avx2"))) void
copyStreaming(uint8_t *to, const uint8_t *from, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += 64) {
    const auto *source = reinterpret_cast<const __m256i *>(from + at);
    auto *target = reinterpret_cast<__m256i *>(to + at);
    __m256i low = _mm256_load_si256(source);
    __m256i high = _mm256_load_si256(source + 1);
    _mm256_stream_si256(target, low);
    _mm256_stream_si256(target + 1, high);
  }
  _mm_sfence();
}

/// Memory systems may be faster with zeros, which rows are not.
__attribute__((target("avx2"))) void writeStreaming(uint8_t *to,
                                                    int64_t bytes) {
  const __m256i value = _mm256_set_epi32(1, 2, 3, 4, 5, 6, 7, 8);
  for (int64_t at = 0; at < bytes; at += 32)
    _mm256_stream_si256(reinterpret_cast<__m256i *>(to + at), value);
  _mm_sfence();
}

__attribute__((target("avx2"))) void readAll(const uint8_t *from,
                                             int64_t bytes) {
  __m256i all = _mm256_setzero_si256();
  for (int64_t at = 0; at < bytes; at += 32)
    all = _mm256_or_si256(
        all, _mm256_load_si256(reinterpret_cast<const __m256i *>(from + at)));
  asm volatile("" : : "x"(all)); // so that the loads are made
}

/// Memory on huge pages if there are any, touched already, and not of zeros.
class Buffer {
public:
  explicit Buffer(int64_t bytes)
      : memory(static_cast<uint8_t *>(
            std::aligned_alloc(hugePageBytes, size_t(bytes)))) {
    if (!memory)
      throw std::bad_alloc();
    madvise(memory, size_t(bytes), MADV_HUGEPAGE); // only an advice
    for (int64_t at = 0; at < bytes; ++at)
      memory[at] = uint8_t(at * 7 + 1);
  }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  ~Buffer() { std::free(memory); }

  uint8_t *const memory;
};

int64_t trafficOf(int64_t leastBytes) {
  const int64_t cache = sysconf(_SC_LEVEL3_CACHE_SIZE); // 0 or -1: unknown
  return std::max({leastBytes, leastTraffic, 8 * cache});
}

} // namespace

struct MemoryLimits::Buffers {
  explicit Buffers(int64_t bytes) : from(bytes), to(bytes) {}
  Buffer from, to;
};

MemoryLimits::MemoryLimits(int ranks, int64_t leastBytes) : ranks(ranks) {
  const int64_t share = trafficOf(leastBytes) / 2 / ranks;
  bytesPerRank = (share / hugePageBytes + 1) * hugePageBytes;
  buffers = std::make_unique<Buffers>(bytesPerRank);
}

MemoryLimits::~MemoryLimits() = default;

void MemoryLimits::run(MemoryPass pass) {
  uint8_t *from = buffers->from.memory;
  uint8_t *to = buffers->to.memory;
  switch (pass) {
  case MemoryPass::Memcpy:
    std::memcpy(to, from, size_t(bytesPerRank));
    break;
  case MemoryPass::StreamingCopy:
    copyStreaming(to, from, bytesPerRank);
    break;
  case MemoryPass::Write:
    writeStreaming(to, bytesPerRank);
    break;
  case MemoryPass::Read:
    readAll(from, bytesPerRank);
    break;
  }
}

int64_t MemoryLimits::bytesOf(MemoryPass pass) const {
  const bool isCopy =
      pass == MemoryPass::Memcpy || pass == MemoryPass::StreamingCopy;
  return (isCopy ? 2 : 1) * bytesPerRank * ranks;
}

} // namespace fusco::run
