//===- Input.cpp - Files that tools read ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Opening of input files.
//
//===----------------------------------------------------------------------===//
#include "tools/common/Input.h"

#include "tools/common/Error.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>

namespace fusco {

Input::Input(const std::string &path) {
  std::error_code reason;
  auto status = std::filesystem::status(path, reason);
  if (std::filesystem::exists(status) &&
      !std::filesystem::is_regular_file(status))
    throw Error(fmt::format("cannot read '{}': expected a regular file", path));
  stream.open(path, std::ios::binary | std::ios::ate);
  if (!stream)
    throw Error(
        fmt::format("cannot open '{}': {}", path, std::strerror(errno)));
  bytes = uint64_t(stream.tellg());
  stream.seekg(0);
}

} // namespace fusco
