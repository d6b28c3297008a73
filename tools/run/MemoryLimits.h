//===- MemoryLimits.h - How fast this machine moves bytes -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Plain passes over memory, which what is measured is compared with.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_MEMORYLIMITS_H
#define FUSCO_TOOLS_RUN_MEMORYLIMITS_H

#include <cstdint>
#include <memory>
#include <vector>

namespace fusco::run {

/// The ways to go over memory once.
enum class MemoryPass {
  Memcpy,        ///< copy by memcpy
  StreamingCopy, ///< copy by stores past the caches
  Write,         ///< stores past the caches alone, of other than zeros
  Read           ///< loads alone
};
constexpr MemoryPass allMemoryPasses[] = {MemoryPass::Memcpy,
                                          MemoryPass::StreamingCopy,
                                          MemoryPass::Write, MemoryPass::Read};

/// Buffers of every thread, far larger than the caches.
class MemoryLimits {
public:
  /// \p threads threads whose copies move \p leastBytes together, read and
  /// written, or more where that would fit into a cache. Throws std::bad_alloc.
  MemoryLimits(int threads, int64_t leastBytes);
  ~MemoryLimits();

  /// The share of \p thread of a pass; all threads together make the pass.
  void run(MemoryPass pass, int thread);

  /// Bytes that \p pass reads plus those that it writes, over all threads.
  int64_t bytesOf(MemoryPass pass) const;

private:
  struct Buffers;
  std::vector<std::unique_ptr<Buffers>> buffers; ///< by thread
  int64_t bytesPerThread;                        ///< of one buffer
};

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_MEMORYLIMITS_H
