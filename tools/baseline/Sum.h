//===- Sum.h - The weighted sum of a token's rows ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What combine computes for one token, in the tree that the semantics fix.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_BASELINE_SUM_H
#define FUSCO_TOOLS_BASELINE_SUM_H

#include "tools/baseline/Mailbox.h"

#include <cstdint>

namespace fusco::baseline {

/// One row of a sum. Terms are in the order of their ranks, then k.
struct Term {
  const uint8_t *row;
  float weight;
  int rank;
  bool endsRank, endsNode; ///< whether it is the last of its rank, of its node
};

/// Writes the sum of \p numTerms terms, maybe none, of \p columns elements to
/// \p out: within a rank acc = fma(weight, row, acc) from +0, then ranks, then
/// nodes, in float32; rounded once.
void sumRows(ElementType type, const Term *terms, int numTerms, int64_t columns,
             uint8_t *out);

} // namespace fusco::baseline

#endif // FUSCO_TOOLS_BASELINE_SUM_H
