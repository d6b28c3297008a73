//===- checks.h - Checks of what a caller hands in --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Checks that several calls of fusco/runtime.h make, of which \p function is
/// the one that is called.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_CHECKS_H
#define FUSCO_RUNTIME_CHECKS_H

#include "fusco/library.h"

#include <cstddef>
#include <cstdint>

namespace fusco::runtime {

/// Refuses what is no library of this ABI. Reads nothing but the magic and the
/// version before they are known to be right.
fusco_status checkLibrary(const char *function, const fusco_library *library);

/// Refuses a struct that a caller compiled against another header.
fusco_status checkStruct(const char *function, const char *name,
                         std::uint32_t size, std::size_t expectedSize,
                         std::uint32_t version);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_CHECKS_H
