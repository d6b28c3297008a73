//===- Options.cpp - fusco-import's command line --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Integers and choices are tables; a flag wins over the config file.
///
//===----------------------------------------------------------------------===//

#include "tools/import/Options.h"

#include "tools/import/Error.h"
#include "tools/import/HuggingFaceConfig.h"
#include <boost/program_options.hpp>
#include <charconv>
#include <iostream>
#include <limits>
#include <map>
#include <vector>

using namespace fusco::importer;
namespace po = boost::program_options;

namespace {

/// A flag that takes an integer. Its default may lie out of its bounds.
struct IntegerFlag {
  const char *name;
  int64_t ModelShape::*field;
  int64_t min;
  std::optional<ConfigFact> fact;      ///< where --hf can give it
  std::optional<int64_t> defaultValue; ///< none: required
  const char *help;
  int64_t max = std::numeric_limits<int32_t>::max();
};

/// A flag that takes one of some words, the first of them by default.
struct ChoiceFlag {
  const char *name;
  std::vector<std::string> choices;
  const char *help;
};

/// A value and what to call it in a message about it.
struct Sourced {
  int64_t value;
  std::string where;
};

} // namespace

static const std::vector<IntegerFlag> &integerFlags() {
  constexpr int64_t maxGbps = 1'000'000;
  static const std::vector<IntegerFlag> flags = {
      {"hidden", &ModelShape::hidden, 1, ConfigFact::Hidden, std::nullopt,
       "elements of a token's row"},
      {"experts", &ModelShape::experts, 1, ConfigFact::Experts, std::nullopt,
       "experts of a layer, over all ranks"},
      {"redundant", &ModelShape::redundant, 0, std::nullopt, 0,
       "replicas of experts, which a table places; default 0"},
      {"topk", &ModelShape::topk, 1, ConfigFact::TopK, std::nullopt,
       "experts that a token is routed to"},
      {"nodes", &ModelShape::nodes, 1, std::nullopt, std::nullopt,
       "nodes of the expert-parallel group"},
      {"ranks-per-node", &ModelShape::ranksPerNode, 1, std::nullopt,
       std::nullopt, "ranks of a node"},
      {"memory-gbps", &ModelShape::memoryGbps, 1, std::nullopt, 0,
       "GB/s that a rank reads and writes in its memory; default: not known",
       maxGbps},
      {"scale-up-gbps", &ModelShape::scaleUpGbps, 1, std::nullopt, 0,
       "GB/s, per direction, between a rank and others of its node; default: "
       "as fast as memory",
       maxGbps},
      {"scale-out-gbps", &ModelShape::scaleOutGbps, 1, std::nullopt, 0,
       "GB/s, per direction, between a rank and other nodes; default: as fast "
       "as memory",
       maxGbps},
      {"max-tokens", &ModelShape::maxTokens, 0, std::nullopt, std::nullopt,
       "most tokens that a rank holds"},
      {"align", &ModelShape::alignRows, 1, std::nullopt, 1,
       "an expert's rows start at a multiple of this; default 1"},
      {"capacity", &ModelShape::capacity, 1, std::nullopt, 0,
       "rows that an expert has room for in the layout expert_slots"},
      {"scale-block", &ModelShape::scaleBlock, 1, std::nullopt, 0,
       "elements of a float8 row that share a scale, at most --hidden: then "
       "there is one per token; default 128"}};
  return flags;
}

static const std::vector<ChoiceFlag> &choiceFlags() {
  static const std::vector<ChoiceFlag> flags = {
      {"dtype", {"bf16", "f16", "f32"}, "elements of a row"},
      {"dispatch-dtype",
       {"bf16", "f16", "f32", "f8E4M3FN", "f8E5M2"},
       "elements of a dispatched row, cast or quantised on the way; default: "
       "those of --dtype"},
      {"combine-dtype",
       {"bf16", "f16", "f32", "f8E4M3FN", "f8E5M2"},
       "elements of a row that experts hand to combine, float8 with scales, "
       "which combine takes beside them; default: those of --dtype"},
      {"out-dtype",
       {"bf16", "f16", "f32"},
       "elements of combine's result; default: those of --dtype"},
      {"partials",
       {"f32", "bf16"},
       "what a rank's and a node's sum of a token is rounded to before it is "
       "added to others, and travels as"},
      {"scale-type",
       {"f32", "ue8m0"},
       "scales of float8 rows: float32, or powers of two, four in an int32"},
      {"scale-order",
       {"row", "column"},
       "memory of scales: a row's beside each other, or a column's, as "
       "[columns, "
       "rows], in expert_slots [experts, columns, capacity]"},
      {"layout",
       {"expert_major", "rank_major", "expert_slots"},
       "how dispatch leaves rows: by expert, once per token and rank with "
       "local "
       "ids and weights beside them, or in a fixed number of slots per expert"},
      {"overflow",
       {"error", "drop"},
       "what becomes of rows that an expert has no slot for: the dispatch "
       "fails "
       "on all ranks, or they are dropped, and told as kept_ids"},
      {"ids-out",
       {"local", "global"},
       "ids beside rows in the layout rank_major: numbers of the rank's own "
       "experts, -1 for all others, or as the router gives them"},
      {"placement",
       {"block", "table"},
       "how experts are laid over ranks: in blocks, or by a table that every "
       "dispatch takes, which --redundant implies"},
      {"ids", {"i32", "i64"}, "integers that hold an expert's id"},
      {"form",
       {"fused", "unfused"},
       "dispatch and combine, or permute and all_to_all as a framework runs "
       "them"}};
  return flags;
}

/// "bf16|f16|f32".
static std::string alternatives(const std::vector<std::string> &choices) {
  std::string text;
  for (const std::string &choice : choices)
    text += (text.empty() ? "" : "|") + choice;
  return text;
}

static po::options_description describeFlags() {
  po::options_description flags("Flags");
  auto add = flags.add_options();
  auto argument = [](const char *name) {
    return po::value<std::string>()->value_name(name);
  };
  add("name", argument("N"),
      "the model's name, a C identifier; default with --hf: its model_type");
  for (const IntegerFlag &flag : integerFlags())
    add(flag.name, argument("INT"), flag.help);
  // The description owns the strings that it is given.
  for (const ChoiceFlag &flag : choiceFlags())
    add(flag.name, argument(alternatives(flag.choices).c_str()), flag.help);
  add("unweighted", "combine adds rows as they are: dispatch takes no weights");
  add("bias", "combine adds a row, the same for all tokens, to its result");
  add("residual", "combine adds a tensor of tokens, such as a shared expert's "
                  "output, to its result");
  add("row-weights", "dispatch leaves each row's weight beside it, which is so "
                     "in any case in the layout rank_major");
  add("quantized-input",
      "tokens are of the float8 of --dispatch-dtype already; "
      "their scales, x_scales, travel beside them");
  add("ready", "dispatch counts rows as they arrive, for a consumer that runs "
               "beside it");
  add("hf", argument("FILE"),
      "take name, hidden, experts, topk and dtype from a Hugging Face "
      "config.json where no flag gives them");
  add("output,o", argument("FILE"),
      "write the module here; default: standard output");
  add("help,h", "print this and exit");
  add("version", "print the version and exit");
  return flags;
}

/// Reads the command line's words; Boost's own errors become usage errors.
static po::variables_map parseFlags(int argc, const char *const *argv,
                                    const po::options_description &flags) {
  namespace style = po::command_line_style;
  // No guessing: a flag that is added later must not change what an abbreviated
  // one means.
  int flagStyle = style::default_style & ~style::allow_guessing;
  po::variables_map given;
  try {
    po::parsed_options parsed = po::command_line_parser(argc, argv)
                                    .options(flags)
                                    .style(flagStyle)
                                    .run();
    for (const po::option &option : parsed.options)
      if (option.position_key >= 0)
        throw Error(Error::BadUsage, "expected only flags, got " +
                                         inQuotes(option.value.front()) +
                                         "; see fusco-import --help");
    po::store(parsed, given);
  } catch (const po::error &error) {
    throw Error(Error::BadUsage,
                std::string(error.what()) + "; see fusco-import --help");
  }
  return given;
}

static std::string textOf(const po::variables_map &given, const char *flag) {
  return given[flag].as<std::string>();
}

static std::string choose(const po::variables_map &given,
                          const ChoiceFlag &flag) {
  if (!given.count(flag.name))
    return flag.choices.front();
  std::string text = textOf(given, flag.name);
  for (const std::string &choice : flag.choices)
    if (text == choice)
      return choice;
  throw Error(Error::BadUsage, "expected --" + std::string(flag.name) +
                                   " to be " + alternatives(flag.choices) +
                                   ", got " + inQuotes(text));
}

static int64_t parseInteger(const std::string &text, const std::string &flag) {
  int64_t value = 0;
  const char *end = text.data() + text.size();
  auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (failure == std::errc::result_out_of_range)
    throw Error(Error::BadInput, "expected " + flag +
                                     " to be an integer of 64 bits, got " +
                                     inQuotes(text));
  if (failure != std::errc() || stop != end)
    throw Error(Error::BadUsage, "expected " + flag +
                                     " to be an integer, got " +
                                     inQuotes(text));
  return value;
}

static bool isIdentifier(const std::string &text) {
  auto isLetter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  auto isDigit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || isDigit(text.front()))
    return false;
  for (char c : text)
    if (!isLetter(c) && !isDigit(c))
      return false;
  return true;
}

/// The name becomes the prefix of C symbols and a field of the library.
static void checkName(const std::string &name, const std::string &where,
                      Error::Kind kind) {
  constexpr size_t maxBytes = 63; // FUSCO_NAME_BYTES with its end
  if (!isIdentifier(name) || name.size() > maxBytes)
    throw Error(kind, "expected " + where +
                          " to be a C identifier of at most " +
                          std::to_string(maxBytes) + " characters, got " +
                          inQuotes(name));
  if (name == "fusco" || name.compare(0, 6, "fusco_") == 0)
    throw Error(kind, "expected " + where +
                          " to be other than the runtime's own prefix, got " +
                          inQuotes(name));
}

/// --name, or else the config's model_type.
static std::string readName(const po::variables_map &given,
                            const std::optional<HuggingFaceConfig> &config) {
  if (given.count("name")) {
    std::string name = textOf(given, "name");
    checkName(name, "--name", Error::BadUsage);
    return name;
  }
  auto found = config->string(ConfigFact::ModelType);
  if (!found)
    throw Error(Error::BadInput, "expected --name, or 'model_type' in " +
                                     inQuotes(textOf(given, "hf")) +
                                     "; got neither");
  // Such as "gpt-oss": a name for people.
  std::string name = found->value;
  for (char &c : name)
    if (c == '-' || c == '.')
      c = '_';
  checkName(name, found->where, Error::BadInput);
  return name;
}

/// --dtype, or else the config's.
static std::string readDtype(const po::variables_map &given,
                             const std::optional<HuggingFaceConfig> &config,
                             const std::string &chosen) {
  if (given.count("dtype") || !config)
    return chosen;
  auto found = config->string(ConfigFact::Dtype);
  if (!found)
    return chosen;
  static const std::map<std::string, std::string> dtypes = {
      {"bfloat16", "bf16"}, {"float16", "f16"}, {"float32", "f32"}};
  auto dtype = dtypes.find(found->value);
  if (dtype == dtypes.end())
    throw Error(Error::BadInput,
                "expected " + found->where +
                    " to be bfloat16, float16 or float32, got " +
                    inQuotes(found->value) + "; give --dtype");
  return dtype->second;
}

/// What belongs to the layout.
static void checkLayout(const po::variables_map &given,
                        const std::string &layout, const ModelShape &shape) {
  bool hasSlots = layout == "expert_slots";
  if (!hasSlots && given.count("capacity"))
    throw Error(Error::BadInput, "--capacity belongs to --layout expert_slots; "
                                 "expected it with that only");
  if (!hasSlots && given.count("overflow"))
    throw Error(Error::BadInput, "--overflow belongs to --layout expert_slots; "
                                 "expected it with that only");
  if (layout != "rank_major" && given.count("ids-out"))
    throw Error(Error::BadInput, "--ids-out belongs to --layout rank_major; "
                                 "expected it with that only");
  for (const char *flag : {"row-weights", "ready"})
    if (given.count(flag) && (layout == "rank_major" || !shape.isFused))
      throw Error(Error::BadInput, "--" + std::string(flag) +
                                       " belongs to --form fused with --layout "
                                       "expert_major or expert_slots; "
                                       "expected it with these only");
  if (layout == "expert_major")
    return;
  if (hasSlots && !given.count("capacity"))
    throw Error(Error::BadUsage,
                "expected --capacity, the rows that an expert has room for, "
                "with --layout expert_slots; got none");
  if (given.count("align"))
    throw Error(Error::BadInput, "--align belongs to --layout expert_major; "
                                 "expected it with that only");
  if (!shape.isFused)
    throw Error(Error::BadInput, "--form unfused leaves rows expert-major; "
                                 "expected --form fused with --layout " +
                                     layout);
}

/// What belongs to a table that places experts.
static void checkTable(const po::variables_map &given, ModelShape &shape) {
  bool isGiven = given.count("placement");
  bool isTable = isGiven && textOf(given, "placement") == "table";
  if (isGiven && !isTable && shape.redundant > 0)
    throw Error(Error::BadInput, "--redundant belongs to --placement table; "
                                 "expected it with that only");
  shape.hasTable = isTable || shape.redundant > 0;
  if (shape.hasTable && !shape.isFused)
    throw Error(Error::BadInput, "--form unfused places experts in blocks; "
                                 "expected --form fused with a table");
  if (shape.hasTable && shape.isRankMajor)
    throw Error(Error::BadInput,
                "--layout rank_major places experts in blocks; expected "
                "expert_major or expert_slots with a table");
}

/// What belongs to float8 rows: their scales.
static void checkScales(const po::variables_map &given, ModelShape &shape) {
  shape.isInputQuantized = given.count("quantized-input");
  if (shape.isInputQuantized && !shape.isQuantized())
    throw Error(Error::BadInput,
                "--quantized-input belongs to float8 rows that are dispatched; "
                "expected it beside --dispatch-dtype f8E4M3FN or f8E5M2");
  if (given.count("scale-order") && !shape.isQuantized())
    throw Error(Error::BadInput,
                "--scale-order belongs to float8 rows that are dispatched; "
                "expected it beside --dispatch-dtype f8E4M3FN or f8E5M2");
  if (!shape.isQuantized() && !shape.combinesFloat8()) {
    for (const char *flag : {"scale-block", "scale-type"})
      if (given.count(flag))
        throw Error(Error::BadInput,
                    "--" + std::string(flag) +
                        " belongs to float8 rows; expected it beside "
                        "--dispatch-dtype or --combine-dtype f8E4M3FN or "
                        "f8E5M2");
    return;
  }
  if (shape.hasScalesByColumns && shape.isRankMajor)
    throw Error(Error::BadInput,
                "--layout rank_major has scales by row; expected expert_major "
                "or expert_slots with --scale-order column");
  if (!shape.isFused)
    throw Error(
        Error::BadInput,
        "--form unfused moves rows as they are or cast; expected --form "
        "fused with " +
            (shape.isQuantized() ? "--dispatch-dtype " + shape.dispatchDtype
                                 : "--combine-dtype " + shape.combineDtype));
  constexpr int64_t usualBlock = 128;
  if (shape.scaleBlock == 0)
    shape.scaleBlock = std::min(usualBlock, shape.hidden);
  if (shape.scaleBlock > shape.hidden)
    throw Error(Error::BadInput, "expected --scale-block to be from 1 to " +
                                     std::to_string(shape.hidden) +
                                     " (the hidden size), got " +
                                     std::to_string(shape.scaleBlock));
}

/// What belongs to the sum of a combine.
static void checkSum(const po::variables_map &given, ModelShape &shape) {
  shape.hasBias = given.count("bias");
  shape.hasResidual = given.count("residual");
  shape.isWeighted = !given.count("unweighted") && !shape.isRankMajor;
  if (given.count("unweighted") && shape.isRankMajor)
    throw Error(Error::BadInput, "--layout rank_major is combined without "
                                 "weights anyway; expected --unweighted with "
                                 "another layout only");
  if (shape.isFused)
    return;
  for (const char *flag : {"bias", "residual"})
    if (given.count(flag))
      throw Error(Error::BadInput,
                  "--form unfused adds nothing to combine's result; expected "
                  "--form fused with --" +
                      std::string(flag));
  if (shape.partials != "f32")
    throw Error(Error::BadInput, "--form unfused sums in float32; expected "
                                 "--form fused with --partials " +
                                     shape.partials);
}

/// Names every required flag that neither the command line nor a config can
/// give.
static void checkRequired(const po::variables_map &given) {
  bool hasConfig = given.count("hf");
  std::string missing;
  auto require = [&](const char *flag, bool isInConfig) {
    if (!given.count(flag) && !(isInConfig && hasConfig))
      missing += (missing.empty() ? "--" : ", --") + std::string(flag);
  };
  require("name", true);
  for (const IntegerFlag &flag : integerFlags())
    if (!flag.defaultValue)
      require(flag.name, flag.fact.has_value());
  if (!missing.empty())
    throw Error(Error::BadUsage,
                "expected " + missing + ", got none; see fusco-import --help");
}

static Sourced readInteger(const po::variables_map &given,
                           const std::optional<HuggingFaceConfig> &config,
                           const IntegerFlag &flag) {
  std::string name = "--" + std::string(flag.name);
  Sourced result{0, name};
  if (given.count(flag.name)) {
    result.value = parseInteger(textOf(given, flag.name), name);
  } else if (flag.fact && config) {
    auto found = config->integer(*flag.fact, name);
    result = {found.value, found.where};
  } else {
    return {*flag.defaultValue, name};
  }
  if (result.value < flag.min || result.value > flag.max)
    throw Error(Error::BadInput, "expected " + result.where + " to be from " +
                                     std::to_string(flag.min) + " to " +
                                     std::to_string(flag.max) + ", got " +
                                     std::to_string(result.value));
  return result;
}

std::optional<Options> fusco::importer::parseOptions(int argc,
                                                     const char *const *argv) {
  po::options_description flags = describeFlags();
  po::variables_map given = parseFlags(argc, argv, flags);
  if (given.count("help")) {
    std::cout << "usage: fusco-import [flags]\n\n"
                 "Writes the MLIR module of a mixture-of-experts shuffle from "
                 "a model's shape.\n\n"
              << flags;
    return std::nullopt;
  }
  if (given.count("version")) {
    std::cout << "fusco-import " FUSCO_VERSION "\n";
    return std::nullopt;
  }

  std::map<std::string, std::string> chosen;
  for (const ChoiceFlag &flag : choiceFlags())
    chosen[flag.name] = choose(given, flag);
  checkRequired(given);
  std::optional<HuggingFaceConfig> config;
  if (given.count("hf"))
    config.emplace(textOf(given, "hf"));

  Options options;
  options.output = given.count("output") ? textOf(given, "output") : "-";
  ModelShape &shape = options.shape;
  shape.name = readName(given, config);
  shape.dtype = readDtype(given, config, chosen["dtype"]);
  auto dtypeOf = [&](const char *flag) {
    return given.count(flag) ? chosen[flag] : shape.dtype;
  };
  shape.dispatchDtype = dtypeOf("dispatch-dtype");
  shape.combineDtype = dtypeOf("combine-dtype");
  shape.outDtype = dtypeOf("out-dtype");
  shape.partials = chosen["partials"];
  shape.idType = chosen["ids"];
  shape.isFused = chosen["form"] == "fused";
  shape.scaleType = chosen["scale-type"];
  shape.hasScalesByColumns = chosen["scale-order"] == "column";

  std::string topkWhere;
  for (const IntegerFlag &flag : integerFlags()) {
    Sourced integer = readInteger(given, config, flag);
    shape.*flag.field = integer.value;
    if (flag.field == &ModelShape::topk)
      topkWhere = integer.where;
  }
  if (shape.topk > shape.experts)
    throw Error(Error::BadInput, "expected " + topkWhere + " to be from 1 to " +
                                     std::to_string(shape.experts) +
                                     " (the number of experts), got " +
                                     std::to_string(shape.topk));
  shape.isRankMajor = chosen["layout"] == "rank_major";
  shape.dropsOverflow = chosen["overflow"] == "drop";
  shape.hasGlobalIds = chosen["ids-out"] == "global";
  shape.hasRowWeights = given.count("row-weights");
  shape.hasReady = given.count("ready");
  checkLayout(given, chosen["layout"], shape);
  checkTable(given, shape);
  checkSum(given, shape);
  checkScales(given, shape);
  return options;
}
