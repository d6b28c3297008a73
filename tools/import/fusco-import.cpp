//===- fusco-import.cpp - From a model's shape to a module ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Writes the module of a model's shuffle from its shape or its config.json.
/// What it writes has been parsed, verified and printed by the dialect itself.
///
//===----------------------------------------------------------------------===//

#include "dialect/FuscoDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "tools/import/Error.h"
#include "tools/import/ModuleText.h"
#include "tools/import/Options.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <unistd.h>

using namespace fusco::importer;

/// The module of \p shape, verified, in canonical syntax.
static std::string canonicalModule(const ModelShape &shape) {
  mlir::MLIRContext context;
  context.loadDialect<fusco::FuscoDialect, mlir::func::FuncDialect>();

  // Parsing refuses what no flag alone shows, such as more rows on a rank than
  // slots have numbers. The first diagnostic is the cause.
  std::string reason;
  mlir::ScopedDiagnosticHandler handler(&context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          if (reason.empty())
                                            reason = diagnostic.str();
                                          return mlir::success();
                                        });
  auto module =
      mlir::parseSourceString<mlir::ModuleOp>(moduleText(shape), &context);
  if (!module)
    throw Error(Error::BadInput,
                "cannot make a module of this shape: " + reason);
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream);
  return text;
}

/// Writes \p text and reports what the system says of it.
static std::error_code writeAll(int fd, const std::string &text) {
  llvm::raw_fd_ostream stream(fd, /*shouldClose=*/false);
  stream << text;
  stream.flush();
  std::error_code error = stream.error();
  stream.clear_error(); // else its destructor ends the process
  return error;
}

/// Writes \p text to \p path, "-" being standard output. A regular file is
/// there whole or not at all: it is written under another name and renamed.
static std::error_code writeOutput(const std::string &path,
                                   const std::string &text) {
  namespace fs = llvm::sys::fs;
  if (path == "-")
    return writeAll(STDOUT_FILENO, text);
  if (fs::exists(path) && !fs::is_regular_file(path)) {
    // A device or a pipe must not be replaced by a file.
    int fd = -1;
    if (std::error_code error =
            fs::openFileForWrite(path, fd, fs::CD_OpenExisting, fs::OF_None))
      return error;
    std::error_code written = writeAll(fd, text);
    std::error_code closed = fs::closeFile(fd)
                                 ? std::make_error_code(std::errc::io_error)
                                 : std::error_code();
    return written ? written : closed;
  }
  // Through symbolic links, so that they stay: /dev/stdout is one.
  llvm::SmallString<128> target(path);
  if (fs::exists(path))
    if (std::error_code error = fs::real_path(path, target))
      return error;
  auto file =
      fs::TempFile::create(target + ".%%%%%%%%", fs::all_read | fs::all_write);
  if (!file)
    return llvm::errorToErrorCode(file.takeError());
  if (std::error_code error = writeAll(file->FD, text)) {
    llvm::consumeError(file->discard());
    return error;
  }
  return llvm::errorToErrorCode(file->keep(target));
}

int main(int argc, char **argv) {
  try {
    std::optional<Options> options = parseOptions(argc, argv);
    if (!options)
      return 0;
    std::string text = canonicalModule(options->shape);
    if (std::error_code error = writeOutput(options->output, text))
      throw Error(Error::BadInput,
                  "cannot write " +
                      (options->output == "-" ? "standard output"
                                              : inQuotes(options->output)) +
                      ": " + error.message());
    return 0;
  } catch (const Error &error) {
    llvm::errs() << "fusco-import: error: " << error.what() << '\n';
    return error.exitCode();
  }
}
