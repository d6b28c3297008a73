//===- Sum.cpp - The weighted sum of a token's rows -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A block of columns at a time stays in registers over all terms.
//
//===----------------------------------------------------------------------===//
#include "tools/baseline/Sum.h"

#include <algorithm>
#include <cstring>
#include <immintrin.h>

namespace fusco::baseline {
namespace {

constexpr int lanes = 8;   // of a register
constexpr int numRegs = 4; // of a block
constexpr int blockColumns = lanes * numRegs;

/// All ones where \p value is a NaN.
__m256i nanMask(__m256 value) {
  return _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
}

/// The lower halves of eight integers, none above 0xFFFF.
__m128i packHalves(__m256i value) {
  return _mm_packus_epi32(_mm256_castsi256_si128(value),
                          _mm256_extracti128_si256(value, 1));
}

// Element types: exact to float32, and rounded to nearest even back, where
// every NaN becomes one.

struct BF16 {
  static constexpr int64_t bytes = 2;
  static __m256 load(const uint8_t *from) {
    const __m128i bits =
        _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  static void store(uint8_t *to, __m256 value) {
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i isOdd =
        _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)),
                         isOdd),
        16);
    const __m256i element =
        _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7FFF), nanMask(value));
    _mm_storeu_si128(reinterpret_cast<__m128i *>(to), packHalves(element));
  }
};

struct F16 {
  static constexpr int64_t bytes = 2;
  static __m256 load(const uint8_t *from) {
    return _mm256_cvtph_ps(
        _mm_loadu_si128(reinterpret_cast<const __m128i *>(from)));
  }
  static void store(uint8_t *to, __m256 value) {
    const __m128i rounded =
        _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m128i isNan = packHalves(_mm256_srli_epi32(nanMask(value), 16));
    _mm_storeu_si128(reinterpret_cast<__m128i *>(to),
                     _mm_blendv_epi8(rounded, _mm_set1_epi16(0x7FFF), isNan));
  }
};

struct F32 {
  static constexpr int64_t bytes = 4;
  static __m256 load(const uint8_t *from) {
    return _mm256_loadu_ps(reinterpret_cast<const float *>(from));
  }
  static void store(uint8_t *to, __m256 value) {
    const __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
    _mm256_storeu_ps(
        reinterpret_cast<float *>(to),
        _mm256_blendv_ps(value, nan, _mm256_castsi256_ps(nanMask(value))));
  }
};

/// Columns of a sum.
struct Block {
  __m256 regs[numRegs];

  void clear() {
    for (__m256 &reg : regs)
      reg = _mm256_setzero_ps();
  }
  /// Becomes \p addend if \p isFirst, else adds it.
  void add(const Block &addend, bool isFirst) {
    for (int i = 0; i != numRegs; ++i)
      regs[i] =
          isFirst ? addend.regs[i] : _mm256_add_ps(regs[i], addend.regs[i]);
  }
  template <typename Type> void addProduct(float weight, const uint8_t *row) {
    const __m256 w = _mm256_set1_ps(weight);
    for (int i = 0; i != numRegs; ++i)
      regs[i] = _mm256_fmadd_ps(w, Type::load(row + i * lanes * Type::bytes),
                                regs[i]);
  }
  template <typename Type> void store(uint8_t *to) const {
    for (int i = 0; i != numRegs; ++i)
      Type::store(to + i * lanes * Type::bytes, regs[i]);
  }
};

/// \p rowOf gives the columns of a term.
template <typename Type, typename RowOf>
void sumBlock(const Term *terms, int numTerms, RowOf rowOf, uint8_t *out) {
  Block rankSum, nodeSum, total;
  rankSum.clear();
  nodeSum.clear();
  total.clear();
  bool isFirstRank = true, isFirstNode = true;
  for (int i = 0; i != numTerms; ++i) {
    const Term &term = terms[i];
    rankSum.addProduct<Type>(term.weight, rowOf(term));
    if (!term.endsRank)
      continue;
    nodeSum.add(rankSum, isFirstRank);
    rankSum.clear();
    isFirstRank = term.endsNode;
    if (!term.endsNode)
      continue;
    total.add(nodeSum, isFirstNode);
    isFirstNode = false;
  }
  total.store<Type>(out);
}

template <typename Type>
void sumAll(const Term *terms, int numTerms, int64_t columns, uint8_t *out) {
  int64_t column = 0;
  for (; column + blockColumns <= columns; column += blockColumns) {
    const int64_t at = column * Type::bytes;
    sumBlock<Type>(
        terms, numTerms, [at](const Term &term) { return term.row + at; },
        out + at);
  }
  if (column == columns)
    return;
  // What is left goes through a block of its own.
  const int64_t at = column * Type::bytes;
  const size_t bytes = size_t((columns - column) * Type::bytes);
  uint8_t row[blockColumns * Type::bytes] = {}, sum[sizeof row];
  auto copyOf = [&](const Term &term) {
    std::memcpy(row, term.row + at, bytes);
    return row;
  };
  sumBlock<Type>(terms, numTerms, copyOf, sum);
  std::memcpy(out + at, sum, bytes);
}

} // namespace

void sumRows(ElementType type, const Term *terms, int numTerms, int64_t columns,
             uint8_t *out) {
  switch (type) {
  case ElementType::BF16:
    return sumAll<BF16>(terms, numTerms, columns, out);
  case ElementType::F16:
    return sumAll<F16>(terms, numTerms, columns, out);
  case ElementType::F32:
    return sumAll<F32>(terms, numTerms, columns, out);
  }
}

} // namespace fusco::baseline
