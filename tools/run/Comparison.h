//===- Comparison.h - What a rank got against what it should ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Compares a rank's tensors bit for bit and words the first difference.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_COMPARISON_H
#define FUSCO_TOOLS_RUN_COMPARISON_H

#include "tools/run/Launch.h"

#include <string>
#include <vector>

namespace fusco::run {

/// What every byte of an output is before a program runs.
constexpr uint8_t poison = 0xA5;

/// All comparisons of one rank. `where` says in which run of which program.
class Comparison {
public:
  int64_t rows = 0;     ///< rows compared, pads counted
  std::string mismatch; ///< the first difference found; empty if none

  void integer(const std::string &where, const std::string &name,
               int64_t expected, int64_t got);

  /// The integers of the tensor \p name, if it is there: not every form of a
  /// model has it.
  void integers(const std::string &where, const Tensors &tensors,
                const std::string &name, const std::vector<int64_t> &expected);

  /// The first rows of the tensor \p name, whose elements have the type
  /// \p type.
  void rowsOf(const std::string &where, const Tensors &tensors,
              const std::string &name, reference::ElementType type,
              const reference::Bytes &expected);

  /// As rowsOf, and what follows the expected rows must be untouched poison.
  void rowsAndGuard(const std::string &where, const Tensors &tensors,
                    const std::string &name, reference::ElementType type,
                    const reference::Bytes &expected);

  /// Likewise of rows of integers.
  void integerRowsAndGuard(const std::string &where, const Tensors &tensors,
                           const std::string &name,
                           const std::vector<int64_t> &expected);

private:
  void guard(const std::string &where, const Tensors &tensors,
             const std::string &name, int64_t numRows);
  void report(const std::string &text);
};

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_COMPARISON_H
