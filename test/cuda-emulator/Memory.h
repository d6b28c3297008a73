//===- Memory.h - The GPU's memory -------------------------------*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// One arena for device and pinned host memory, whose addresses are the host's.
/// It knows of every byte whether it is allocated.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TEST_CUDA_EMULATOR_MEMORY_H
#define FUSCO_TEST_CUDA_EMULATOR_MEMORY_H

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace fusco::emulator {

class Memory {
public:
  enum Kind { Device, Host };

  static Memory &get();

  /// Filled with 0xCD; nullptr if there is no room. Unallocated bytes lie
  /// between any two allocations.
  char *allocate(std::size_t bytes, Kind kind);
  /// Returns false if \p address is not the start of an allocation.
  bool free(std::uint64_t address, Kind kind);
  void freeAll();

  /// Where other processes find the allocation that starts at \p address.
  struct Shared {
    int process, file; ///< a descriptor of that process
    std::uint64_t at;  ///< in the file
    std::size_t bytes;
  };
  std::optional<Shared> share(std::uint64_t address) const;
  /// Shows memory of another process; 0 if that cannot be.
  std::uint64_t map(const Shared &shared);
  bool unmap(std::uint64_t address);

  /// Shows shared pages of this process from \p data on, at an address of their
  /// own; 0 if that cannot be.
  std::uint64_t registerPages(void *data, std::size_t bytes);
  bool unregisterPages(void *data);
  /// Where registerPages() shows them; 0 if it does not.
  std::uint64_t findRegistered(void *data) const;

  /// Whether the bytes lie in one allocation. This and the next may be asked
  /// while another thread allocates.
  bool contains(std::uint64_t address, std::size_t bytes) const;
  /// The same for an access that does not cross a granule.
  bool containsWithinGranule(std::uint64_t address, unsigned bytes) const {
    std::uint64_t offset = address - base;
    return offset < arenaBytes &&
           (offset % granuleBytes) + bytes <= validBytes[offset / granuleBytes];
  }
  std::optional<Kind> getKind(std::uint64_t address) const;

  static constexpr std::size_t arenaBytes = std::size_t(1) << 36;
  static constexpr std::size_t granuleBytes = 256;

private:
  struct Allocation {
    std::size_t bytes;
    Kind kind;
  };

  Memory();
  void release(std::uint64_t address, std::size_t bytes);
  /// An allocation with room for \p bytes bytes from a page on, that page.
  std::uint64_t takePages(std::size_t bytes, Kind kind);
  /// Frees what takePages() gave, with pages of the file in it again.
  bool freePages(std::uint64_t page);

  int file; ///< behind all of it, for other processes
  std::uint64_t base;
  std::uint16_t *validBytes; ///< of each granule
  std::map<std::uint64_t, Allocation> allocations;
  /// Allocations of takePages(), by the page that it gave.
  std::map<std::uint64_t, std::uint64_t> pages;
  std::map<void *, std::uint64_t> registered; ///< pages by what they show
};

} // namespace fusco::emulator

#endif // FUSCO_TEST_CUDA_EMULATOR_MEMORY_H
