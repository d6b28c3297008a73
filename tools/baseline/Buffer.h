//===- Buffer.h - Memory of the baseline, made once -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Zeroed memory that is there before anything is timed, on huge pages where
/// there are any: single copies between processes go over it page by page.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_BASELINE_BUFFER_H
#define FUSCO_TOOLS_BASELINE_BUFFER_H

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <sys/mman.h>

namespace fusco::baseline {

template <typename T> class Buffer {
public:
  /// Throws std::bad_alloc.
  explicit Buffer(int64_t elements) {
    constexpr size_t hugePageBytes = 2 << 20;
    const size_t wanted = size_t(elements) * sizeof(T);
    const size_t bytes = (wanted / hugePageBytes + 1) * hugePageBytes;
    memory.reset(static_cast<T *>(std::aligned_alloc(hugePageBytes, bytes)));
    if (!memory)
      throw std::bad_alloc();
    madvise(memory.get(), bytes, MADV_HUGEPAGE); // only an advice
    std::memset(static_cast<void *>(memory.get()), 0, bytes);
  }

  T *data() { return memory.get(); }
  const T *data() const { return memory.get(); }
  T &operator[](int64_t index) { return memory.get()[index]; }
  const T &operator[](int64_t index) const { return memory.get()[index]; }

private:
  struct Free {
    void operator()(T *pointer) const { std::free(pointer); }
  };
  std::unique_ptr<T[], Free> memory;
};

} // namespace fusco::baseline

#endif // FUSCO_TOOLS_BASELINE_BUFFER_H
