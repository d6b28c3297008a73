//===- memory.h - Zeroed memory ---------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Owned memory for heaps, plans and tensors, on the host or on a GPU.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_MEMORY_H
#define FUSCO_RUNTIME_MEMORY_H

#include "fusco/runtime.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fusco::runtime {

class Gpu;

/// Memory of this size and more is worth a huge page.
constexpr std::uint64_t hugePageBytes = 2u << 20;

/// Gives `bytes` bytes back to the GPU that they are on, which must still be
/// there, or a mapping back to the system.
struct Free {
  std::size_t bytes = 0;
  const Gpu *gpu = nullptr;
  void operator()(char *data) const;
};

/// Memory that ends with its owner, aligned to FUSCO_ALIGNMENT or better.
using Memory = std::unique_ptr<char, Free>;

/// Sets \p memory to \p bytes zero bytes on \p gpu, on the host if that is
/// NULL; to NULL if \p bytes is 0. On the host pages take room only once they
/// are touched, so that buffers sized for the worst case cost what is used of
/// them. \p what names the purpose in the error text.
fusco_status allocateZeroed(const Gpu *gpu, std::uint64_t bytes,
                            const char *what, Memory &memory);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_MEMORY_H
