//===- HuggingFaceConfig.cpp - A model's config.json ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Table-driven lookup: a new family is a new key in factKeys().
///
//===----------------------------------------------------------------------===//

#include "tools/import/HuggingFaceConfig.h"

#include "tools/import/Error.h"

#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

using namespace fusco::importer;
using nlohmann::json;

/// The keys that hold \p fact, in order of preference.
static const std::vector<const char *> &factKeys(ConfigFact fact) {
  static const std::vector<const char *> hidden = {"hidden_size", "d_model"};
  static const std::vector<const char *> experts = {
      "n_routed_experts",  // DeepSeek, Kimi, GLM
      "num_experts",       // Qwen, OLMoE
      "num_local_experts", // Mixtral, GPT-OSS, Llama 4, MiniMax, Phi
      "moe_num_experts"};  // ERNIE, Step
  static const std::vector<const char *> topk = {
      "num_experts_per_tok", // nearly all
      "experts_per_token",   // GPT-OSS's older files
      "moe_topk",            // Hunyuan
      "moe_top_k",           // Step
      "moe_k"};              // ERNIE
  static const std::vector<const char *> modelType = {"model_type"};
  static const std::vector<const char *> dtype = {"dtype", "torch_dtype"};
  switch (fact) {
  case ConfigFact::Hidden:
    return hidden;
  case ConfigFact::Experts:
    return experts;
  case ConfigFact::TopK:
    return topk;
  case ConfigFact::ModelType:
    return modelType;
  case ConfigFact::Dtype:
    return dtype;
  }
  throw std::logic_error("unknown ConfigFact");
}

HuggingFaceConfig::HuggingFaceConfig(const std::string &path) : path(path) {
  // Real files have some kilobytes. The bound keeps a wrong path, such as a
  // checkpoint or a device, from filling the memory.
  constexpr size_t maxBytes = size_t(16) << 20;

  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    throw Error(Error::BadInput, "expected --hf to name a config.json, got " +
                                     inQuotes(path) + ", which is a directory");
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw Error(Error::BadInput,
                "cannot read " + inQuotes(path) + ": " + std::strerror(errno));
  std::string text(maxBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > maxBytes)
    throw Error(Error::BadInput, "expected " + inQuotes(path) +
                                     " to be a config.json, got more than " +
                                     std::to_string(maxBytes) + " bytes");
  try {
    root = json::parse(text);
  } catch (const json::exception &error) {
    // Syntax, or a number beyond double. Drop the library's
    // "[json.exception.parse_error.101] ".
    std::string reason = error.what();
    throw Error(Error::BadInput, "expected " + inQuotes(path) +
                                     " to hold JSON, got a " +
                                     reason.substr(reason.find("] ") + 2));
  }
  if (!root.is_object())
    throw Error(Error::BadInput, "expected " + inQuotes(path) +
                                     " to hold a JSON object, got " +
                                     root.type_name());
}

/// The top level of \p root, then each `text_config` below it, outer ones
/// first.
static std::vector<const json *> languageModelConfigs(const json &root) {
  std::vector<const json *> configs = {&root};
  // A queue, not recursion: a file's nesting has no bound.
  std::deque<const json *> pending = {&root};
  while (!pending.empty()) {
    const json &object = *pending.front();
    pending.pop_front();
    for (const auto &[key, value] : object.items()) {
      if (!value.is_object())
        continue;
      if (key == "text_config")
        configs.push_back(&value);
      pending.push_back(&value);
    }
  }
  return configs;
}

std::optional<HuggingFaceConfig::Found<json>>
HuggingFaceConfig::find(ConfigFact fact) const {
  for (const json *config : languageModelConfigs(root))
    for (const char *key : factKeys(fact)) {
      auto it = config->find(key);
      // Files written from a config class hold null for what a model lacks.
      if (it != config->end() && !it->is_null())
        return Found<json>{*it,
                           "'" + std::string(key) + "' of " + inQuotes(path)};
    }
  return std::nullopt;
}

HuggingFaceConfig::Found<int64_t>
HuggingFaceConfig::integer(ConfigFact fact, const std::string &flag) const {
  std::optional<Found<json>> found = find(fact);
  if (!found) {
    std::string keys;
    for (const char *key : factKeys(fact))
      keys += (keys.empty() ? "'" : ", '") + std::string(key) + "'";
    throw Error(Error::BadInput, "expected one of the keys " + keys + " in " +
                                     inQuotes(path) +
                                     " (top level or text_config), got none "
                                     "of them; give " +
                                     flag);
  }
  const json &value = found->value;
  bool isTooLarge =
      value.is_number_unsigned() &&
      value.get<uint64_t>() > uint64_t(std::numeric_limits<int64_t>::max());
  if (!value.is_number_integer() || isTooLarge)
    throw Error(Error::BadInput, "expected " + found->where +
                                     " to be an integer, got " + shown(value));
  return {value.get<int64_t>(), found->where};
}

std::optional<HuggingFaceConfig::Found<std::string>>
HuggingFaceConfig::string(ConfigFact fact) const {
  std::optional<Found<json>> found = find(fact);
  if (!found)
    return std::nullopt;
  if (!found->value.is_string())
    throw Error(Error::BadInput, "expected " + found->where +
                                     " to be a string, got " +
                                     shown(found->value));
  return Found<std::string>{found->value.get<std::string>(), found->where};
}
