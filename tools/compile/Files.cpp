//===- Files.cpp - Output files, whole or not at all ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Files.h.
///
//===----------------------------------------------------------------------===//

#include "tools/compile/Files.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"

using namespace fusco::compile;

static llvm::Error cannotWrite(llvm::StringRef path, std::error_code error) {
  return llvm::createStringError("cannot write '" + path +
                                 "': " + error.message());
}

OutputFiles::~OutputFiles() {
  for (File &file : files) {
    if (file.stream)
      file.stream->clear_error(); // else its destructor ends the process
    file.stream.reset();
    if (!file.temporary.empty())
      llvm::sys::fs::remove(file.temporary);
  }
  for (const std::string &path : scratch)
    llvm::sys::fs::remove(path);
}

llvm::Expected<llvm::raw_fd_ostream *> OutputFiles::open(llvm::StringRef path) {
  File file;
  file.path = path.str();
  std::error_code error;
  // What is not a regular file (a device, a pipe) cannot be replaced.
  if (path == "-" ||
      (llvm::sys::fs::exists(path) && !llvm::sys::fs::is_regular_file(path))) {
    file.stream = std::make_unique<llvm::raw_fd_ostream>(path, error);
    if (error)
      return cannotWrite(path, error);
  } else {
    int descriptor;
    llvm::SmallString<128> temporary;
    error = llvm::sys::fs::createUniqueFile(path + ".%%%%%%.tmp", descriptor,
                                            temporary, llvm::sys::fs::OF_None,
                                            0666);
    if (error)
      return cannotWrite(path, error);
    llvm::sys::RemoveFileOnSignal(temporary);
    file.temporary = temporary.str().str();
    file.stream = std::make_unique<llvm::raw_fd_ostream>(descriptor,
                                                         /*shouldClose=*/true);
  }
  files.push_back(std::move(file));
  return files.back().stream.get();
}

std::string OutputFiles::temporaryName(llvm::StringRef path) const {
  for (const File &file : files)
    if (file.path == path)
      return file.temporary;
  return path.str();
}

llvm::Expected<std::string> OutputFiles::openScratch(llvm::StringRef suffix) {
  llvm::SmallString<128> path;
  int descriptor;
  if (std::error_code error =
          llvm::sys::fs::createTemporaryFile("fusco", suffix, descriptor, path))
    return llvm::createStringError("cannot make a temporary file: " +
                                   error.message());
  llvm::raw_fd_ostream(descriptor, /*shouldClose=*/true);
  llvm::sys::RemoveFileOnSignal(path);
  scratch.push_back(path.str().str());
  return scratch.back();
}

llvm::Error OutputFiles::keep() {
  for (File &file : files) {
    file.stream->flush();
    if (std::error_code error = file.stream->error()) {
      file.stream->clear_error();
      return cannotWrite(file.path, error);
    }
    file.stream.reset();
  }
  for (File &file : files) {
    if (file.temporary.empty())
      continue;
    if (std::error_code error =
            llvm::sys::fs::rename(file.temporary, file.path))
      return cannotWrite(file.path, error);
    llvm::sys::DontRemoveFileOnSignal(file.temporary);
    file.temporary.clear();
  }
  return llvm::Error::success();
}
