//===- ProgramBuilder.h - What the builders of programs share ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The shape that programs are built for, the buffers and counters that they
/// share, and short forms for the IR that recurs: constants, loops, exchange of
/// headers, signal and wait on all peers.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_PASSES_PROGRAMBUILDER_H
#define FUSCO_PASSES_PROGRAMBUILDER_H

#include "dialect/Layout.h"
#include "dialect/PipeDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace fusco {

/// Everything that programs are specialised for.
struct ShuffleShape {
  int64_t nodes = 0, ranksPerNode = 0, experts = 0, topk = 0, maxTokens = 0;
  int64_t hidden = 0, align = 0;
  mlir::Type elementType;
  mlir::Location loc; ///< of the first shuffle: where it was learnt

  int64_t numRanks() const { return nodes * ranksPerNode; }
  BlockPlacement placement() const { return {experts, numRanks()}; }
  int64_t bytesPerRow() const {
    return hidden * elementType.getIntOrFloatBitWidth() / 8;
  }
};

/// Names of the buffers and counters of a module.
namespace shared {
constexpr llvm::StringLiteral countsArrived{"counts_arrived"},
    rowsArrived{"rows_arrived"}, outputsReady{"outputs_ready"},
    outputsTaken{"outputs_taken"};
constexpr llvm::StringLiteral dispatchHeaders{"dispatch_headers"},
    combineHeaders{"combine_headers"}, counts{"counts"};
constexpr llvm::StringLiteral stats{"stats"}, histogram{"histogram"},
    totals{"totals"}, starts{"starts"}, bases{"bases"}, rankRows{"rank_rows"},
    addresses{"addresses"}, fanout{"fanout"}, ranks{"ranks"}, slots{"slots"},
    weights{"weights"};
constexpr llvm::StringLiteral unfusedCounts{"unfused_counts"},
    sendBases{"send_bases"};
} // namespace shared

/// Whether \p name is one of them.
bool isSharedName(llvm::StringRef name);

/// Declares the buffers and counters of \p shared at the builder's place, those
/// of the unfused form where \p hasUnfused.
void declareSharedMemory(mlir::ImplicitLocOpBuilder &builder,
                         const ShuffleShape &shape, bool hasUnfused);

/// What a rank tells its peers in the first exchange of a program.
struct Header {
  mlir::Value status; ///< i64: 0 or a fusco_status
  mlir::Value rows;   ///< index: room in the tensor that peers will address
  mlir::Value window; ///< i64: where that tensor is
};

/// A tensor of this rank that is too small, which all ranks must learn of.
struct Shortage {
  mlir::Value isShort;     ///< i1; null where nothing can be short
  mlir::Value needed, has; ///< i64
};

/// Builds IR at one place of one program.
class ProgramBuilder {
public:
  ProgramBuilder(mlir::ImplicitLocOpBuilder &builder, const ShuffleShape &shape,
                 pipe::ProgramOp program)
      : b(builder), shape(shape), program(program) {}

  mlir::Value index(int64_t value);
  mlir::Value i32(int64_t value);
  mlir::Value i64(int64_t value);
  /// A sign-extending or truncating cast from or to index.
  mlir::Value toI64(mlir::Value value);
  mlir::Value toI32(mlir::Value index);
  mlir::Value toIndex(mlir::Value value);
  mlir::Value compare(mlir::arith::CmpIPredicate predicate, mlir::Value a,
                      mlir::Value b);

  /// for (i = from; i < to; ++i) body(i)
  void forRange(mlir::Value from, mlir::Value to,
                llvm::function_ref<void(mlir::Value)> body);
  void forEachRank(llvm::function_ref<void(mlir::Value)> body);

  /// This rank's, or rank \p rank's, instance of the buffer \p name.
  mlir::Value local(llvm::StringRef name);
  mlir::Value peer(mlir::Value rank, llvm::StringRef name);
  mlir::Value load(mlir::Value memref, mlir::ValueRange indices);
  void store(mlir::Value value, mlir::Value memref, mlir::ValueRange indices);

  /// Writes \p header into every peer's \p headers buffer, at `turn` and this
  /// rank, and what \p alsoTo writes to a peer; then signals \p counter and
  /// waits for all peers.
  void exchangeHeaders(llvm::StringRef headers, llvm::StringRef counter,
                       mlir::Value turn, const Header &header,
                       llvm::function_ref<void(mlir::Value)> alsoTo = {});
  /// What this rank's header says: the host's refusal, or else \p shortage, or
  /// else \p otherwise (i64).
  mlir::Value ownStatus(mlir::Value otherwise, const Shortage &shortage);
  /// Leaves the program if the header spoke of a refusal or \p shortage.
  void failIfRefused(const Shortage &shortage);
  /// Leaves the program if a rank's header says that it failed.
  void failWithPeers(llvm::StringRef headers, mlir::Value turn);
  /// The room for rows that rank \p rank has (i64).
  mlir::Value roomOf(llvm::StringRef headers, mlir::Value turn,
                     mlir::Value rank);
  /// Fills the buffer `addresses` from the windows in \p headers.
  void resolveAddresses(llvm::StringRef headers, mlir::Value turn);

  /// Lets every entry of `addresses` be this rank's \p tensor.
  void addressOwn(mlir::Value tensor);

  /// Makes the rows written so far visible, signals \p counter of all peers and
  /// waits for theirs.
  void finishRows(llvm::StringRef counter);

  /// Leaves the program with \p status if \p condition.
  void failIf(mlir::Value condition, pipe::Status status, mlir::Value a,
              mlir::Value b, mlir::Value c);

  mlir::Value rank();

  mlir::ImplicitLocOpBuilder &b;
  const ShuffleShape &shape;

private:
  mlir::MemRefType lookupBufferType(llvm::StringRef name);
  void signalAll(llvm::StringRef counter);
  void waitAll(llvm::StringRef counter);

  pipe::ProgramOp program;
};

//===----------------------------------------------------------------------===//
// PlanSteps.cpp
//===----------------------------------------------------------------------===//

struct ExchangedCounts {
  mlir::Value turn;   ///< of the exchange
  mlir::Value counts; ///< memref [ranks, experts]
};
/// Counts this rank's assignments, tells all ranks the counts, where \p exposed
/// is, what \p room (index) it has and whether anything is wrong; leaves, all
/// ranks together, if anything is; fills `totals`, `starts`, `bases` and
/// `rank_rows`; leaves if some rank has too little room.
ExchangedCounts buildCountExchange(ProgramBuilder &p, mlir::Value ids,
                                   mlir::Value exposed, mlir::Value room,
                                   const Shortage &shortage);

/// Fills the descriptors, an expert's rows starting at \p bases, which are
/// advanced. \p weights may be null.
void buildAssignment(ProgramBuilder &p, mlir::Value ids, mlir::Value weights,
                     mlir::Value bases);

/// The experts of this rank: \p first to first + count (index).
struct LocalExperts {
  mlir::Value first, count;
};
LocalExperts buildLocalExperts(ProgramBuilder &p);

/// Writes counts and offsets, either of which may be null, and zeroes the pads
/// of \p rows.
void buildSegments(ProgramBuilder &p, mlir::Value rows, mlir::Value counts,
                   mlir::Value offsets);

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

/// The tensors of a program that plans and dispatches; `weights` may be null,
/// and so may `counts` and `offsets` in the unfused form.
struct DispatchTensors {
  mlir::Value x, ids, weights, rows, counts, offsets;
};
/// DispatchProgram.cpp. \p streaming: rows are stored past the caches.
void buildDispatch(ProgramBuilder &p, const DispatchTensors &tensors,
                   bool streaming);

/// The tensors of a program that combines.
struct CombineTensors {
  mlir::Value y, out;
};
/// CombineProgram.cpp: tells all ranks where \p exposed is and whether anything
/// is wrong here, such as \p room (index) that is too little for the rows that
/// this rank's experts got; leaves, all ranks together, if anything is. Returns
/// the turn of the exchange.
mlir::Value buildReadyExchange(ProgramBuilder &p, mlir::Value exposed,
                               mlir::Value room);
/// CombineProgram.cpp: for each token, the sum of its rows at `addresses` into
/// \p out.
void buildSums(ProgramBuilder &p, mlir::Value out, bool weighted,
               bool streaming);
/// CombineProgram.cpp.
void buildCombine(ProgramBuilder &p, const CombineTensors &tensors,
                  bool weighted, bool streaming);

/// What lies between the steps of the unfused form: rows by destination and by
/// source.
struct Workspace {
  mlir::Value send, recv;
};
/// UnfusedPrograms.cpp.
void buildUnfusedDispatch(ProgramBuilder &p, const DispatchTensors &tensors,
                          const Workspace &workspace, bool streaming);
void buildUnfusedCombine(ProgramBuilder &p, const CombineTensors &tensors,
                         const Workspace &workspace, bool weighted,
                         bool streaming);

} // namespace fusco

#endif // FUSCO_PASSES_PROGRAMBUILDER_H
