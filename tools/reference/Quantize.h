//===- Quantize.h - Rows in float8 with block scales ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Quantisation, and the way back, as the semantics define them: a row becomes
/// float8 elements and one scale for each block of consecutive elements, such
/// that element times scale is about what the element was.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_REFERENCE_QUANTIZE_H
#define FUSCO_TOOLS_REFERENCE_QUANTIZE_H

#include "tools/reference/Float.h"

#include <cstdint>

namespace fusco::reference {

/// How rows are quantised.
struct Quantization {
  enum class ScaleType {
    F32,  ///< any positive number
    UE8M0 ///< a power of two, as its biased exponent in one byte
  };

  ElementType type = ElementType::F8E4M3FN; ///< or F8E5M2
  int64_t blockColumns = 128; ///< elements of a block; the last may have fewer
  ScaleType scaleType = ScaleType::F32;

  /// ceil(hidden / blockColumns): one per block.
  int64_t scalesPerRow(int64_t hidden) const;
  /// What a row of scales is made of: F32, or I32, which holds four UE8M0.
  ElementType scaleElement() const;
  /// Elements of a row of scales.
  int64_t scaleColumns(int64_t hidden) const;
  int64_t bytesOfScalesPerRow(int64_t hidden) const {
    return scaleColumns(hidden) * bytesPerElement(scaleElement());
  }
};

/// Quantises one row of \p hidden elements of type \p from at \p row into
/// \p hidden float8 at \p data and the scales of its blocks at \p scales. No
/// pointer need be aligned.
///
/// Of each block, amax is the largest magnitude of its finite elements, widened
/// to float32, and at least 2^-110; `largest` is the largest number of the
/// type, 448 (E4M3FN) or 57344 (E5M2).
///
///   - F32: the scale is amax / largest and its inverse is largest / amax, each
///     one float32 division rounded to nearest, ties to even.
///   - UE8M0: the scale is 2^e, with the smallest integer e that satisfies
///     amax <= largest * 2^e, and its inverse is 2^-e. The byte of block j is
///     e + 127; it is byte j mod 4, from the least significant on, of element
///     j div 4. Bytes after the last block's are 0.
///
/// An element x becomes narrow(x * inverse), the product rounded once to
/// float32 (nearest, ties to even, denormals kept). Thus an infinity becomes
/// the largest number, a NaN remains one and zeros keep their sign.
void quantizeRow(const Quantization &quantization, ElementType from,
                 int64_t hidden, const uint8_t *row, uint8_t *data,
                 uint8_t *scales);

/// The way back: row[h] becomes element h of \p data, a row of \p hidden
/// float8, times the scale of its block at \p scales, one float32 product
/// rounded to nearest, ties to even. A UE8M0 byte b is 2^(b - 127), or NaN if
/// it is 255; bytes after the last block's are not looked at.
void dequantizeRow(const Quantization &quantization, int64_t hidden,
                   const uint8_t *data, const uint8_t *scales, float *row);

} // namespace fusco::reference

#endif // FUSCO_TOOLS_REFERENCE_QUANTIZE_H
