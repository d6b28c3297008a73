//===- Memory.cpp - The GPU's memory --------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Memory.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

using namespace fusco::emulator;

static std::uint64_t roundUp(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

static std::size_t roundToGranules(std::size_t bytes) {
  return roundUp(bytes, Memory::granuleBytes);
}

static constexpr std::uint64_t pageBytes = 4096;

/// A file without a name that takes \p bytes, and room only for what is
/// written.
static int makeFile(std::size_t bytes) {
  int file = memfd_create("cuda-emulator", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, off_t(bytes)) != 0)
    throw std::bad_alloc();
  return file;
}

/// Address space only: pages come with the first write. Of \p file, if it is
/// not -1.
static void *reserve(std::size_t bytes, int file) {
  void *address = mmap(
      nullptr, bytes, PROT_READ | PROT_WRITE,
      MAP_NORESERVE | (file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED),
      file, 0);
  if (address == MAP_FAILED)
    throw std::bad_alloc();
  return address;
}

Memory::Memory()
    : file(makeFile(arenaBytes)),
      base(reinterpret_cast<std::uint64_t>(reserve(arenaBytes, file))),
      validBytes(static_cast<std::uint16_t *>(
          reserve(arenaBytes / granuleBytes * sizeof(std::uint16_t), -1))) {}

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
  std::uint64_t first = roundUp(address, pageBytes);
  std::uint64_t end = (address + bytes) / pageBytes * pageBytes;
  if (first < end)
    fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              off_t(first - base), off_t(end - first));
}

std::optional<Memory::Shared> Memory::share(std::uint64_t address) const {
  auto found = allocations.find(address);
  if (found == allocations.end() || found->second.kind != Device)
    return std::nullopt;
  return Shared{getpid(), file, address - base, found->second.bytes};
}

std::uint64_t Memory::takePages(std::size_t bytes, Kind kind) {
  char *room = allocate(bytes + pageBytes, kind);
  if (!room)
    return 0;
  const auto start = reinterpret_cast<std::uint64_t>(room);
  const std::uint64_t page = roundUp(start, pageBytes);
  pages[page] = start;
  return page;
}

bool Memory::freePages(std::uint64_t page) {
  auto found = pages.find(page);
  if (found == pages.end())
    return false;
  const std::uint64_t start = found->second;
  const Allocation &allocation = allocations.at(start);
  const std::uint64_t end = start + allocation.bytes;
  mmap(reinterpret_cast<void *>(page), (end - page) / pageBytes * pageBytes,
       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, file,
       off_t(page - base));
  pages.erase(found);
  return free(start, allocation.kind);
}

std::uint64_t Memory::map(const Shared &shared) {
  // Whole pages of the other's, over an allocation of our own.
  const std::uint64_t skipped = shared.at % pageBytes;
  const std::size_t bytes = roundUp(skipped + shared.bytes, pageBytes);
  std::string path = "/proc/" + std::to_string(shared.process) + "/fd/" +
                     std::to_string(shared.file);
  int theirs = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (theirs < 0)
    return 0;
  const std::uint64_t page = takePages(bytes, Device);
  if (page)
    mmap(reinterpret_cast<void *>(page), bytes, PROT_READ | PROT_WRITE,
         MAP_SHARED | MAP_FIXED | MAP_NORESERVE, theirs,
         off_t(shared.at - skipped));
  close(theirs);
  return page ? page + skipped : 0;
}

bool Memory::unmap(std::uint64_t address) {
  return freePages(address / pageBytes * pageBytes);
}

std::uint64_t Memory::registerPages(void *data, std::size_t bytes) {
  bytes = roundUp(bytes, pageBytes);
  if (reinterpret_cast<std::uint64_t>(data) % pageBytes || bytes == 0 ||
      findRegistered(data))
    return 0;
  const std::uint64_t page = takePages(bytes, Host);
  if (!page)
    return 0;
  // Of no bytes: shared pages are shown once more.
  if (mremap(data, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
             reinterpret_cast<void *>(page)) == MAP_FAILED) {
    freePages(page);
    return 0;
  }
  registered[data] = page;
  return page;
}

bool Memory::unregisterPages(void *data) {
  auto found = registered.find(data);
  if (found == registered.end())
    return false;
  const std::uint64_t page = found->second;
  registered.erase(found);
  return freePages(page);
}

std::uint64_t Memory::findRegistered(void *data) const {
  auto found = registered.find(data);
  return found == registered.end() ? 0 : found->second;
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
  while (!pages.empty())
    freePages(pages.begin()->first);
  registered.clear();
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
