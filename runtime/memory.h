//===- memory.h - Zeroed memory ---------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Owned memory for heaps, plans and tensors.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_MEMORY_H
#define FUSCO_RUNTIME_MEMORY_H

#include "fusco/runtime.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fusco::runtime {

/// Gives a mapping of `bytes` bytes back to the system.
struct Unmap {
  std::size_t bytes = 0;
  void operator()(char *data) const;
};

/// Page-aligned memory that ends with its owner.
using Memory = std::unique_ptr<char, Unmap>;

/// Sets \p memory to \p bytes zero bytes; to NULL if \p bytes is 0. Pages take
/// room only once they are touched, so that buffers sized for the worst case
/// cost what is used of them. \p what names the purpose in the error text.
fusco_status allocateZeroed(std::uint64_t bytes, const char *what,
                            Memory &memory);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_MEMORY_H
