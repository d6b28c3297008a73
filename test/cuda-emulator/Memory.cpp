//===- Memory.cpp - The GPU's memory --------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Memory.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <sys/mman.h>

using namespace fusco::emulator;

static std::size_t roundToGranules(std::size_t bytes) {
  return (bytes + Memory::granuleBytes - 1) / Memory::granuleBytes *
         Memory::granuleBytes;
}

/// Address space only: pages come with the first write.
static void *reserve(std::size_t bytes) {
  void *address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED)
    throw std::bad_alloc();
  return address;
}

Memory::Memory()
    : base(reinterpret_cast<std::uint64_t>(reserve(arenaBytes))),
      validBytes(static_cast<std::uint16_t *>(
          reserve(arenaBytes / granuleBytes * sizeof(std::uint16_t)))) {}

Memory &Memory::get() {
  // Never destroyed: kernels may run until the process ends.
  static Memory &memory = *new Memory;
  return memory;
}

char *Memory::allocate(std::size_t bytes, Kind kind) {
  if (bytes == 0 || bytes > arenaBytes)
    return nullptr;
  // The first gap that leaves a granule free on both sides.
  std::uint64_t address = base + granuleBytes;
  for (const auto &[start, allocation] : allocations) {
    if (address + roundToGranules(bytes) + granuleBytes <= start)
      break;
    address = start + roundToGranules(allocation.bytes) + granuleBytes;
  }
  if (address + roundToGranules(bytes) + granuleBytes > base + arenaBytes)
    return nullptr;

  char *data = reinterpret_cast<char *>(address);
  std::memset(data, 0xCD, bytes);
  std::size_t granule = (address - base) / granuleBytes;
  for (std::size_t left = bytes; left;) {
    std::size_t part = std::min(left, granuleBytes);
    validBytes[granule++] = part;
    left -= part;
  }
  allocations[address] = {bytes, kind};
  return data;
}

void Memory::release(std::uint64_t address, std::size_t bytes) {
  std::memset(&validBytes[(address - base) / granuleBytes], 0,
              roundToGranules(bytes) / granuleBytes * sizeof(std::uint16_t));
  const std::uint64_t pageBytes = 4096;
  std::uint64_t first = (address + pageBytes - 1) / pageBytes * pageBytes;
  std::uint64_t end = (address + bytes) / pageBytes * pageBytes;
  if (first < end)
    madvise(reinterpret_cast<void *>(first), end - first, MADV_DONTNEED);
}

bool Memory::free(std::uint64_t address, Kind kind) {
  auto found = allocations.find(address);
  if (found == allocations.end() || found->second.kind != kind)
    return false;
  release(address, found->second.bytes);
  allocations.erase(found);
  return true;
}

void Memory::freeAll() {
  for (const auto &[address, allocation] : allocations)
    release(address, allocation.bytes);
  allocations.clear();
}

bool Memory::contains(std::uint64_t address, std::size_t bytes) const {
  while (bytes) {
    std::size_t part =
        std::min(bytes, granuleBytes - (address - base) % granuleBytes);
    if (!containsWithinGranule(address, part))
      return false;
    address += part;
    bytes -= part;
  }
  return true;
}

std::optional<Memory::Kind> Memory::getKind(std::uint64_t address) const {
  auto next = allocations.upper_bound(address);
  if (next == allocations.begin())
    return std::nullopt;
  const auto &[start, allocation] = *std::prev(next);
  if (address - start >= allocation.bytes)
    return std::nullopt;
  return allocation.kind;
}
