//===- Files.h - Output files, whole or not at all --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Outputs are collected under other names beside their places, and take them
/// only when everything has succeeded.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_COMPILE_FILES_H
#define FUSCO_TOOLS_COMPILE_FILES_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <string>
#include <vector>

namespace fusco::compile {

/// All outputs of one run. Removes what has not been kept.
class OutputFiles {
public:
  ~OutputFiles();

  /// Opens an output that will stand at \p path. The stream lives until
  /// keep().
  llvm::Expected<llvm::raw_fd_ostream *> open(llvm::StringRef path);
  /// The name under which the output for \p path is collected.
  std::string temporaryName(llvm::StringRef path) const;
  /// A temporary file that is never kept.
  llvm::Expected<std::string> openScratch(llvm::StringRef suffix);

  /// Moves every output to its place.
  llvm::Error keep();

private:
  struct File {
    std::string path, temporary;
    std::unique_ptr<llvm::raw_fd_ostream> stream;
  };
  std::vector<File> files;
  std::vector<std::string> scratch;
};

} // namespace fusco::compile

#endif // FUSCO_TOOLS_COMPILE_FILES_H
