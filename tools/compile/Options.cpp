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

using namespace fusco;
using namespace fusco::compile;
namespace po = boost::program_options;

static constexpr int usageError = 2;
/// More of anything that chunks are counted in makes no sense.
static constexpr int64_t mostChunks = 1 << 20;
/// More multiprocessors than any GPU has.
static constexpr int64_t mostBlocks = 1024;

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
  if (name == "ptx")
    return Emit::Ptx;
  if (name == "cubin")
    return Emit::Cubin;
  if (name == "obj")
    return Emit::Obj;
  if (name == "so")
    return Emit::So;
  return std::nullopt;
}

static std::optional<UniqueOption> parseUnique(const std::string &name) {
  if (name == "auto")
    return UniqueOption::Auto;
  if (name == "assignment")
    return UniqueOption::Assignment;
  if (name == "rank")
    return UniqueOption::Rank;
  if (name == "node")
    return UniqueOption::Node;
  return std::nullopt;
}

static std::optional<PolicyOption> parsePolicy(const std::string &name) {
  if (name == "auto")
    return PolicyOption::Auto;
  if (name == "rail")
    return PolicyOption::Rail;
  if (name == "groups")
    return PolicyOption::Groups;
  if (name == "balanced")
    return PolicyOption::Balanced;
  return std::nullopt;
}

ParsedOptions fusco::compile::parseOptions(int argc, char **argv) {
  Options options;
  std::string emit, unique, forwarders, sanitize;
  po::options_description visible("Options");
  // clang-format off
  visible.add_options()
    ("target", po::value(&options.target)->required(),
     "what to compile for: cpu, or sm_90, which is any GPU from Hopper on")
    ("output,o", po::value(&options.output)->required(),
     "the library, or what --emit asks for; - is standard output")
    ("header", po::value(&options.header), "write the C header of the library")
    ("report", po::value(&options.report),
     "write what was compiled and decided, in JSON")
    ("emit", po::value(&emit)->default_value("so"),
     "mlir (LLVM dialect), llvm (LLVM IR), obj or so; for a GPU also ptx or "
     "cubin, the code of its kernels, which mlir and llvm are of as well")
    ("cpu", po::value(&options.cpu)->default_value("native"),
     "native, x86-64-v3, x86-64-v4 or another CPU that LLVM knows; native is "
     "the highest of the levels that this machine has")
    ("max-blocks", po::value(&options.maxBlocks)->default_value(16),
     "thread blocks, each on a multiprocessor of its own, that a rank takes at "
     "most of a GPU")
    ("threads-per-block", po::value(&options.threadsPerBlock)->default_value(384),
     "threads of a block on a GPU, a multiple of 32")
    ("ptxas", po::value(&options.ptxas),
     "NVIDIA's assembler; without it, it is looked for on PATH, in CUDA_HOME and "
     "/usr/local/cuda, and if there is none, the library holds PTX alone")
    ("no-fuse", "compile an unfused program as it stands")
    ("no-baseline", "leave out the unfused programs that fusco-run --baseline "
     "unfused measures against")
    ("unique", po::value(&unique)->default_value("auto"),
     "how often a token's row travels on a hop: once per assignment, rank or "
     "node, or auto, what a cost model of the topology finds cheapest")
    ("forwarders", po::value(&forwarders)->default_value("auto"),
     "who takes in what a node gets from another: rail (the rank of the same "
     "local number), groups (by load, as FUSCO does), balanced (all, in turn), "
     "or auto, what a cost model of the topology finds cheaper")
    ("backward", "add the backward of each function")
    ("chunk-tokens", po::value(&options.chunkTokens)->default_value(0),
     "tokens of a chunk of a pipeline; 0 is as many as a core's cache holds")
    ("ring-chunks", po::value(&options.ringChunks)->default_value(0),
     "chunks that a ring between two ranks has room for; 0 is one more than "
     "the stages of a pipeline need")
    ("stage-lag", po::value(&options.stageLag)->default_value(1),
     "chunks that a stage of a pipeline is behind the one before it")
    ("timeline", "let the programs note when they begin and end each step, stage, "
     "wait and put, for fusco-run --timeline")
    ("sanitize", po::value(&sanitize),
     "thread: have ThreadSanitizer watch every access to memory; only a process "
     "built with it, such as build-tsan/bin/fusco-run, loads such a library")
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
      std::cout
          << "usage: fusco-compile MODEL.mlir --target cpu|sm_90 -o LIB.so "
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
  options.fuse = !values.count("no-fuse");
  options.hasBaseline = !values.count("no-baseline");
  options.hasBackward = values.count("backward");
  options.hasTimeline = values.count("timeline");
  for (auto [flag, value, least] :
       {std::tuple("--chunk-tokens", options.chunkTokens, 0),
        std::tuple("--ring-chunks", options.ringChunks, 0),
        std::tuple("--stage-lag", options.stageLag, 1)})
    if (value < least || value > mostChunks)
      return fail(std::string("expected ") + flag + " from " +
                  std::to_string(least) + " to " + std::to_string(mostChunks) +
                  ", got " + std::to_string(value));
  if (options.input.empty())
    return fail("expected an input, MODEL.mlir or -");
  if (isForGpu(options) && options.target.rfind("sm_", 0) != 0)
    return fail("expected --target cpu or sm_90, got '" + options.target + "'");
  std::optional<Emit> parsed = parseEmit(emit);
  if (!parsed)
    return fail("expected --emit mlir, llvm, ptx, cubin, obj or so, got '" +
                emit + "'");
  options.emit = *parsed;
  if (!isForGpu(options) &&
      (options.emit == Emit::Ptx || options.emit == Emit::Cubin))
    return fail("expected a GPU as --target for --emit " + emit + ", got cpu");
  if (options.threadsPerBlock < 32 || options.threadsPerBlock > 1024 ||
      options.threadsPerBlock % 32 != 0)
    return fail("expected --threads-per-block to be a multiple of 32 from 32 "
                "to 1024, got " +
                std::to_string(options.threadsPerBlock));
  if (options.maxBlocks < 1 || options.maxBlocks > mostBlocks)
    return fail("expected --max-blocks from 1 to " +
                std::to_string(mostBlocks) + ", got " +
                std::to_string(options.maxBlocks));
  std::optional<UniqueOption> parsedUnique = parseUnique(unique);
  if (!parsedUnique)
    return fail("expected --unique auto, assignment, rank or node, got '" +
                unique + "'");
  options.unique = *parsedUnique;
  std::optional<PolicyOption> parsedPolicy = parsePolicy(forwarders);
  if (!parsedPolicy)
    return fail("expected --forwarders auto, rail, groups or balanced, got '" +
                forwarders + "'");
  options.forwarders = *parsedPolicy;
  if (values.count("sanitize") && sanitize != "thread")
    return fail("expected --sanitize thread, got '" + sanitize + "'");
  options.sanitizeThread = values.count("sanitize");
  if (options.sanitizeThread && isForGpu(options))
    return fail("expected --target cpu with --sanitize thread, got '" +
                options.target + "'");
  if (options.output == "-" && options.emit == Emit::So)
    return fail("expected a file for -o, since a library is linked there");
  return {options, 0};
}
