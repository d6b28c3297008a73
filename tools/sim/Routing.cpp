//===- Routing.cpp - Which experts tokens go to ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Routing.h.
///
//===----------------------------------------------------------------------===//

#include "tools/sim/Routing.h"

#include "tools/common/Error.h"
#include "tools/common/Npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

using namespace fusco;
using namespace fusco::sim;

/// More tokens than this are not drawn: by then shares are what they are.
static constexpr int64_t mostTokens = 1 << 20;

Routing sim::drawRouting(const Shape &shape, Pattern pattern, double skew,
                         uint64_t seed) {
  const BlockPlacement placement = shape.placement();
  std::mt19937_64 generator(seed);
  std::vector<double> weights(size_t(shape.experts), 1.0);
  if (pattern == Pattern::Imbalanced)
    for (int64_t expert = 0; expert != shape.experts; ++expert)
      weights[size_t(expert)] =
          std::exp(-skew * double(placement.rankOfExpert(expert)) /
                   double(shape.numRanks()));
  std::discrete_distribution<int32_t> any(weights.begin(), weights.end());

  Routing routing;
  routing.topk = shape.topk;
  routing.description = pattern == Pattern::Even         ? "even"
                        : pattern == Pattern::SingleNode ? "to a single node"
                                                         : "imbalanced";
  const int64_t tokens = std::min(mostTokens, shape.numRanks() * shape.tokens);
  std::vector<int32_t> chosen;
  for (int64_t token = 0; token != tokens; ++token) {
    chosen.clear();
    int64_t first = 0, held = shape.experts;
    if (pattern == Pattern::SingleNode) {
      const int64_t node = int64_t(generator() % uint64_t(shape.nodes));
      first = placement.firstExpert(node * shape.ranksPerNode);
      held = placement.firstExpert((node + 1) * shape.ranksPerNode) - first;
    }
    // A node that holds fewer experts gets each of them.
    const size_t wanted = size_t(std::min(shape.topk, held));
    while (chosen.size() != wanted) {
      const int32_t expert =
          pattern == Pattern::SingleNode
              ? int32_t(first + int64_t(generator() % uint64_t(held)))
              : any(generator);
      if (std::find(chosen.begin(), chosen.end(), expert) == chosen.end())
        chosen.push_back(expert);
    }
    chosen.resize(size_t(shape.topk), -1);
    routing.ids.insert(routing.ids.end(), chosen.begin(), chosen.end());
  }
  return routing;
}

Routing sim::readRouting(const Shape &shape, const std::string &path,
                         std::optional<int64_t> layer) {
  const NpyArray file(path);
  const std::vector<size_t> &extents = file.shape();
  if (!file.isInteger() || extents.size() < 2 || extents.size() > 3 ||
      extents.back() != size_t(shape.topk))
    throw Error(fmt::format(
        "'{}' should hold expert ids of shape [rows, {}] or [layers, rows, "
        "{}], has {}{}",
        path, shape.topk, shape.topk, file.isInteger() ? "" : "floats of ",
        file.shapeText()));
  const size_t number = size_t(layer.value_or(0));
  const size_t layers = extents.size() == 3 ? extents[0] : 1;
  if (number >= layers)
    throw Error(fmt::format("--layer {} is out of range: '{}' has {} "
                            "layers, counted from 0",
                            number, path, layers));
  const size_t count = extents[extents.size() - 2] * extents.back();
  Routing routing;
  routing.topk = shape.topk;
  routing.description =
      layers == 1 ? path : fmt::format("{} layer {}", path, number);
  for (size_t i = number * count; i != (number + 1) * count; ++i) {
    const int64_t id = file.integerAt(i);
    if (id < -1 || id >= shape.experts)
      throw Error(fmt::format("'{}' has expert id {}, the model has "
                              "experts 0 to {} (-1: not routed)",
                              path, id, shape.experts - 1));
    routing.ids.push_back(int32_t(id));
  }
  if (routing.ids.empty())
    throw Error(fmt::format("'{}' has no rows", path));
  return routing;
}
