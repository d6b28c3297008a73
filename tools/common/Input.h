//===- Input.h - Files that tools read --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Opening of input files.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_COMMON_INPUT_H
#define FUSCO_TOOLS_COMMON_INPUT_H

#include <cstdint>
#include <fstream>
#include <string>

namespace fusco {

/// An input file and its size.
struct Input {
  /// Opens \p path for binary reading. Throws Error if that fails or it is no
  /// regular file: reading a pipe may take forever.
  explicit Input(const std::string &path);

  std::ifstream stream;
  uint64_t bytes;
};

} // namespace fusco

#endif // FUSCO_TOOLS_COMMON_INPUT_H
