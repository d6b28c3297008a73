//===- HuggingFaceConfig.h - A model's config.json --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Reads the few facts that a module needs from a Hugging Face config.json.
/// Families name the same fact differently, and multi-modal ones nest the
/// language model's facts in a `text_config`.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_IMPORT_HUGGINGFACECONFIG_H
#define FUSCO_TOOLS_IMPORT_HUGGINGFACECONFIG_H

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace fusco::importer {

/// The facts that a config can give.
enum class ConfigFact { Hidden, Experts, TopK, ModelType, Dtype };

class HuggingFaceConfig {
public:
  /// Reads \p path. Throws Error when there is no such file or no JSON object
  /// in it.
  explicit HuggingFaceConfig(const std::string &path);

  /// A value and where it was found, for messages about it.
  template <typename T> struct Found {
    T value;
    std::string where; ///< e.g. "'num_experts' of 'config.json'"
  };

  /// An integer fact. Throws Error when no key of it is there or when its value
  /// is no integer. \p flag is what to give in its place.
  Found<int64_t> integer(ConfigFact fact, const std::string &flag) const;

  /// A fact that is a string; none when no key of it is there. Throws Error
  /// when its value is no string.
  std::optional<Found<std::string>> string(ConfigFact fact) const;

private:
  std::optional<Found<nlohmann::json>> find(ConfigFact fact) const;

  std::string path;
  nlohmann::json root;
};

} // namespace fusco::importer

#endif // FUSCO_TOOLS_IMPORT_HUGGINGFACECONFIG_H
