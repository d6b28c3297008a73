//===- RowRange.h - Some of a file's rows -----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The flag --rows BEGIN:END.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_COMMON_ROWRANGE_H
#define FUSCO_TOOLS_COMMON_ROWRANGE_H

#include <cstdint>
#include <string>
#include <utility>

namespace fusco {

/// The rows [begin, end) that \p text, "BEGIN:END", names. Throws UsageError if
/// it does not, or there are none.
std::pair<int64_t, int64_t> parseRowRange(const std::string &text);

/// Throws Error unless \p rows lie in the \p numRows rows of \p path.
void requireRows(std::pair<int64_t, int64_t> rows, size_t numRows,
                 const std::string &path);

} // namespace fusco

#endif // FUSCO_TOOLS_COMMON_ROWRANGE_H
