//===- status.h - Statuses and the last error -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// How the runtime reports errors: a status that is returned and one line of
/// text that the calling thread keeps.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_STATUS_H
#define FUSCO_RUNTIME_STATUS_H

#include "fusco/runtime.h"

#include <cstddef>

namespace fusco::runtime {

/// Room for one error text, its terminating NUL included. Longer texts are cut.
constexpr std::size_t errorTextBytes = 512;

/// An entry point of a generated library, as its callers know it:
/// "model_function".
struct EntryPoint {
  const char *model;
  const char *function;
};

/// Makes the formatted line the calling thread's last error and returns
/// \p status. The arguments must not point into fusco_last_error().
[[gnu::format(printf, 2, 3)]] fusco_status fail(fusco_status status,
                                                const char *format, ...);

/// The same, with the line opened by "model_function: ".
[[gnu::format(printf, 3, 4)]] fusco_status
failIn(const EntryPoint &where, fusco_status status, const char *format, ...);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_STATUS_H
