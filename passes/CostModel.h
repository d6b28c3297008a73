//===- CostModel.h - What moving rows costs, on average ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// How many rows a shuffle is expected to put on each link, and how long that
/// takes. Plain arithmetic without MLIR, so that it is tested alone.
///
/// The model: a token's experts are distinct and drawn uniformly; all ranks
/// hold equally many tokens, so that what is said of a token is a mean over the
/// ranks that may hold it; everything overlaps, so that the slowest resource of
/// a rank decides. A row to another node goes through its forwarder there, the
/// rank with the local number of the rank that sent it.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_PASSES_COSTMODEL_H
#define FUSCO_PASSES_COSTMODEL_H

#include "dialect/Layout.h"

namespace fusco {

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

/// How many groups of ranks a token is expected to be wanted on.
struct ExpectedGroups {
  double any;     ///< by one expert or more
  double several; ///< by two experts or more
};

/// Of the groups that \p ranksPerGroup consecutive ranks form, for a token with
/// \p topk experts of \p placement. \p ranksPerGroup divides the ranks.
ExpectedGroups expectedGroups(BlockPlacement placement, int64_t ranksPerGroup,
                              int64_t topk);

/// How often a token's row travels: once per assignment, per rank or per node
/// that it is wanted on.
enum class RowPer { Assignment, Rank, Node };

/// Rows that a token is expected to need.
class ExpectedRows {
public:
  ExpectedRows(int64_t nodes, int64_t ranksPerNode, int64_t experts,
               int64_t topk);

  /// All of them, wherever they go.
  double total(RowPer per) const;
  /// Those that leave the token's node.
  double onScaleOut(RowPer per) const { return total(per) * otherNodes; }
  /// Those that the rank which brings them to a node hands to another rank
  /// there.
  double onScaleUp(RowPer per) const { return total(per) * otherRanks; }
  /// The same where a token has one slot on a rank, whatever its experts there.
  ExpectedRows oncePerRank() const;
  /// Those per rank that have several slots on their rank.
  double inSeveralSlots() const { return ranks.several; }

private:
  double assignments;
  ExpectedGroups ranks, nodes;
  double otherNodes; ///< share of the nodes that are not a rank's own
  double otherRanks; ///< share of a node's ranks that are not the rank itself
};

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

/// Bytes per token on the resources of a rank. Links count one direction, since
/// ranks send as much as they receive; memory counts reads and writes.
struct Traffic {
  double scaleOutBytes;
  double scaleUpBytes;
  double memoryBytes;
};

/// Bytes of a row at the places of a dispatch; `scaleUp` are also those of the
/// rows that it leaves.
struct DispatchRowBytes {
  double source, scaleOut, scaleUp;
};

/// The source reads a row once and writes it to the forwarders, which read and
/// write it to the slots. Per rank on scale-up, a rank reads a row that has
/// several slots from the first and writes it to the others.
Traffic dispatchTraffic(const ExpectedRows &rows, RowPer scaleOut,
                        RowPer scaleUp, const DispatchRowBytes &bytes);

/// Bytes of a row at the places of a combine.
struct CombineRowBytes {
  double expert, partialSum, result;
};

/// Per assignment on scale-up, the forwarder reads all rows and sums them. Per
/// rank, ranks sum theirs and write a partial sum to the forwarder, which reads
/// those. Either way it sends one partial sum per node.
Traffic combineTraffic(const ExpectedRows &rows, RowPer scaleUp,
                       const CombineRowBytes &bytes);

/// The load of a node's busiest forwarder over the mean where each takes in
/// what ranks of its own local number send: on measured routing of two models,
/// with tokens spread evenly over 8 nodes of 8 ranks, 1.07 to 1.16.
constexpr double expectedRailImbalance = 1.12;

/// \p traffic at the busiest forwarder where rows go by rail.
Traffic railTraffic(const Traffic &traffic);
/// \p traffic where rows for other nodes are dealt evenly over the
/// \p ranksPerNode ranks of the source's node: all but those dealt to the
/// source itself cross a scale-up link there too.
Traffic balancedTraffic(const Traffic &traffic, int64_t ranksPerNode);

//===----------------------------------------------------------------------===//
// Time
//===----------------------------------------------------------------------===//

/// In GB/s (1e9 bytes), what a rank reads and writes in memory together, and
/// what its links move per direction.
struct LinkSpeeds {
  double memory, scaleUp, scaleOut;
};

/// Speeds from those of a topology, where 0 is not given: a link is then as
/// fast as memory, and memory as the fastest link that is given. Where none is,
/// all are 1.
LinkSpeeds linkSpeeds(int64_t memoryGbps, int64_t scaleUpGbps,
                      int64_t scaleOutGbps);

enum class Resource { ScaleOut, ScaleUp, Memory };

/// Time per token of a rank.
struct Cost {
  Resource slowest;
  double slowestNs;
  double sumNs; ///< of all three resources

  /// The slowest resource decides; between equals, the sum.
  bool operator<(const Cost &other) const;
};

Cost cost(const Traffic &traffic, const LinkSpeeds &speeds);

} // namespace fusco

#endif // FUSCO_PASSES_COSTMODEL_H
