//===- ProgressGraph.h - What waits for what, chunk by chunk ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A marked graph: events that repeat, once per chunk, and what each must come
/// after. Plain arithmetic without MLIR, so that it is tested alone.
///
/// Every chunk is covered at once, however many there are: the events of all
/// chunks can be put in an order exactly if each cycle of the graph goes back
/// in chunks (Commoner, Holt, Even and Pnueli, Marked directed graphs, 1971). A
/// program runs finitely many of the chunks, which only takes dependencies
/// away.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_PASSES_PROGRESSGRAPH_H
#define FUSCO_PASSES_PROGRESSGRAPH_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fusco {

class ProgressGraph {
public:
  /// Chunk c of event `after` comes after chunk c - `distance` of `before`.
  struct Edge {
    size_t before, after;
    int64_t distance;
  };

  explicit ProgressGraph(size_t numEvents) : numEvents(numEvents) {}

  /// Returns the edge's number: 0, 1, ...
  size_t addEdge(size_t before, size_t after, int64_t distance);
  const Edge &edge(size_t number) const { return edges[number]; }
  void setDistance(size_t number, int64_t distance) {
    edges[number].distance = distance;
  }
  /// Edges that together go forward in chunks by less than this.
  int64_t maxForward() const;

  /// Whether every event of every chunk can happen.
  bool isLive() const;
  /// A shortest cycle that does not go back in chunks, as numbers of edges,
  /// each leading to the next; empty if the graph is live.
  std::vector<size_t> findCycle() const;

private:
  /// A shortest one through \p start, of fewer than \p limit edges.
  std::vector<size_t> findCycleFrom(size_t start, size_t limit) const;

  size_t numEvents;
  std::vector<Edge> edges;
};

} // namespace fusco

#endif // FUSCO_PASSES_PROGRESSGRAPH_H
