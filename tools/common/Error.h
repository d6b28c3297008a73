//===- Error.h - What ends a tool ------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The two exceptions whose text main() prints on one line.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_COMMON_ERROR_H
#define FUSCO_TOOLS_COMMON_ERROR_H

#include <stdexcept>

namespace fusco {

/// Something that was found wrong; exit code 1. The text says what was
/// expected, what was got and, if it is not plain, what to do.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A command line that makes no sense; exit code 2.
struct UsageError : Error {
  using Error::Error;
};

} // namespace fusco

#endif // FUSCO_TOOLS_COMMON_ERROR_H
