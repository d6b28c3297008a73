//===- Routing.cpp - Who sends what where ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Routing files, their checks, and how rows become the ranks' tokens.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Routing.h"

#include "tools/common/Error.h"
#include "tools/common/Npy.h"
#include "tools/common/RowRange.h"
#include "tools/reference/Replicas.h"
#include "tools/run/Random.h"
#include "tools/run/SyntheticRouting.h"

#include <boost/crc.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <set>
#include <unistd.h>

namespace fusco::run {
namespace {

/// Rows of routing, before they are dealt to the ranks.
struct Rows {
  std::vector<int64_t> ids;
  std::vector<float> weights; ///< empty: none were given
  std::string description;
};

/// The layer of \p file that was asked for, as a half-open range of elements.
std::pair<size_t, size_t> layerOf(const NpyArray &file, const std::string &path,
                                  const Options &options) {
  const std::vector<size_t> &extents = file.shape();
  if (extents.size() == 2) {
    if (options.layer)
      throw Error(fmt::format("--layer {} needs a file of shape [layers, rows, "
                              "topk], '{}' has shape {}",
                              *options.layer, path, file.shapeText()));
    return {0, extents[0] * extents[1]};
  }
  const uint64_t layer = uint64_t(options.layer.value_or(0));
  if (layer >= extents[0])
    throw Error(fmt::format("--layer {} is out of range: '{}' has {} layers, "
                            "counted from 0",
                            layer, path, extents[0]));
  const size_t elements = extents[1] * extents[2];
  return {size_t(layer) * elements, (size_t(layer) + 1) * elements};
}

void requireRoutingShape(const NpyArray &file, const std::string &path,
                         const reference::Shape &shape) {
  if (!file.isInteger())
    throw Error(fmt::format("'{}' should hold expert ids of an integer dtype, "
                            "holds floats",
                            path));
  const std::vector<size_t> &extents = file.shape();
  if (extents.size() != 2 && extents.size() != 3)
    throw Error(fmt::format("'{}' should have shape [rows, {}] or [layers, "
                            "rows, {}], has {}",
                            path, shape.topk, shape.topk, file.shapeText()));
  if (extents.back() != size_t(shape.topk))
    throw Error(fmt::format("'{}' routes each token to {} experts, the library "
                            "was compiled for top-{}",
                            path, extents.back(), shape.topk));
}

/// Throws if an id is outside [-1, experts), in whatever layer: such a file is
/// not of this model.
void requireKnownExperts(const NpyArray &file, const std::string &path,
                         const reference::Shape &shape) {
  size_t elements = 1;
  for (size_t extent : file.shape())
    elements *= extent;
  for (size_t i = 0; i != elements; ++i) {
    const int64_t id = file.integerAt(i);
    if (id >= -1 && id < shape.experts)
      continue;
    std::vector<size_t> position;
    size_t rest = i;
    for (size_t dim = file.shape().size(); dim-- != 0;) {
      position.insert(position.begin(), rest % file.shape()[dim]);
      rest /= file.shape()[dim];
    }
    throw Error(fmt::format("'{}' has expert id {} at {}; the library has "
                            "experts 0 to {} (-1: not routed)",
                            path, id, position, shape.experts - 1));
  }
}

Rows readRows(const reference::Shape &shape, const Options &options) {
  const std::string &path = *options.routing;
  NpyArray file(path);
  requireRoutingShape(file, path, shape);
  auto [begin, end] = layerOf(file, path, options);
  Rows rows;
  rows.description = std::filesystem::path(path).filename().string();
  if (file.shape().size() == 3)
    rows.description += fmt::format(" layer {}", options.layer.value_or(0));
  requireKnownExperts(file, path, shape);
  if (options.rows) {
    const size_t topk = file.shape().back();
    requireRows(*options.rows, (end - begin) / topk, path);
    end = begin + size_t(options.rows->second) * topk;
    begin += size_t(options.rows->first) * topk;
    rows.description +=
        fmt::format(" rows {}:{}", options.rows->first, options.rows->second);
  }
  for (size_t i = begin; i != end; ++i)
    rows.ids.push_back(file.integerAt(i));
  if (!options.weights)
    return rows;

  NpyArray weights(*options.weights);
  if (weights.isInteger())
    throw Error(fmt::format("'{}' should hold weights of a float dtype, holds "
                            "integers",
                            *options.weights));
  if (weights.shape() != file.shape())
    throw Error(
        fmt::format("'{}' should have the shape of the routing, {}, has "
                    "{}",
                    *options.weights, file.shapeText(), weights.shapeText()));
  for (size_t i = begin; i != end; ++i)
    rows.weights.push_back(weights.floatAt(i));
  return rows;
}

/// Load of the hottest expert over the mean.
double skewOf(const std::vector<int64_t> &ids, int64_t experts) {
  std::vector<int64_t> load(size_t(experts), 0);
  for (int64_t id : ids)
    if (id >= 0)
      ++load[size_t(id)];
  int64_t total = std::accumulate(load.begin(), load.end(), int64_t(0));
  int64_t hottest = *std::max_element(load.begin(), load.end());
  return total ? double(hottest) * double(experts) / double(total) : 1.0;
}

/// Routing that \p options ask for without a file.
Rows makeRows(const reference::Shape &shape, const Options &options,
              int64_t numTokens) {
  auto deal = [&](int64_t experts, const char *description) {
    return Rows{dealRouting(experts, shape.topk, numTokens), {}, description};
  };
  switch (options.synthetic) {
  case Synthetic::OneExpert:
    return deal(1, "synthetic routing, all tokens to expert 0");
  case Synthetic::OneNode:
    return deal(std::min(shape.experts, shape.firstExpert(shape.ranksPerNode)),
                "synthetic routing, all tokens to the experts of node 0");
  case Synthetic::Empty:
    return deal(0, "synthetic routing, no token to any expert");
  case Synthetic::Skewed:
    break;
  }
  Rows rows;
  rows.ids = drawRouting(shape.experts, shape.topk, numTokens, options.skew,
                         Random(options.seed, Purpose::Routing));
  rows.description =
      fmt::format("load-calibrated synthetic routing (hottest expert {:.1f} x "
                  "mean)",
                  skewOf(rows.ids, shape.experts));
  return rows;
}

void appendWeightsText(std::string &description, const Options &options,
                       bool weighted) {
  if (!weighted)
    description +=
        options.weights ? ", weights ignored: the library has none" : "";
  else if (options.weights)
    description += ", weights " +
                   std::filesystem::path(*options.weights).filename().string();
  else
    description += ", random weights";
}

/// Of physical experts.
std::vector<int64_t> countPerExpert(const reference::Shape &shape,
                                    const Routing &routing) {
  std::vector<int64_t> count(size_t(shape.numPhysicalExperts()), 0);
  for (const std::vector<int64_t> &ids : plannedIdsOf(shape, routing))
    for (int64_t id : ids)
      if (id >= 0)
        ++count[size_t(id)];
  return count;
}

/// Throws Error if an expert gets more rows than it has slots, or slots, which
/// are there whether they are used or not, take more than this machine's
/// memory: they stand in the tensors and in what these are compared with.
void requireSlots(const reference::Shape &shape, const Routing &routing) {
  if (shape.capacityRows == 0)
    return;
  const std::vector<int64_t> count = countPerExpert(shape, routing);
  const auto fullest = std::max_element(count.begin(), count.end());
  if (*fullest > shape.capacityRows) // nothing is dropped
    throw Error(
        fmt::format("expert {} gets {} rows of this routing, but has {} "
                    "slots; take fewer --tokens, or a larger --capacity or "
                    "--overflow drop of fusco-import",
                    fullest - count.begin(), *fullest, shape.capacityRows));
  const int64_t rows =
      shape.numRanks() * shape.maxLocalExperts() * shape.capacityRows;
  const double bytes = 2.0 * double(rows) *
                       double(shape.bytesPerDispatchedRow() +
                              shape.bytesPerRow(shape.outputType));
  const double memory =
      double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGESIZE));
  if (bytes > memory)
    throw Error(
        fmt::format("expected slots of all ranks to fit into {:.0f} GB of "
                    "memory, twice, got {:.0f} GB; take a smaller "
                    "--capacity of fusco-import",
                    memory / 1e9, bytes / 1e9));
}

/// The layer of the table in \p path that was asked for.
std::vector<int64_t> readPlacement(const reference::Shape &shape,
                                   const std::string &path,
                                   const Options &options) {
  const size_t entries = size_t(shape.numPhysicalExperts());
  NpyArray file(path);
  const std::vector<size_t> &extents = file.shape();
  if (!file.isInteger() || extents.empty() || extents.size() > 2 ||
      extents.back() != entries)
    throw Error(fmt::format("'{}' should hold integers of shape [{}] or "
                            "[layers, {}], the library's physical experts, has "
                            "{}{}",
                            path, entries, entries,
                            file.isInteger() ? "" : "floats of ",
                            file.shapeText()));
  const size_t layer = size_t(options.layer.value_or(0));
  if (extents.size() == 2 && layer >= extents[0])
    throw Error(fmt::format("--layer {} is out of range: '{}' has {} layers, "
                            "counted from 0",
                            layer, path, extents[0]));
  const size_t first = extents.size() == 2 ? layer * entries : 0;
  std::vector<int64_t> placement;
  std::vector<bool> isThere(size_t(shape.experts), false);
  for (size_t i = 0; i != entries; ++i) {
    const int64_t expert = file.integerAt(first + i);
    if (expert < 0 || expert >= shape.experts)
      throw Error(fmt::format("'{}' has expert {} at {}; the library has "
                              "experts 0 to {}",
                              path, expert, i, shape.experts - 1));
    isThere[size_t(expert)] = true;
    placement.push_back(expert);
  }
  for (size_t expert = 0; expert != isThere.size(); ++expert)
    if (!isThere[expert])
      throw Error(fmt::format("'{}' lacks expert {}; a table has every expert "
                              "at least once",
                              path, expert));
  return placement;
}

std::vector<std::vector<int64_t>> makePlacements(const reference::Shape &shape,
                                                 const Options &options) {
  if (!shape.hasTable && !options.placements.empty())
    throw Error("--placement needs a library whose experts a table places "
                "(--placement table of fusco-import)");
  std::vector<std::vector<int64_t>> placements;
  for (const std::string &path : options.placements)
    placements.push_back(readPlacement(shape, path, options));
  if (!shape.hasTable || !placements.empty())
    return placements;
  std::vector<int64_t> &inOrder = placements.emplace_back();
  for (int64_t i = 0; i != shape.numPhysicalExperts(); ++i)
    inOrder.push_back(i % shape.experts);
  return placements;
}

} // namespace

int64_t countLayers(const std::string &path) {
  const std::vector<size_t> extents = NpyArray(path).shape();
  return extents.size() == 3 ? int64_t(extents[0]) : 1;
}

std::vector<int64_t> Routing::placementOf(size_t number) const {
  return placements.empty() ? std::vector<int64_t>()
                            : placements[number % placements.size()];
}

std::vector<std::vector<int64_t>> plannedIdsOf(const reference::Shape &shape,
                                               const Routing &routing) {
  std::vector<std::vector<int64_t>> ids;
  for (const RankRouting &rank : routing.ranks)
    ids.push_back(rank.ids);
  return reference::plannedIdsOf(shape, std::move(ids), routing.placementOf(0));
}

int64_t Routing::numTokens() const {
  int64_t sum = 0;
  for (const RankRouting &rank : ranks)
    sum += rank.tokens;
  return sum;
}

int64_t countAssignments(const reference::Shape &shape,
                         const Routing &routing) {
  int64_t sum = 0;
  for (const std::vector<int64_t> &ids : plannedIdsOf(shape, routing))
    sum += int64_t(ids.size()) - std::count(ids.begin(), ids.end(), -1);
  return sum;
}

Routing makeRouting(const reference::Shape &shape, const Options &options,
                    const std::vector<int64_t> &tokens) {
  const int64_t numTokens =
      std::accumulate(tokens.begin(), tokens.end(), int64_t(0));
  Rows rows = options.routing ? readRows(shape, options)
                              : makeRows(shape, options, numTokens);
  const size_t topk = size_t(shape.topk);
  const size_t numRows = rows.ids.size() / topk;
  if (numRows == 0 && numTokens != 0)
    throw Error(fmt::format("'{}' has no rows, but {} tokens are to be routed; "
                            "give --tokens 0",
                            options.routing.value_or(""), numTokens));

  Routing routing;
  routing.description = rows.description;
  const bool takesWeights = shape.takesWeights();
  appendWeightsText(routing.description, options, takesWeights);
  boost::crc_32_type crc;
  size_t first = 0;
  for (size_t rank = 0; rank != tokens.size(); ++rank) {
    RankRouting share;
    share.tokens = tokens[rank];
    Random random(options.seed, Purpose::Weights, 0, uint32_t(rank));
    for (size_t i = 0; i != size_t(share.tokens) * topk; ++i) {
      size_t at = (first + i / topk) % numRows * topk + i % topk;
      share.ids.push_back(rows.ids[at]);
      if (takesWeights)
        share.weights.push_back(rows.weights.empty() ? float(random.fraction())
                                                     : rows.weights[at]);
    }
    first += size_t(share.tokens);
    crc.process_bytes(share.ids.data(), share.ids.size() * sizeof(int64_t));
    crc.process_bytes(share.weights.data(),
                      share.weights.size() * sizeof(float));
    routing.ranks.push_back(std::move(share));
  }
  routing.crc32 = crc.checksum();
  routing.placements = makePlacements(shape, options);
  requireSlots(shape, routing);
  return routing;
}

/// Pairs of a token and a rank with experts of it, by rank.
static std::vector<int64_t> countPerRank(const reference::Shape &shape,
                                         const Routing &routing) {
  std::vector<int> rankOf;
  for (int64_t expert = 0; expert != shape.experts; ++expert)
    rankOf.push_back(shape.rankOfExpert(expert));
  std::vector<int64_t> count(routing.ranks.size(), 0);
  for (const RankRouting &rank : routing.ranks)
    for (size_t token = 0; token != rank.ids.size();
         token += size_t(shape.topk)) {
      std::set<int> ranks;
      for (size_t k = 0; k != size_t(shape.topk); ++k)
        if (rank.ids[token + k] >= 0)
          ranks.insert(rankOf[size_t(rank.ids[token + k])]);
      for (int to : ranks)
        ++count[size_t(to)];
    }
  return count;
}

std::vector<int64_t> expertRowsOf(const reference::Shape &shape,
                                  const Routing &routing) {
  if (shape.isRankMajor)
    return countPerRank(shape, routing);
  std::vector<int64_t> rows(routing.ranks.size(),
                            shape.maxLocalExperts() * shape.capacityRows);
  if (shape.capacityRows != 0)
    return rows;
  const std::vector<int64_t> count = countPerExpert(shape, routing);
  for (int64_t expert = 0; expert != shape.numPhysicalExperts(); ++expert)
    rows[size_t(shape.rankOfExpert(expert))] +=
        (count[size_t(expert)] + shape.alignRows - 1) / shape.alignRows *
        shape.alignRows;
  return rows;
}

} // namespace fusco::run
