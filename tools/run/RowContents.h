//===- RowContents.h - What the rows of a run hold --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Random row contents that find errors: all bit patterns where rows are only
/// moved, values that round, cancel, underflow and overflow where they are
/// added.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_ROWCONTENTS_H
#define FUSCO_TOOLS_RUN_ROWCONTENTS_H

#include "tools/reference/Reference.h"
#include "tools/run/Random.h"

namespace fusco::run {

/// Fills \p rows rows at \p data with random bits and some NaNs, infinities,
/// denormals and negative zeros.
void fillTokens(const reference::Shape &shape, Random &random, uint8_t *data,
                int64_t rows);

/// Fills \p rows rows at \p data with numbers in (-2, 2); in some rows with
/// tiny ones, or with special ones among them.
void fillExpertRows(const reference::Shape &shape, Random &random,
                    uint8_t *data, int64_t rows);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_ROWCONTENTS_H
