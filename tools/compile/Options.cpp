//===- Options.cpp - Command line of fusco-compile ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Options.h.
///
//===----------------------------------------------------------------------===//

#include "tools/compile/Options.h"
#include <boost/program_options.hpp>
#include <iostream>

using namespace fusco::compile;
namespace po = boost::program_options;

static constexpr int usageError = 2;

static ParsedOptions fail(const std::string &message) {
  std::cerr << "fusco-compile: error: " << message
            << "; see fusco-compile --help\n";
  return {std::nullopt, usageError};
}

static std::optional<Emit> parseEmit(const std::string &name) {
  if (name == "mlir")
    return Emit::Mlir;
  if (name == "llvm")
    return Emit::Llvm;
  if (name == "obj")
    return Emit::Obj;
  if (name == "so")
    return Emit::So;
  return std::nullopt;
}

ParsedOptions fusco::compile::parseOptions(int argc, char **argv) {
  Options options;
  std::string target, emit;
  po::options_description visible("Options");
  // clang-format off
  visible.add_options()
    ("target", po::value(&target)->required(), "what to compile for: cpu")
    ("output,o", po::value(&options.output)->required(),
     "the library, or what --emit asks for; - is standard output")
    ("header", po::value(&options.header), "write the C header of the library")
    ("report", po::value(&options.report),
     "write what was compiled and decided, in JSON")
    ("emit", po::value(&emit)->default_value("so"),
     "mlir (LLVM dialect), llvm (LLVM IR), obj or so")
    ("cpu", po::value(&options.cpu)->default_value("native"),
     "native, x86-64-v3, x86-64-v4 or another CPU that LLVM knows; native is "
     "the highest of the levels that this machine has")
    ("no-baseline", "leave out the unfused programs that fusco-run --baseline "
     "unfused measures against")
    ("linker", po::value(&options.linker)->default_value("c++"),
     "the C++ compiler driver that links the library")
    ("help,h", "print this")
    ("version", "print the version");
  // clang-format on
  po::options_description all;
  all.add(visible).add_options()("input", po::value(&options.input));
  po::positional_options_description positional;
  positional.add("input", 1);

  po::variables_map values;
  try {
    po::store(po::command_line_parser(argc, argv)
                  .options(all)
                  .positional(positional)
                  .run(),
              values);
    if (values.count("help")) {
      std::cout << "usage: fusco-compile MODEL.mlir --target cpu -o LIB.so "
                   "[options]\n\nCompiles a module of the fusco dialect into "
                   "a shared library.\n\n"
                << visible;
      return {};
    }
    if (values.count("version")) {
      std::cout << "fusco-compile " FUSCO_VERSION "\n";
      return {};
    }
    po::notify(values);
  } catch (const po::error &error) {
    return fail(error.what());
  }
  options.hasBaseline = !values.count("no-baseline");
  if (options.input.empty())
    return fail("expected an input, MODEL.mlir or -");
  if (target != "cpu")
    return fail("expected --target cpu, got '" + target + "'");
  std::optional<Emit> parsed = parseEmit(emit);
  if (!parsed)
    return fail("expected --emit mlir, llvm, obj or so, got '" + emit + "'");
  options.emit = *parsed;
  if (options.output == "-" && options.emit == Emit::So)
    return fail("expected a file for -o, since a library is linked there");
  return {options, 0};
}
