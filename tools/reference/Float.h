//===- Float.h - Element types of a row, bit for bit ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The element types that a row can have and the two conversions that the
/// semantics speak of: widening to float32 (exact) and the one final rounding
/// back. Written on integers, so that no compiler flag and no processor mode
/// can change a bit.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_REFERENCE_FLOAT_H
#define FUSCO_TOOLS_REFERENCE_FLOAT_H

#include <cstdint>

namespace fusco::reference {

/// What a row is made of. E4M3FN has no infinity and one NaN per sign, E5M2 is
/// the upper half of F16. I32 holds packed scales, which are moved and have no
/// value here: neither conversion takes it.
enum class ElementType { BF16, F16, F32, F8E4M3FN, F8E5M2, I32 };

/// 1, 2 or 4.
int64_t bytesPerElement(ElementType type);

/// The value of the element with encoding \p bits; exact, denormals included.
/// The bits of a NaN's payload move to the top of the float's.
float widen(ElementType type, uint32_t bits);

/// The encoding of \p value in \p type: rounded to nearest, ties to even;
/// denormals are kept. What is too large becomes infinite, but in a float8 the
/// largest finite number, 448 (E4M3FN) or 57344 (E5M2), infinities included.
/// Every NaN becomes 0x7F (float8), 0x7FFF (bf16, f16) or 0x7FFFFFFF (f32).
uint32_t narrow(ElementType type, float value);

/// Reads or writes the encoding of element \p index of the row at \p row, which
/// need not be aligned.
uint32_t loadElement(ElementType type, const uint8_t *row, int64_t index);
void storeElement(ElementType type, uint8_t *row, int64_t index, uint32_t bits);

} // namespace fusco::reference

#endif // FUSCO_TOOLS_REFERENCE_FLOAT_H
