//===- Routing.h - Which experts tokens go to -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Routing to model, from a file or drawn.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_SIM_ROUTING_H
#define FUSCO_TOOLS_SIM_ROUTING_H

#include "tools/sim/Shape.h"
#include <optional>
#include <vector>

namespace fusco::sim {

/// What routing looks like where there is no file.
enum class Pattern {
  /// Each token's experts are distinct and uniform: measured routing, at this
  /// many ranks, with as many rows for each of them.
  Even,
  /// All experts of a token are on one node, which is uniform; on it they are
  /// distinct and uniform.
  SingleNode,
  /// As Even, but an expert of rank r of R is drawn with a probability
  /// proportional to exp(-skew r / R): rank 0 gets skew / (1 - exp(-skew))
  /// times
  /// the mean.
  Imbalanced
};

/// The `skew` of Pattern::Imbalanced: fitted to FUSCO's README, which does not
/// say what its imbalanced traffic is.
constexpr double defaultSkew = 2;

/// Ids [rows, topk]; token i of rank r has row (r * tokens + i) mod rows.
struct Routing {
  std::vector<int32_t> ids;
  int64_t topk;
  std::string description;
  const int32_t *of(int64_t token) const {
    return ids.data() + token % (int64_t(ids.size()) / topk) * topk;
  }
};

/// Routing of all tokens of \p shape, but of no more than some million, which
/// then repeat.
Routing drawRouting(const Shape &shape, Pattern pattern, double skew,
                    uint64_t seed);

/// Reads \p path, [rows, topk] or [layers, rows, topk]. Throws Error.
Routing readRouting(const Shape &shape, const std::string &path,
                    std::optional<int64_t> layer);

} // namespace fusco::sim

#endif // FUSCO_TOOLS_SIM_ROUTING_H
