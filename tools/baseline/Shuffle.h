//===- Shuffle.h - Dispatch and combine over MPI ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What a framework does for experts on other ranks: permute tokens into the
/// order of their destinations, exchange, permute into that of the experts; and
/// the way back.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_BASELINE_SHUFFLE_H
#define FUSCO_TOOLS_BASELINE_SHUFFLE_H

#include "tools/baseline/Buffer.h"
#include "tools/baseline/Mailbox.h"
#include "tools/baseline/Sum.h"

#include <mpi.h>
#include <vector>

namespace fusco::baseline {

/// One rank's. Everything that it needs is allocated when it is made.
class Shuffle {
public:
  /// Throws std::bad_alloc.
  explicit Shuffle(const Shape &shape);
  Shuffle(const Shuffle &) = delete;
  Shuffle &operator=(const Shuffle &) = delete;
  ~Shuffle();

  // All ranks call each together.
  /// From x and ids to rows, counts and offsets, planning included.
  void dispatch();
  /// From y and weights to out, by the plan of the last dispatch().
  void combine();

  // Inputs and outputs, as the reference interpreter describes them.
  int64_t tokens = 0;
  Buffer<int64_t> ids;
  Buffer<float> weights;
  Buffer<uint8_t> x, rows, y, out;
  std::vector<int64_t> counts, offsets;

private:
  /// Rows that go between this rank and each other in an exchange.
  struct Side {
    explicit Side(int ranks) : counts(size_t(ranks)), starts(size_t(ranks)) {}
    std::vector<int> counts, starts;
  };

  /// Rows that are contiguous in the order of sources and in that of experts.
  struct Run {
    int64_t bySource, byExpert, numRows; ///< where it starts in each
  };

  void exchangeCounts();
  void layOut();
  void findRuns();
  void permuteTokens();
  void exchange(const Buffer<uint8_t> &from, const Side &sent,
                Buffer<uint8_t> &to, const Side &received);
  void sumTokens();
  int findTerms(int64_t token);

  const Shape shape;
  const int64_t bytesPerRow;
  MPI_Datatype rowType;
  /// Of each expert: the rank that has it times maxLocalExperts() plus its
  /// number there. Ascends with the expert.
  std::vector<int> slotOfExpert;

  // The plan of the last dispatch.
  std::vector<int> sentCounts;     ///< by slot
  std::vector<int> receivedCounts; ///< by source, then local expert
  std::vector<int> nextSent;       ///< by slot
  std::vector<int64_t> nextRow;    ///< by local expert
  Buffer<int> positions; ///< [tokens, topk] in the order of destinations
  Side atSource, atExperts;
  std::vector<Run> runs;

  /// Rows in the order of destinations, and in that of sources.
  Buffer<uint8_t> byDestination, bySource;
  std::vector<Term> terms;
};

} // namespace fusco::baseline

#endif // FUSCO_TOOLS_BASELINE_SHUFFLE_H
