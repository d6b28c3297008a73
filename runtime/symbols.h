//===- symbols.h - Functions of libraries opened at run time ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Looks up what we call of libcuda, libnccl, libpmix and libucp.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_SYMBOLS_H
#define FUSCO_RUNTIME_SYMBOLS_H

#include <dlfcn.h>

namespace fusco::runtime {

/// Looks up functions of an open library; remembers the first that it lacks.
struct Symbols {
  void *library;
  const char *missing = nullptr;

  template <typename Function> void find(const char *name, Function &function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    if (!function && !missing)
      missing = name;
  }
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_SYMBOLS_H
