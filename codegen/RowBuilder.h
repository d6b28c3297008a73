//===- RowBuilder.h - Short forms for code over rows ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the patterns of rows share: addresses, how a row is covered by vectors,
/// and the exact conversions of elements.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_ROWBUILDER_H
#define FUSCO_CODEGEN_ROWBUILDER_H

#include "codegen/ScalarBuilder.h"
#include "dialect/PipeDialect.h"

namespace fusco {

/// A cache line, and the alignment of every tensor.
constexpr int64_t lineBytes = 64;

/// What is known of the rows of a tensor [?, hidden].
struct RowType {
  explicit RowType(mlir::MemRefType type);

  int64_t hidden;
  mlir::Type element;
  int64_t bytes;
  int64_t pitch;     ///< bytes from one row to the next
  int64_t alignment; ///< of the start of any row, and of its size, in bytes
  int64_t elementBytes() const { return bytes / hidden; }
};

enum class Cache { First, Second };

/// Which column of a row a lane of a vector holds.
enum class LaneOrder {
  Columns, ///< the next one, as in memory
  EvenOdd, ///< the first half all even columns, the second all odd ones
};

/// Short forms for rows, beside those for scalars. Addresses are i64, pointers
/// !llvm.ptr. Vectors have `width` lanes, a power of two.
struct RowBuilder : ScalarBuilder {
  using ScalarBuilder::ScalarBuilder;

  //===--- Addresses ------------------------------------------------------===//

  /// Where tensors, and what addresses name, are.
  unsigned addressSpace = 0;
  mlir::Type ptrType();
  /// The address of a memref's first element.
  mlir::Value addressOf(mlir::Value memref);
  mlir::Value toPointer(mlir::Value address);
  /// The address of row \p row of the memref \p rows.
  mlir::Value rowAddress(mlir::Value rows, mlir::Value row);
  /// The pointer to row \p row of a tensor at \p address.
  mlir::Value rowPointer(mlir::Value address, mlir::Value row,
                         const RowType &type);
  /// pointer + bytes
  mlir::Value advance(mlir::Value pointer, mlir::Value bytes);
  mlir::Value advance(mlir::Value pointer, int64_t bytes);
  /// An array of the program's frame: it stands at the program's entry, since
  /// an alloca in a loop would grow the stack.
  mlir::Value frameArray(pipe::ProgramOp program, mlir::Type element,
                         int64_t size);
  mlir::Value element(mlir::Value array, mlir::Type type, mlir::Value i);

  //===--- Loops ----------------------------------------------------------===//

  /// for (i = from; i < to; i += step) body(i)
  void forEvery(mlir::Value from, mlir::Value to, int64_t step,
                llvm::function_ref<void(mlir::Value)> body);
  /// Covers \p total units by a loop of steps of \p unroll pieces of \p width,
  /// and what remains by pieces of width, then of its halves. `body(offset,
  /// width, pieces)`: pieces of width units from offset (index) on.
  void coverRow(int64_t total, int64_t width, int64_t unroll,
                llvm::function_ref<void(mlir::Value, int64_t, int64_t)> body);

  /// Runs \p body for stores of \p rows past the caches where \p streaming (i1)
  /// is true, and for others where it is false or null, or where rows share
  /// lines. With a loop in it: of two stores that end in one place LLVM makes
  /// one, not past the caches.
  void chooseStores(mlir::Value streaming, const RowType &rows,
                    llvm::function_ref<void(bool isStreaming)> body);
  /// Has the lines of the \p bytes bytes at \p pointer, where any need not be
  /// mapped, on their way into \p cache.
  void prefetch(mlir::Value pointer, int64_t bytes, Cache cache);

  //===--- Vectors --------------------------------------------------------===//

  mlir::Type lanes(mlir::Type type, int64_t width);
  mlir::Value splatF32(float value, int64_t width);
  mlir::Value splatInt(int64_t value, mlir::Type type, int64_t width);
  mlir::Value broadcastF32(mlir::Value scalar, int64_t width);
  /// \p width elements at \p pointer: of bf16 and float8 the bits.
  mlir::Value loadElements(mlir::Value pointer, const RowType &row,
                           int64_t width);
  /// What loadElements loaded of rows of \p element, widened exactly to
  /// float32.
  mlir::Value widen(mlir::Value elements, mlir::Type element, int64_t width);
  mlir::Value loadWidened(mlir::Value pointer, const RowType &row,
                          int64_t width, LaneOrder order = LaneOrder::Columns);
  /// The bits of bf16, i16, widened exactly to float32: those of the even
  /// lanes and those of the odd ones. A bf16 is the upper half of its float32,
  /// so that nothing moves to another lane.
  std::pair<mlir::Value, mlir::Value> widenPairs(mlir::Value bits,
                                                 int64_t width);
  /// The type of what loadElements loads.
  mlir::Type loadedType(mlir::Type element, int64_t width);
  /// float32 \p value rounded to bf16, as float32.
  mlir::Value roundToBF16(mlir::Value value, int64_t width);
  /// f32 \p value, a NaN as the one that results have.
  mlir::Value canonicalNan(mlir::Value value);
  /// float32 \p value rounded to the row's element, as its bits: to nearest
  /// even, denormals kept, one NaN. The bits are in the order of the columns,
  /// whatever the \p order of \p value is, which may be EvenOdd for bf16 alone.
  mlir::Value narrowToBits(mlir::Value value, const RowType &row, int64_t width,
                           LaneOrder order = LaneOrder::Columns);
  /// Stores bits that narrowToBits made; past the caches if \p isStreaming.
  void storeBits(mlir::Value bits, mlir::Value pointer, const RowType &row,
                 int64_t width, bool isStreaming);
};

} // namespace fusco

#endif // FUSCO_CODEGEN_ROWBUILDER_H
