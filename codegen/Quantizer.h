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

/// What is known of elements. Of finite ones those of a block that are not
/// larger than the one that its scale was made of: they need no saturation.
enum class Elements { Any, Finite };

/// One quantize_row.
class Quantizer {
public:
  Quantizer(RowBuilder &builder, pipe::QuantizeRowOp op);

  int64_t numBlocks() const { return alignUp(source.hidden, block) / block; }

  /// Pointers to the element of column \p column (index), of what is read and
  /// of what is written.
  mlir::Value sourceAt(mlir::Value column);
  mlir::Value dataAt(mlir::Value column);
  /// \p width elements at \p pointer, as integers of their size.
  mlir::Value loadBits(mlir::Value pointer, int64_t width);
  /// Stores what scaleOf gave for block \p number (index).
  void storeScale(mlir::Value stored, mlir::Value number);
  /// Stores the bytes of scales that belong to no block.
  void storeUnusedScales();
  /// The magnitudes of elements, likewise. Larger numbers are larger integers.
  mlir::Value magnitudeOf(mlir::Value bits, int64_t width) {
    return b.both(bits, splatBits(signBit - 1, width));
  }
  /// The same; 0 where elements are not finite.
  mlir::Value finiteMagnitude(mlir::Value bits, int64_t width);
  /// Whether the integer \p magnitude (not a vector) is of a finite element.
  mlir::Value isFinite(mlir::Value magnitude);
  /// The integer (not a vector) of the magnitude 0.
  mlir::Value zeroMagnitude();
  /// The scale of a block of which \p magnitude is the largest.
  BlockScale scaleOf(mlir::Value magnitude);
  /// Elements \p bits times \p inverse as float8 (i8).
  mlir::Value toFloat8(mlir::Value bits, mlir::Value inverse, int64_t width,
                       Elements elements);

  const RowType source; ///< aligned as its blocks are
  const int64_t block;

private:
  /// float32 of the magnitudes \p bits.
  mlir::Value widenMagnitude(mlir::Value bits, int64_t width);
  /// The same in as many vectors as give the least work: joinBytes() undoes it,
  /// with the low bytes of what became of them (i32).
  llvm::SmallVector<mlir::Value, 2> widenMagnitudes(mlir::Value bits,
                                                    int64_t width);
  mlir::Value joinBytes(mlir::ValueRange parts, int64_t width);
  /// The low byte of each: the encoding of a float32 that is not negative, less
  /// encodingBase().
  mlir::Value encode(mlir::Value product);
  int64_t encodingBase() const;
  mlir::Value splatBits(int64_t value, int64_t width) {
    return b.splatInt(value, bitsType, width);
  }

  /// Of a scale as it is stored.
  int64_t bytesPerScale() const { return isPacked ? 1 : 4; }

  RowBuilder &b;
  const RowType scales;
  const bool isPacked;
  mlir::Value sourceRow, dataRow, scalesRow; ///< pointers
  mlir::Type bitsType;        ///< integer of an element of the source
  int64_t signBit, infinity;  ///< of the source, as bits
  int64_t mantissaBits, bias; ///< of the float8 type
  float largest;              ///< likewise
};

} // namespace fusco

#endif // FUSCO_CODEGEN_QUANTIZER_H
