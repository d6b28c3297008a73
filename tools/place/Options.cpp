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

#include "tools/run/Error.h"
#include "tools/run/Output.h"
#include "tools/run/RowRange.h"

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include <limits>
#include <sstream>

namespace po = boost::program_options;

namespace fusco::place {

using run::UsageError;

std::optional<Options> parseOptions(int argc, char **argv) {
  Options options;
  std::string rows;
  po::options_description visible("options");
  auto add = visible.add_options();
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
  add("help,h", "print this text");
  add("version", "print the version");
  po::options_description all;
  all.add(visible).add_options()("profile",
                                 po::value(&options.profile)->required());
  po::positional_options_description positional;
  positional.add("profile", 1);
  po::variables_map given;
  try {
    const int style = po::command_line_style::unix_style &
                      ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(argc, argv)
                  .options(all)
                  .positional(positional)
                  .style(style)
                  .run(),
              given);
    if (given.count("help")) {
      std::ostringstream text;
      text << "usage: fusco-place PROFILE.npy [options]\n\nMakes a table that "
              "places experts and their replicas on ranks so that loads like\n"
              "the profile's are even. fusco-run --placement takes it.\n\n"
           << visible;
      run::printToStdout(text.str());
      return std::nullopt;
    }
    if (given.count("version")) {
      run::printToStdout("fusco-place " FUSCO_VERSION "\n");
      return std::nullopt;
    }
    po::notify(given);
  } catch (const po::error &error) {
    throw UsageError(fmt::format("{}; see fusco-place --help", error.what()));
  }
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
    options.rows = run::parseRowRange(rows);
  if (options.rows && options.isOfCounts)
    throw UsageError("--rows chooses among ids; it has no meaning with "
                     "--counts");
  return options;
}

} // namespace fusco::place
