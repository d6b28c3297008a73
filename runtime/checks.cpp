//===- checks.cpp - Checks of what a caller hands in ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See checks.h.
//
//===----------------------------------------------------------------------===//

#include "runtime/checks.h"

#include "runtime/status.h"

#include <cinttypes>

using namespace fusco::runtime;

fusco_status fusco::runtime::checkLibrary(const char *function,
                                          const fusco_library *library) {
  if (!library || !library->info)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: expected a library, got NULL",
                function);
  const fusco_library_info &info = *library->info;
  if (info.magic != FUSCO_LIBRARY_MAGIC)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected a fusco library, got one with magic 0x%" PRIx64,
                function, info.magic);
  if (info.abiVersion != FUSCO_ABI_VERSION)
    return fail(FUSCO_VERSION_MISMATCH,
                "%s: expected a library of ABI version %d, got %" PRIu32
                "; compile the model again",
                function, FUSCO_ABI_VERSION, info.abiVersion);
  if (info.size != sizeof(info))
    return fail(FUSCO_VERSION_MISMATCH,
                "%s: expected a library description of %zu bytes, got %" PRIu32
                "; compile the model again",
                function, sizeof(info), info.size);
  return FUSCO_OK;
}

fusco_status fusco::runtime::checkStruct(const char *function, const char *name,
                                         std::uint32_t size,
                                         std::size_t expectedSize,
                                         std::uint32_t version) {
  if (size == expectedSize && version == FUSCO_ABI_VERSION)
    return FUSCO_OK;
  return fail(FUSCO_VERSION_MISMATCH,
              "%s: expected a %s of %zu bytes and version %d, got %" PRIu32
              " bytes and version %" PRIu32
              "; initialise it with its _INIT macro",
              function, name, expectedSize, FUSCO_ABI_VERSION, size, version);
}
