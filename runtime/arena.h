//===- arena.h - A rank's memory for other processes ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// One piece of memory per rank that the other processes of its host map: its
/// heap, then room for tensors. Whoever has mapped it finds a tensor at the
/// same distance from its base as its owner does.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_ARENA_H
#define FUSCO_RUNTIME_ARENA_H

#include "fusco/runtime.h"
#include "runtime/cuda/driver.h"
#include "runtime/memory.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace fusco::runtime {

/// What another process needs to map an arena. Plain data, sent as it is.
struct ArenaHandle {
  std::uint64_t bytes = 0;
  std::int32_t process = 0;     ///< id of the owner
  std::int32_t file = -1;       ///< descriptor there
  cuda::CUipcMemHandle onGpu{}; ///< in place of both, where it is on a GPU
};

/// An open file; closed by its owner.
class File {
public:
  explicit File(int descriptor = -1) : descriptor(descriptor) {}
  File(File &&other) noexcept : descriptor(other.release()) {}
  File &operator=(File &&other) noexcept;
  ~File();
  int get() const { return descriptor; }
  int release();

private:
  int descriptor;
};

/// Shared pages, or memory of a GPU that must still be there; unmapped by their
/// owner.
struct Unmap {
  std::uint64_t bytes = 0;
  const Gpu *gpu = nullptr;
  void operator()(char *base) const;
};
using Mapping = std::unique_ptr<char, Unmap>;

/// Maps the arena of another process of this host, bounded by what its file
/// really has; for \p gpu if that is not NULL. \p rank names it in errors.
fusco_status mapArena(const Gpu *gpu, const ArenaHandle &handle,
                      std::int32_t rank, Mapping &mapping);

/// The own one. It has no name, so that nothing is left of it when the last
/// process that has mapped it ends, however that ends.
class Arena {
public:
  /// \p heapBytes zero bytes, then room for \p tensorBytes of tensors: on
  /// \p gpu, or on the host if that is NULL, where pages take memory only once
  /// they are touched. \p given, if not NULL, is that memory of the GPU, of
  /// countBytes(), which must outlive the arena.
  static fusco_status create(const Gpu *gpu, std::uint64_t heapBytes,
                             std::uint64_t tensorBytes,
                             std::unique_ptr<Arena> &arena,
                             char *given = nullptr);
  /// How many bytes create() needs: refuses what cannot be addressed.
  static fusco_status countBytes(std::uint64_t heapBytes,
                                 std::uint64_t tensorBytes,
                                 std::uint64_t &bytes);

  char *getBase() const { return base; }
  std::uint64_t getBytes() const { return bytes; }
  fusco_status getHandle(ArenaHandle &handle) const;
  /// Whether it has these \p count bytes.
  bool contains(const void *data, std::uint64_t count) const;

  /// Takes \p count zero bytes for a tensor; NULL for none. Any thread.
  fusco_status allocate(std::uint64_t count, char *&data);
  /// Gives back what allocate() gave.
  void free(char *data);

private:
  explicit Arena(const Gpu *gpu) : gpu(gpu) {}

  const Gpu *const gpu;
  char *base = nullptr;
  Memory onGpu; ///< unless it was given
  File file;    ///< on the host, with its mapping
  Mapping mapping;
  std::uint64_t bytes = 0;
  std::mutex mutex;
  /// Pieces by their distance from the base, with their sizes. Free ones never
  /// touch each other.
  std::map<std::uint64_t, std::uint64_t> freePieces, takenPieces;
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_ARENA_H
