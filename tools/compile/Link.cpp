//===- Link.cpp - From object code to a shared library --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Link.h.
///
//===----------------------------------------------------------------------===//

#include "tools/compile/Link.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

using namespace fusco::compile;

namespace {
/// An archive of the runtime.
struct Archive {
  llvm::StringRef name;
  llvm::StringRef built; ///< where it was built
  llvm::StringRef hint;  ///< how to build it
};
} // namespace

static constexpr Archive plainArchive{
    "libfusco_runtime.a", FUSCO_RUNTIME_ARCHIVE, "ninja fusco_runtime"};
static constexpr Archive sanitizedArchive{
    "libfusco_runtime_tsan.a", FUSCO_TSAN_RUNTIME_ARCHIVE,
    "cmake --preset runtime-tsan && cmake --build build-tsan"};

/// The path of \p archive: beside this program in an installed or moved tree,
/// else where it was built.
static llvm::Expected<std::string> findRuntime(const Archive &archive) {
  static int anchor;
  std::string program =
      llvm::sys::fs::getMainExecutable("fusco-compile", &anchor);
  llvm::SmallString<128> beside(llvm::sys::path::parent_path(program));
  llvm::sys::path::append(beside, "..", "lib", archive.name);
  for (llvm::StringRef path : {beside.str(), archive.built})
    if (llvm::sys::fs::exists(path))
      return path.str();
  return llvm::createStringError("cannot find the runtime, " + archive.name +
                                 ", in '" + beside + "' or '" + archive.built +
                                 "'; build it with: " + archive.hint);
}

/// What the library exports: see runtime/runtime.map.
static llvm::Expected<std::string> writeVersionScript(OutputFiles &files,
                                                      llvm::StringRef model) {
  llvm::Expected<std::string> path = files.openScratch("map");
  if (!path)
    return path;
  std::error_code error;
  llvm::raw_fd_ostream out(*path, error);
  out << "{ global: fusco_*; " << model << "_*; local: *; };\n";
  return path;
}

/// The first line of the file \p path that speaks of an error.
static std::string firstErrorLine(llvm::StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return "";
  llvm::SmallVector<llvm::StringRef> lines;
  (*buffer)->getBuffer().split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef line : lines)
    if (line.contains("error") || line.contains("undefined"))
      return line.str();
  return lines.empty() ? "" : lines.front().str();
}

llvm::Error
fusco::compile::linkLibrary(OutputFiles &files, llvm::StringRef linker,
                            llvm::StringRef model, llvm::StringRef object,
                            llvm::StringRef library, bool sanitizeThread) {
  llvm::ErrorOr<std::string> program = llvm::sys::findProgramByName(linker);
  if (!program)
    return llvm::createStringError("cannot find the linker '" + linker +
                                   "'; install g++ or name another with "
                                   "--linker");
  llvm::Expected<std::string> runtime =
      findRuntime(sanitizeThread ? sanitizedArchive : plainArchive);
  if (!runtime)
    return runtime.takeError();
  llvm::Expected<std::string> script = writeVersionScript(files, model);
  if (!script)
    return script.takeError();
  llvm::Expected<std::string> log = files.openScratch("log");
  if (!log)
    return log.takeError();

  std::string versionScript = "-Wl,--version-script=" + *script;
  llvm::SmallVector<llvm::StringRef> arguments{
      *program, "-shared", "-o", library, object,
      // The host calls what generated code does not.
      "-Wl,--whole-archive", *runtime, "-Wl,--no-whole-archive",
      // Calls inside the library stay inside, whatever else is loaded.
      "-Wl,-Bsymbolic", versionScript, "-Wl,--gc-sections", "-static-libstdc++",
      "-static-libgcc", "-pthread"};
  // ThreadSanitizer is the process's, and its reports name functions.
  if (!sanitizeThread)
    arguments.append({"-Wl,--no-undefined", "-Wl,-s"});
  std::optional<llvm::StringRef> redirects[] = {
      std::nullopt, llvm::StringRef(*log), llvm::StringRef(*log)};
  std::string message;
  int code = llvm::sys::ExecuteAndWait(*program, arguments, std::nullopt,
                                       redirects, /*SecondsToWait=*/120,
                                       /*MemoryLimit=*/0, &message);
  if (code != 0)
    return llvm::createStringError(
        "linking with '" + linker +
        "' failed: " + (message.empty() ? firstErrorLine(*log) : message));
  return llvm::Error::success();
}
