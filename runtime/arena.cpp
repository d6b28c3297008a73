//===- arena.cpp - A rank's memory for other processes --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A memfd, which other processes of the same user open through /proc.
//
//===----------------------------------------------------------------------===//

#include "runtime/arena.h"

#include "runtime/cuda/gpu.h"
#include "runtime/status.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

using namespace fusco::runtime;

/// Where pieces start that are smaller than a huge page, at one of which larger
/// ones do.
constexpr std::uint64_t pageBytes = 4096;

static std::uint64_t roundUp(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

//===--- Owners -----------------------------------------------------------===//

File &File::operator=(File &&other) noexcept {
  std::swap(descriptor, other.descriptor);
  return *this;
}

File::~File() {
  if (descriptor >= 0)
    close(descriptor);
}

int File::release() { return std::exchange(descriptor, -1); }

void Unmap::operator()(char *base) const {
  if (gpu)
    gpu->unmapPeer(base);
  else
    munmap(base, bytes);
}

/// Maps all \p bytes of \p file.
static bool mapFile(const File &file, std::uint64_t bytes, Mapping &mapping) {
  void *base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_NORESERVE, file.get(), 0);
  if (base == MAP_FAILED)
    return false;
  // A hint: where it is refused nothing is lost.
  madvise(base, bytes, MADV_HUGEPAGE);
  mapping = Mapping(static_cast<char *>(base), Unmap{bytes});
  return true;
}

fusco_status fusco::runtime::mapArena(const Gpu *gpu, const ArenaHandle &handle,
                                      std::int32_t rank, Mapping &mapping) {
  if (gpu) {
    char *base;
    if (fusco_status status = gpu->mapPeer(handle.onGpu, rank, base))
      return status;
    mapping = Mapping(base, Unmap{handle.bytes, gpu});
    return FUSCO_OK;
  }
  char path[64];
  std::snprintf(path, sizeof(path), "/proc/%" PRId32 "/fd/%" PRId32,
                handle.process, handle.file);
  File file(open(path, O_RDWR | O_CLOEXEC));
  if (file.get() < 0)
    return fail(FUSCO_UNSUPPORTED,
                "cannot open the memory of rank %" PRId32 " at '%s': %s; ranks "
                "of a host must be processes of one user that see each other "
                "in /proc",
                rank, path, std::strerror(errno));
  // A mapping that is longer than its file would end this process later.
  struct stat found;
  if (fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode) ||
      static_cast<std::uint64_t>(found.st_size) != handle.bytes)
    return fail(FUSCO_PEER_FAILED,
                "expected %" PRIu64 " bytes of memory of rank %" PRId32
                " at '%s', which it no longer has",
                handle.bytes, rank, path);
  if (!mapFile(file, handle.bytes, mapping))
    return fail(FUSCO_OUT_OF_MEMORY,
                "cannot map %" PRIu64 " bytes of rank %" PRId32
                ": %s; ask for fewer tensorBytes",
                handle.bytes, rank, std::strerror(errno));
  return FUSCO_OK;
}

//===--- Arena ------------------------------------------------------------===//

fusco_status Arena::countBytes(std::uint64_t heapBytes,
                               std::uint64_t tensorBytes,
                               std::uint64_t &bytes) {
  // Of more nothing could be mapped, and sums of less do not wrap.
  constexpr std::uint64_t mostBytes = std::uint64_t(1) << 62;
  if (tensorBytes > mostBytes)
    return fail(FUSCO_INVALID_ARGUMENT,
                "expected tensorBytes that can be addressed, got %" PRIu64,
                tensorBytes);
  bytes =
      roundUp(heapBytes, hugePageBytes) + roundUp(tensorBytes, hugePageBytes);
  return FUSCO_OK;
}

fusco_status Arena::create(const Gpu *gpu, std::uint64_t heapBytes,
                           std::uint64_t tensorBytes,
                           std::unique_ptr<Arena> &arena, char *given) {
  std::uint64_t bytes = 0;
  if (fusco_status status = countBytes(heapBytes, tensorBytes, bytes))
    return status;
  std::unique_ptr<Arena> made(new (std::nothrow) Arena(gpu));
  if (!made)
    return fail(FUSCO_OUT_OF_MEMORY, "no memory for an arena");
  made->bytes = bytes;
  if (given) {
    made->base = given;
  } else if (gpu) {
    if (fusco_status status =
            allocateZeroed(gpu, bytes, "what ranks share", made->onGpu))
      return status;
    made->base = made->onGpu.get();
  } else {
    made->file = File(memfd_create("fusco", MFD_CLOEXEC));
    if (made->file.get() < 0 ||
        ftruncate(made->file.get(), static_cast<off_t>(bytes)) != 0 ||
        !mapFile(made->file, bytes, made->mapping))
      return fail(FUSCO_OUT_OF_MEMORY,
                  "cannot make %" PRIu64
                  " bytes of shared memory: %s; ask for fewer tensorBytes",
                  bytes, std::strerror(errno));
    made->base = made->mapping.get();
  }
  const std::uint64_t begin = roundUp(heapBytes, hugePageBytes);
  if (bytes > begin)
    made->freePieces.emplace(begin, bytes - begin);
  arena = std::move(made);
  return FUSCO_OK;
}

fusco_status Arena::getHandle(ArenaHandle &handle) const {
  handle = {bytes, getpid(), file.get(), {}};
  return gpu ? gpu->exportMemory(getBase(), handle.onGpu) : FUSCO_OK;
}

bool Arena::contains(const void *data, std::uint64_t count) const {
  auto address = reinterpret_cast<std::uintptr_t>(data);
  auto base = reinterpret_cast<std::uintptr_t>(getBase());
  return address >= base && address - base <= bytes &&
         count <= bytes - (address - base);
}

fusco_status Arena::allocate(std::uint64_t count, char *&data) {
  data = nullptr;
  if (count == 0)
    return FUSCO_OK;
  const std::uint64_t multiple =
      count >= hugePageBytes ? hugePageBytes : pageBytes;
  std::lock_guard<std::mutex> lock(mutex);
  // Nothing else here is large enough for the sum to wrap.
  for (auto [at, room] : freePieces) {
    std::uint64_t begin = roundUp(at, multiple), end = at + room;
    if (count > bytes || begin + roundUp(count, pageBytes) > end)
      continue;
    std::uint64_t taken = roundUp(count, pageBytes);
    freePieces.erase(at);
    if (begin > at)
      freePieces.emplace(at, begin - at);
    if (begin + taken < end)
      freePieces.emplace(begin + taken, end - begin - taken);
    takenPieces.emplace(begin, taken);
    data = getBase() + begin;
    return gpu ? gpu->fillWithZeros(data, taken) : FUSCO_OK;
  }
  return fail(FUSCO_OUT_OF_MEMORY,
              "expected room for a tensor of %" PRIu64 " bytes in the %" PRIu64
              " bytes that this rank shares; join the "
              "domain with more tensorBytes",
              count, bytes);
}

void Arena::free(char *data) {
  if (!data)
    return;
  std::lock_guard<std::mutex> lock(mutex);
  auto taken = takenPieces.find(static_cast<std::uint64_t>(data - getBase()));
  auto [begin, count] = *taken;
  takenPieces.erase(taken);
  // The pages go back to the system, and are zero when they are touched again.
  if (!gpu &&
      fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<off_t>(begin), static_cast<off_t>(count)) != 0)
    std::memset(data, 0, count);
  auto next = freePieces.lower_bound(begin);
  if (next != freePieces.end() && next->first == begin + count) {
    count += next->second;
    next = freePieces.erase(next);
  }
  if (next != freePieces.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second == begin) {
      before->second += count;
      return;
    }
  }
  freePieces.emplace(begin, count);
}
