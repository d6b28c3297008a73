//===- Quantizer.h - The arithmetic of fusco.quantize -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the patterns of quantize_row share: from elements to a block's scale,
/// and to float8. In integers, and in float32 operations that every target
/// rounds alike. dialect/FuscoOps.td says what is computed.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_QUANTIZER_H
#define FUSCO_CODEGEN_QUANTIZER_H

#include "codegen/RowBuilder.h"

namespace fusco {

/// Of one block.
struct BlockScale {
  mlir::Value inverse; ///< f32: elements times this become float8
  mlir::Value stored;  ///< f32, or the i8 of a power of two
};

/// One quantize_row.
class Quantizer {
public:
  Quantizer(RowBuilder &builder, pipe::QuantizeRowOp op);

  int64_t numBlocks() const { return alignUp(source.hidden, block) / block; }
  /// Elements of block \p number.
  int64_t columnsOf(int64_t number) const {
    return std::min(block, source.hidden - number * block);
  }
  /// Bytes of a scale as it is stored, and behind the last one.
  int64_t bytesPerScale() const { return isPacked ? 1 : 4; }
  int64_t unusedScaleBytes() const {
    return scales.bytes - numBlocks() * bytesPerScale();
  }

  /// \p width elements at \p pointer, as integers of their size.
  mlir::Value loadBits(mlir::Value pointer, int64_t width);
  /// The magnitudes of elements, likewise; 0 where they are not finite. Larger
  /// numbers are larger integers.
  mlir::Value finiteMagnitude(mlir::Value bits, int64_t width);
  /// The integer (not a vector) of the magnitude 0.
  mlir::Value zeroMagnitude();
  /// The scale of a block of which \p magnitude is the largest.
  BlockScale scaleOf(mlir::Value magnitude);
  /// Elements \p bits times \p inverse as float8 (i8).
  mlir::Value toFloat8(mlir::Value bits, mlir::Value inverse, int64_t width);

  const RowType source; ///< aligned as its blocks are
  const RowType data, scales;
  const int64_t block;
  const bool isPacked;

private:
  /// float32 of the magnitudes \p bits: a vector's, or one of a scalar.
  mlir::Value widenMagnitude(mlir::Value bits, int64_t width);
  mlir::Value splatBits(int64_t value, int64_t width) {
    return b.splatInt(value, bitsType, width);
  }

  RowBuilder &b;
  mlir::Type bitsType;        ///< integer of an element of the source
  int64_t signBit, infinity;  ///< of the source, as bits
  int64_t mantissaBits, bias; ///< of the float8 type
  float largest;              ///< likewise
};

} // namespace fusco

#endif // FUSCO_CODEGEN_QUANTIZER_H
