//===- Mailbox.cpp - Memory that fusco-run and the baseline share ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The layout: a header, then the parts of each rank. Every part starts at a
/// page; what is not used takes no memory.
//
//===----------------------------------------------------------------------===//
#include "tools/baseline/Mailbox.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fusco::baseline {

static constexpr size_t pageBytes = 4096;

static void *mapAll(int file, size_t bytes) {
  void *memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

Mailbox::Parts Mailbox::partsOf(const Shape &shape) {
  size_t end = 0;
  auto take = [&](size_t bytes) {
    const size_t start = end;
    end += (bytes + pageBytes - 1) / pageBytes * pageBytes;
    return start;
  };
  const size_t pairs = size_t(shape.maxTokens) * size_t(shape.topk);
  const size_t experts = size_t(shape.maxLocalExperts());
  const size_t bytesPerRow = size_t(shape.bytesPerRow());
  Parts parts;
  parts.rank = take(sizeof(Rank));
  parts.ids = take(pairs * sizeof(int64_t));
  parts.weights = take(pairs * sizeof(float));
  parts.counts = take(experts * sizeof(int64_t));
  parts.offsets = take((experts + 1) * sizeof(int64_t));
  parts.tokens = take(size_t(shape.maxTokens) * bytesPerRow);
  parts.rows = take(size_t(shape.maxRows) * bytesPerRow);
  parts.end = end;
  return parts;
}

size_t Mailbox::bytesOf(const Shape &shape) {
  return pageBytes + size_t(shape.numRanks()) * partsOf(shape).end;
}

size_t Mailbox::startOf(int rank) {
  return pageBytes + size_t(rank) * parts().end;
}

Mailbox *Mailbox::create(int file, const Shape &shape) {
  static_assert(sizeof(Header) <= pageBytes);
  if (ftruncate(file, off_t(bytesOf(shape))) != 0)
    return nullptr;
  auto *mailbox = static_cast<Mailbox *>(mapAll(file, bytesOf(shape)));
  if (!mailbox)
    return nullptr;
  mailbox->header().bytes = sizeof(Header);
  mailbox->header().shape = shape;
  sem_init(&mailbox->header().answered, /*pshared=*/1, 0);
  for (int rank = 0; rank != shape.numRanks(); ++rank)
    sem_init(&mailbox->rank(rank).commanded, /*pshared=*/1, 0);
  return mailbox;
}

Mailbox *Mailbox::open(int file) {
  struct stat status;
  if (fstat(file, &status) != 0 || size_t(status.st_size) < pageBytes)
    return nullptr;
  auto *mailbox = static_cast<Mailbox *>(mapAll(file, size_t(status.st_size)));
  if (!mailbox || mailbox->header().bytes != sizeof(Header) ||
      bytesOf(mailbox->shape()) != size_t(status.st_size))
    return nullptr;
  return mailbox;
}

} // namespace fusco::baseline
