//===- Profile.cpp - How many tokens experts got --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See Profile.h.
//
//===----------------------------------------------------------------------===//
#include "tools/place/Profile.h"

#include "tools/common/Error.h"
#include "tools/common/Npy.h"
#include "tools/common/RowRange.h"

#include <fmt/format.h>

namespace fusco::place {

/// Loads [layers, experts], or [experts].
static Profile readCounts(const Options &options, const NpyArray &file) {
  const std::vector<size_t> &extents = file.shape();
  const size_t experts = size_t(options.experts);
  if (extents.empty() || extents.size() > 2 || extents.back() != experts)
    throw Error(fmt::format("'{}' should hold loads of shape [{}] or [layers, "
                            "{}], has {}",
                            options.profile, experts, experts,
                            file.shapeText()));
  Profile profile;
  profile.hasLayers = extents.size() == 2;
  const size_t layers = profile.hasLayers ? extents[0] : 1;
  for (size_t layer = 0; layer != layers; ++layer) {
    std::vector<int64_t> &loads = profile.loads.emplace_back();
    for (size_t expert = 0; expert != experts; ++expert) {
      loads.push_back(file.integerAt(layer * experts + expert));
      if (loads.back() < 0)
        throw Error(fmt::format("'{}' has the load {} of expert {}, expected "
                                "at least 0",
                                options.profile, loads.back(), expert));
    }
  }
  return profile;
}

/// Ids [layers, rows, topk], or [rows, topk].
static Profile countIds(const Options &options, const NpyArray &file) {
  const std::vector<size_t> &extents = file.shape();
  if (extents.size() != 2 && extents.size() != 3)
    throw Error(fmt::format("'{}' should hold ids of shape [rows, topk] or "
                            "[layers, rows, topk], has {}; with --counts, "
                            "loads",
                            options.profile, file.shapeText()));
  Profile profile;
  profile.hasLayers = extents.size() == 3;
  const size_t topk = extents.back(), numRows = extents[extents.size() - 2];
  const std::pair<int64_t, int64_t> rows =
      options.rows.value_or(std::pair<int64_t, int64_t>(0, numRows));
  requireRows(rows, numRows, options.profile);
  const size_t layers = profile.hasLayers ? extents[0] : 1;
  for (size_t layer = 0; layer != layers; ++layer) {
    std::vector<int64_t> &loads = profile.loads.emplace_back();
    loads.assign(size_t(options.experts), 0);
    const size_t first = layer * numRows * topk;
    for (size_t i = first + size_t(rows.first) * topk;
         i != first + size_t(rows.second) * topk; ++i) {
      const int64_t id = file.integerAt(i);
      if (id < -1 || id >= options.experts)
        throw Error(fmt::format("'{}' has expert id {} in layer {}, expected "
                                "-1 or 0 to {}",
                                options.profile, id, layer,
                                options.experts - 1));
      if (id >= 0)
        ++loads[size_t(id)];
    }
  }
  return profile;
}

Profile readProfile(const Options &options) {
  const NpyArray file(options.profile);
  if (!file.isInteger())
    throw Error(fmt::format("'{}' should hold integers, holds floats",
                            options.profile));
  return options.isOfCounts ? readCounts(options, file)
                            : countIds(options, file);
}

} // namespace fusco::place
