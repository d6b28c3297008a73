//===- Comparison.cpp - What a rank got against what it should ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See Comparison.h.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Comparison.h"

#include <fmt/format.h>

#include <algorithm>

namespace fusco::run {

void Comparison::report(const std::string &text) {
  if (mismatch.empty())
    mismatch = text;
}

void Comparison::integer(const std::string &where, const std::string &name,
                         int64_t expected, int64_t got) {
  if (got != expected)
    report(
        fmt::format("{}: {}: expected {}, got {}", where, name, expected, got));
}

static int64_t columnsOf(const DLTensor &rows) {
  return rows.shape[rows.ndim - 1];
}

void Comparison::integers(const std::string &where, const Tensors &tensors,
                          const std::string &name,
                          const std::vector<int64_t> &expected) {
  if (!tensors.has(name))
    return;
  const std::vector<int64_t> got = tensors.integers(name);
  for (size_t i = 0; i != expected.size(); ++i)
    integer(where, fmt::format("{}[{}]", name, i), expected[i], got[i]);
}

void Comparison::rowsOf(const std::string &where, const Tensors &tensors,
                        const std::string &name, reference::ElementType type,
                        const reference::Bytes &expected) {
  const int64_t columns = columnsOf(tensors[name]);
  const int64_t bytesPerElement = reference::bytesPerElement(type);
  rows += int64_t(expected.size()) / (columns * bytesPerElement);
  const uint8_t *got = tensors.data(name);
  if (std::equal(expected.begin(), expected.end(), got)) // fast: memcmp
    return;
  auto wrong = std::mismatch(expected.begin(), expected.end(), got).first;
  const int64_t element = (wrong - expected.begin()) / bytesPerElement;
  const int digits = int(2 * bytesPerElement);
  report(fmt::format("{}: {} row {}, column {}: expected 0x{:0{}x}, got "
                     "0x{:0{}x}",
                     where, name, element / columns, element % columns,
                     reference::loadElement(type, expected.data(), element),
                     digits, reference::loadElement(type, got, element),
                     digits));
}

void Comparison::rowsAndGuard(const std::string &where, const Tensors &tensors,
                              const std::string &name,
                              reference::ElementType type,
                              const reference::Bytes &expected) {
  rowsOf(where, tensors, name, type, expected);
  const int64_t bytesPerRow =
      columnsOf(tensors[name]) * reference::bytesPerElement(type);
  guard(where, tensors, name, int64_t(expected.size()) / bytesPerRow);
}

void Comparison::integerRowsAndGuard(const std::string &where,
                                     const Tensors &tensors,
                                     const std::string &name,
                                     const std::vector<int64_t> &expected) {
  integers(where, tensors, name, expected);
  guard(where, tensors, name,
        int64_t(expected.size()) / columnsOf(tensors[name]));
}

void Comparison::guard(const std::string &where, const Tensors &tensors,
                       const std::string &name, int64_t numRows) {
  const DLTensor &tensor = tensors[name];
  const int64_t bytesPerRow = columnsOf(tensor) * tensor.dtype.bits / 8;
  const uint8_t *start = tensors.data(name);
  const uint8_t *end = start + tensors.numBytes(name);
  const uint8_t *touched =
      std::find_if(start + numRows * bytesPerRow, end,
                   [](uint8_t byte) { return byte != poison; });
  if (touched != end)
    report(fmt::format("{}: {} has {} rows, but row {} behind them was written "
                       "to",
                       where, name, numRows, (touched - start) / bytesPerRow));
}

} // namespace fusco::run
