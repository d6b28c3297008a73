//===- CommandLine.cpp - Flags of a tool ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See CommandLine.h.
//
//===----------------------------------------------------------------------===//
#include "tools/common/CommandLine.h"

#include "tools/common/Error.h"
#include "tools/common/Output.h"

#include <fmt/format.h>

#include <sstream>

namespace po = boost::program_options;

namespace fusco {

std::optional<po::variables_map> parseCommandLine(int argc, char **argv,
                                                  const CommandLine &line) {
  line.flags.add_options()("help", "print this text")("version",
                                                      "print the version");
  po::options_description all;
  all.add(line.flags).add_options()(line.positional, po::value(&line.argument));
  po::positional_options_description positional;
  positional.add(line.positional, 1);
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
      text << line.usage << line.flags;
      printToStdout(text.str());
      return std::nullopt;
    }
    if (given.count("version")) {
      printToStdout(line.tool + " " FUSCO_VERSION "\n");
      return std::nullopt;
    }
    po::notify(given);
  } catch (const po::error &error) {
    throw UsageError(fmt::format("{}; see {} --help", error.what(), line.tool));
  }
  return given;
}

} // namespace fusco
