//===- RowRange.cpp - Some of a file's rows -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See RowRange.h.
//
//===----------------------------------------------------------------------===//
#include "tools/common/RowRange.h"

#include "tools/common/Error.h"

#include <boost/lexical_cast.hpp>
#include <fmt/format.h>

namespace fusco {

std::pair<int64_t, int64_t> parseRowRange(const std::string &text) {
  const size_t colon = text.find(':');
  int64_t begin = -1, end = -1;
  if (colon == text.npos ||
      !boost::conversion::try_lexical_convert(text.substr(0, colon), begin) ||
      !boost::conversion::try_lexical_convert(text.substr(colon + 1), end) ||
      begin < 0 || end <= begin)
    throw UsageError(fmt::format("--rows expects BEGIN:END, rows counted from "
                                 "0, the last one not included, got '{}'",
                                 text));
  return {begin, end};
}

void requireRows(std::pair<int64_t, int64_t> rows, size_t numRows,
                 const std::string &path) {
  if (size_t(rows.second) > numRows)
    throw Error(fmt::format("--rows {}:{} is out of range: '{}' has {} rows",
                            rows.first, rows.second, path, numRows));
}

} // namespace fusco
