//===- memory.cpp - Zeroed memory -----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Zeroed memory straight from the system: anonymous mappings are page-aligned
/// and zero without being touched. A GPU's memory comes from its driver.
//
//===----------------------------------------------------------------------===//

#include "runtime/memory.h"

#include "runtime/cuda/gpu.h"
#include "runtime/status.h"

#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <sys/mman.h>

using namespace fusco::runtime;

void Free::operator()(char *data) const {
  if (gpu)
    gpu->free(data);
  else
    munmap(data, bytes);
}

fusco_status fusco::runtime::allocateZeroed(const Gpu *gpu, std::uint64_t bytes,
                                            const char *what, Memory &memory) {
  memory.reset();
  if (bytes == 0)
    return FUSCO_OK;
  if (gpu) {
    char *data;
    if (fusco_status status = gpu->allocateZeroed(bytes, what, data))
      return status;
    memory = Memory(data, Free{bytes, gpu});
    return FUSCO_OK;
  }
  void *data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED)
    return fail(FUSCO_OUT_OF_MEMORY, "cannot map %" PRIu64 " bytes for %s: %s",
                bytes, what, std::strerror(errno));
  // A hint: kernels without huge pages refuse it, and nothing is lost.
  if (bytes >= hugePageBytes)
    madvise(data, bytes, MADV_HUGEPAGE);
  memory = Memory(static_cast<char *>(data), Free{bytes});
  return FUSCO_OK;
}
