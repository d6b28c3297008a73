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

/// One rank's buffers, far larger than the caches.
class MemoryLimits {
public:
  /// For one of \p ranks ranks whose copies move \p leastBytes together, read
  /// and written, or more where that would fit into a cache. Throws
  /// std::bad_alloc.
  MemoryLimits(int ranks, int64_t leastBytes);
  ~MemoryLimits();

  /// This rank's share of a pass; all ranks together make the pass.
  void run(MemoryPass pass);

  /// Bytes that \p pass reads plus those that it writes, over all ranks.
  int64_t bytesOf(MemoryPass pass) const;

private:
  struct Buffers;
  const int ranks;
  int64_t bytesPerRank; ///< of one buffer
  std::unique_ptr<Buffers> buffers;
};

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_MEMORYLIMITS_H
