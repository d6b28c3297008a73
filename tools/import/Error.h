//===- Error.h - What fusco-import refuses ----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The one exception of fusco-import, and how user input stands in messages.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_IMPORT_ERROR_H
#define FUSCO_TOOLS_IMPORT_ERROR_H

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace fusco::importer {

/// Input that cannot be used. what() is one line that says what was expected
/// and what was got, without the tool's name in front.
class Error : public std::runtime_error {
public:
  enum Kind {
    BadInput = 1, ///< a value or a file
    BadUsage = 2  ///< the command line's form
  };
  Error(Kind kind, const std::string &message)
      : std::runtime_error(message), kind(kind) {}

  /// What the process exits with.
  int exitCode() const { return kind; }

private:
  Kind kind;
};

/// A JSON value as one line, shortened.
inline std::string shown(const nlohmann::json &value) {
  constexpr size_t maxBytes = 80;
  std::string text =
      value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() <= maxBytes ? text : text.substr(0, maxBytes) + "...";
}

/// \p text in single quotes, with control characters escaped, so that a message
/// stays one line whatever the user gave.
inline std::string inQuotes(const std::string &text) {
  std::string escaped = nlohmann::json(text).dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
  return "'" + escaped.substr(1, escaped.size() - 2) + "'";
}

} // namespace fusco::importer

#endif // FUSCO_TOOLS_IMPORT_ERROR_H
