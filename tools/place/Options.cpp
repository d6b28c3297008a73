//===- Options.cpp - Command line of fusco-place --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See Options.h.
//
//===----------------------------------------------------------------------===//
#include "tools/place/Options.h"

#include "tools/common/CommandLine.h"
#include "tools/common/Error.h"
#include "tools/common/RowRange.h"

#include <fmt/format.h>

#include <limits>

namespace po = boost::program_options;

namespace fusco::place {

std::optional<Options> parseOptions(int argc, char **argv) {
  Options options;
  std::string rows;
  po::options_description flags("options");
  auto add = flags.add_options();
  add("experts", po::value(&options.experts)->required()->value_name("E"),
      "experts of a layer");
  add("redundant", po::value(&options.redundant)->value_name("N"),
      "replicas more than experts (default 0)");
  add("nodes", po::value(&options.nodes)->required()->value_name("N"),
      "nodes of the model's topology");
  add("ranks-per-node",
      po::value(&options.ranksPerNode)->required()->value_name("G"),
      "ranks of each node");
  add("counts", po::bool_switch(&options.isOfCounts),
      "the profile holds loads, [experts] or [layers, experts], rather than "
      "expert ids, [rows, topk] or [layers, rows, topk]");
  add("rows", po::value(&rows)->value_name("BEGIN:END"),
      "take these rows of a profile of ids only");
  add("output,o",
      po::value(&options.output)->required()->value_name("TABLE.npy"),
      "write the table, [physical experts] or [layers, physical experts] of "
      "int32");
  if (!parseCommandLine(
          argc, argv,
          {"fusco-place",
           "usage: fusco-place PROFILE.npy [options]\n\nMakes a table that "
           "places experts and their replicas on ranks so that loads like\n"
           "the profile's are even. fusco-run --placement takes it.\n\n",
           flags, "profile", options.profile}))
    return std::nullopt;
  if (options.profile.empty())
    throw UsageError("expected the profile, PROFILE.npy; see fusco-place "
                     "--help");
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  constexpr int64_t mostRanks = 65536;
  auto require = [](const char *flag, int64_t value, int64_t least,
                    int64_t largest) {
    if (value < least || value > largest)
      throw UsageError(fmt::format("{} must be in [{}, {}], got {}", flag,
                                   least, largest, value));
  };
  require("--experts", options.experts, 1, most);
  require("--redundant", options.redundant, 0, most - options.experts);
  require("--nodes", options.nodes, 1, mostRanks);
  require("--ranks-per-node", options.ranksPerNode, 1,
          mostRanks / options.nodes);
  if (!rows.empty())
    options.rows = parseRowRange(rows);
  if (options.rows && options.isOfCounts)
    throw UsageError("--rows chooses among ids; it has no meaning with "
                     "--counts");
  return options;
}

} // namespace fusco::place
