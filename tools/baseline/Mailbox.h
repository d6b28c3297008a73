//===- Mailbox.h - Memory that fusco-run and the baseline share -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// How fusco-run tells the ranks of a baseline in other processes what to do,
/// and what they answer: nameless memory, so that nothing is left behind, and
/// semaphores, so that nobody spins while the others are timed. What it holds
/// and where is written down a second time in fusco_torch_baseline/mailbox.py.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_BASELINE_MAILBOX_H
#define FUSCO_TOOLS_BASELINE_MAILBOX_H

#include <cstddef>
#include <cstdint>
#include <semaphore.h>

namespace fusco::baseline {

/// Of tokens, rows, the experts' outputs and the result.
enum class ElementType : int32_t { BF16, F16, F32 };

/// What is equal on all ranks, in the terms of the reference interpreter.
struct Shape {
  int nodes, ranksPerNode;
  int topk;
  ElementType type;
  bool isWeighted;
  int64_t experts, hidden, alignRows;
  int64_t maxTokens; ///< of a rank
  int64_t maxRows;   ///< of a rank's experts, pads counted

  int numRanks() const { return nodes * ranksPerNode; }
  int64_t bytesPerRow() const {
    return hidden * (type == ElementType::F32 ? 4 : 2);
  }
  /// Of \p rank, by block placement.
  int64_t numLocalExperts(int rank) const {
    return experts / numRanks() + (rank < experts % numRanks() ? 1 : 0);
  }
  int64_t maxLocalExperts() const { return numLocalExperts(0); }
};

/// What all ranks are to do together. Loading and saving go between a rank's
/// own memory and its part of the mailbox.
enum class Command : int32_t {
  LoadTokens,  ///< tokens, ids, weights and x
  Dispatch,    ///< timed
  SaveRows,    ///< rows, counts and offsets
  LoadOutputs, ///< y
  Combine,     ///< timed
  SaveResult,  ///< the combined tokens
  End
};

class Mailbox {
public:
  struct Header {
    uint64_t bytes; ///< of the header: tells builds apart
    Shape shape;
    Command command;
    sem_t answered; ///< posted once by each rank, after its start as well
  };
  struct Rank {
    sem_t commanded;
    int64_t tokens;
    double startUs, endUs; ///< of the last timed command, by one clock
    bool hasAnswered;
  };

  /// Makes the memory of \p shape in the empty \p file; null if there is none.
  static Mailbox *create(int file, const Shape &shape);
  /// The memory that create() made in \p file; null if it is no such file.
  static Mailbox *open(int file);

  Header &header() { return *at<Header>(0); }
  const Shape &shape() { return header().shape; }
  // Of rank r.
  Rank &rank(int r) { return *at<Rank>(parts().rank + startOf(r)); }
  int64_t *ids(int r) { return at<int64_t>(parts().ids + startOf(r)); }
  float *weights(int r) { return at<float>(parts().weights + startOf(r)); }
  int64_t *counts(int r) { return at<int64_t>(parts().counts + startOf(r)); }
  int64_t *offsets(int r) { return at<int64_t>(parts().offsets + startOf(r)); }
  /// x, or the combined tokens: [tokens, hidden].
  uint8_t *tokenRows(int r) { return at<uint8_t>(parts().tokens + startOf(r)); }
  /// Rows, or the experts' outputs, expert-major.
  uint8_t *expertRows(int r) { return at<uint8_t>(parts().rows + startOf(r)); }

private:
  /// Where the parts of a rank start, from where the rank's start.
  struct Parts {
    size_t rank, ids, weights, counts, offsets, tokens, rows, end;
  };
  static Parts partsOf(const Shape &shape);
  static size_t bytesOf(const Shape &shape);
  Parts parts() { return partsOf(shape()); }
  size_t startOf(int rank);

  template <typename T> T *at(size_t byte) {
    return reinterpret_cast<T *>(reinterpret_cast<uint8_t *>(this) + byte);
  }
};

} // namespace fusco::baseline

#endif // FUSCO_TOOLS_BASELINE_MAILBOX_H
