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

#include "tools/reference/Quantize.h"
#include "tools/run/Random.h"

#include <vector>

namespace fusco::run {

/// Fills \p elements elements of \p type at \p data with random bits and some
/// NaNs, infinities, denormals and negative zeros: for rows that are moved.
void fillBits(reference::ElementType type, Random &random, uint8_t *data,
              int64_t elements);

/// Fills \p rows rows of \p columns elements of \p type at \p data with numbers
/// in (-2, 2); in some rows with tiny ones, or with special ones among them:
/// for rows that are multiplied and added.
void fillNumbers(reference::ElementType type, Random &random, uint8_t *data,
                 int64_t rows, int64_t columns);

/// Fills \p elements elements of \p type at \p data with whole numbers, small
/// enough that \p terms of them, times weights of fillWholeWeights(), have a
/// sum that float32 holds: in whatever order they are added, no bit is lost.
void fillWholeNumbers(reference::ElementType type, Random &random,
                      uint8_t *data, int64_t elements, int terms);

/// Fills \p weights with multiples of 1/1024 in (0, 1], which bf16 does not
/// hold.
void fillWholeWeights(Random &random, std::vector<float> &weights);

/// Fills \p rows rows of scales of \p hidden elements at \p data with numbers
/// about 1; in some rows with tiny and huge ones, zeros, infinities and NaNs
/// among them, and with random bits where UE8M0 bytes belong to no block.
void fillScales(const reference::Quantization &quantization, Random &random,
                uint8_t *data, int64_t rows, int64_t hidden);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_ROWCONTENTS_H
