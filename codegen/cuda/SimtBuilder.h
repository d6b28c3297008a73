//===- SimtBuilder.h - Short forms for code of many threads -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the patterns of pipe-ops-to-cuda share: who a thread is, how threads
/// share out work and wait for each other, and PTX that no dialect has.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_CUDA_SIMTBUILDER_H
#define FUSCO_CODEGEN_CUDA_SIMTBUILDER_H

#include "codegen/RowBuilder.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace fusco {

/// Threads that do an operation together. All of them come to it, with the same
/// operands.
enum class SimtScope {
  Thread, ///< one alone
  Warp,
  Block,
  Rank ///< all blocks of the rank
};

constexpr int64_t threadsPerWarp = 32;

/// Whose work \p op is. An iteration of a pipe.for_each is a warp's where it
/// has operations of rows, else a thread's. What stands straight in a pipe.team
/// is the rank's; all else a block's: a stage's, or the program's first one.
SimtScope getSimtScope(mlir::Operation *op);

/// The program or team that \p op is, or that is around it, needs \p bytes of
/// shared memory at least.
void raiseSharedBytes(mlir::Operation *op, int64_t bytes);

/// Short forms for SIMT code. Numbers of threads are index.
struct SimtBuilder : RowBuilder {
  SimtBuilder(mlir::Location loc, mlir::OpBuilder &builder,
              int64_t threadsPerBlock)
      : RowBuilder(loc, builder), threadsPerBlock(threadsPerBlock) {
    addressSpace = mlir::NVVM::kGlobalMemorySpace;
  }

  mlir::Value threadInBlock();
  mlir::Value laneInWarp();
  mlir::Value warpInBlock();
  mlir::Value blockInRank();
  mlir::Value blocksOfRank();
  int64_t warpsPerBlock() const { return threadsPerBlock / threadsPerWarp; }

  /// This thread's number among those of \p scope, and how many these are.
  mlir::Value memberOf(SimtScope scope);
  mlir::Value membersOf(SimtScope scope);
  /// All threads of \p scope meet; what any wrote before, all see after.
  void sync(SimtScope scope);
  /// The end of an operation: its threads meet, but for the blocks of a team,
  /// which meet where it says so.
  void finish(SimtScope scope);
  /// Whether this thread is the first of \p scope (i1).
  mlir::Value isFirstOf(SimtScope scope);
  /// The first thread of \p scope runs \p body; all meet before and after it.
  void once(SimtScope scope, llvm::function_ref<void()> body);
  /// Iteration i of [from, to) is done by member i modulo the members of
  /// \p scope. They do not meet.
  void forMembers(SimtScope scope, mlir::Value from, mlir::Value to,
                  llvm::function_ref<void(mlir::Value)> body);

  /// All threads of \p scope take \p pieces (index) together, several at a
  /// time: body(numbers, isInside), where `isInside` is null if all of them are
  /// pieces; else there is one number, and where isInside is false it is that
  /// of another member's piece, which may be read. In uniform control flow.
  void forPieces(
      SimtScope scope, mlir::Value pieces, int64_t unroll,
      llvm::function_ref<void(llvm::ArrayRef<mlir::Value>, mlir::Value)> body);
  /// `then` where \p condition is true or null.
  void ifThen(mlir::Value condition, llvm::function_ref<void()> then);

  /// What \p lane (index) of the warp has in \p value, of 32 or 64 bits.
  mlir::Value readLane(mlir::Value value, mlir::Value lane);
  /// What this lane's partner has in f32 \p value: the numbers of the two
  /// differ by \p bit.
  mlir::Value readPartner(mlir::Value value, int64_t bit);

  /// float32 \p value, \p width columns, rounded to the row's element, as its
  /// bits in storeBits' way: what narrowToBits gives, by the hardware's
  /// conversions.
  mlir::Value roundToBits(mlir::Value value, const RowType &row, int64_t width);

  /// a / b, rounded up; neither is negative.
  mlir::Value ceilDiv(mlir::Value a, mlir::Value b) {
    return div(add(a, sub(b, index(1))), b);
  }

  /// The start of the block's dynamic shared memory, !llvm.ptr<3>, aligned to
  /// 128 bytes. Operations use it one after the other: a block meets before it
  /// is used anew.
  mlir::Value sharedMemory();

  /// Inline PTX with side effects: \p constraints are LLVM's, '$0' names the
  /// first result or operand. \p result may be null.
  mlir::Value ptx(llvm::StringRef text, llvm::StringRef constraints,
                  mlir::ValueRange operands = {}, mlir::Type result = {});

  const int64_t threadsPerBlock;
};

} // namespace fusco

#endif // FUSCO_CODEGEN_CUDA_SIMTBUILDER_H
