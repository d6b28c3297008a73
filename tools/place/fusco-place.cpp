//===- fusco-place.cpp - A table that places experts ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// From a profile of experts' loads to a table of placement, layer by layer.
//
//===----------------------------------------------------------------------===//
#include "tools/common/Error.h"
#include "tools/common/Output.h"
#include "tools/place/Options.h"
#include "tools/place/Placement.h"
#include "tools/place/Profile.h"

#include <fmt/format.h>
#include <xtensor/xarray.hpp>
#include <xtensor/xnpy.hpp>

#include <algorithm>
#include <numeric>

using namespace fusco;
using namespace fusco::place;

namespace {

reference::Shape shapeOf(const Options &options) {
  reference::Shape shape;
  shape.nodes = int(options.nodes);
  shape.ranksPerNode = int(options.ranksPerNode);
  shape.experts = options.experts;
  shape.redundantExperts = options.redundant;
  shape.hasTable = true;
  return shape;
}

/// Experts in order, in blocks without replicas.
double imbalanceOfBlocks(reference::Shape shape,
                         const std::vector<int64_t> &loads) {
  shape.redundantExperts = 0;
  std::vector<int64_t> inOrder(size_t(shape.experts), 0);
  std::iota(inOrder.begin(), inOrder.end(), int64_t(0));
  return imbalanceOf(shape, loads, inOrder);
}

std::string npyOf(const std::vector<std::vector<int64_t>> &tables,
                  bool hasLayers) {
  std::vector<size_t> extents{tables.front().size()};
  if (hasLayers)
    extents.insert(extents.begin(), tables.size());
  xt::xarray<int32_t> array = xt::xarray<int32_t>::from_shape(extents);
  auto next = array.begin();
  for (const std::vector<int64_t> &table : tables)
    next = std::copy(table.begin(), table.end(), next);
  return xt::dump_npy(array);
}

int makeTable(int argc, char **argv) {
  std::optional<Options> options = parseOptions(argc, argv);
  if (!options)
    return 0;
  requireWritable(options->output);
  const reference::Shape shape = shapeOf(*options);
  const Profile profile = readProfile(*options);
  if (profile.loads.empty())
    throw Error(fmt::format("'{}' has no layers", options->profile));
  std::vector<std::vector<int64_t>> tables;
  std::string text = fmt::format("{:>5} {:>10} {:>10}  hottest rank over the "
                                 "mean, on the profile\n",
                                 "layer", "in blocks", "placed");
  double sum = 0, worst = 0;
  for (size_t layer = 0; layer != profile.loads.size(); ++layer) {
    const std::vector<int64_t> &loads = profile.loads[layer];
    tables.push_back(placeExperts(shape, loads));
    const double placed = imbalanceOf(shape, loads, tables.back());
    text += fmt::format("{:>5} {:>10.3f} {:>10.3f}\n", layer,
                        imbalanceOfBlocks(shape, loads), placed);
    sum += placed;
    worst = std::max(worst, placed);
  }
  text += fmt::format("mean {:.3f}, worst {:.3f}, placed\n",
                      sum / double(tables.size()), worst);
  writeAtomically(options->output, npyOf(tables, profile.hasLayers));
  printToStdout(text);
  return 0;
}

int fail(const std::string &text, int code) {
  printToStderr("fusco-place: error: " + text);
  return code;
}

} // namespace

int main(int argc, char **argv) {
  prepareProcess();
  try {
    return makeTable(argc, argv);
  } catch (const UsageError &error) {
    return fail(error.what(), 2);
  } catch (const std::exception &error) {
    return fail(error.what(), 1);
  }
}
