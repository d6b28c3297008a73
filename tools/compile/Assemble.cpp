//===- Assemble.cpp - From PTX to the code of one GPU ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Assemble.h.
///
//===----------------------------------------------------------------------===//

#include "tools/compile/Assemble.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

using namespace fusco::compile;

llvm::Expected<std::string> fusco::compile::findPtxas(llvm::StringRef asked) {
  if (!asked.empty()) {
    if (llvm::ErrorOr<std::string> path = llvm::sys::findProgramByName(asked))
      return *path;
    return llvm::createStringError("cannot find '" + asked +
                                   "', which --ptxas names");
  }
  llvm::SmallVector<std::string> folders;
  if (std::optional<std::string> home = llvm::sys::Process::GetEnv("CUDA_HOME"))
    folders.push_back(*home + "/bin");
  folders.push_back("/usr/local/cuda/bin");
  llvm::SmallVector<llvm::StringRef> further(folders.begin(), folders.end());
  for (llvm::ArrayRef<llvm::StringRef> where :
       {llvm::ArrayRef<llvm::StringRef>(),
        llvm::ArrayRef<llvm::StringRef>(further)})
    if (llvm::ErrorOr<std::string> path =
            llvm::sys::findProgramByName("ptxas", where))
      return *path;
  return std::string();
}

/// Writes \p text to a new file of files'.
static llvm::Expected<std::string>
writeScratch(OutputFiles &files, llvm::StringRef suffix, llvm::StringRef text) {
  llvm::Expected<std::string> path = files.openScratch(suffix);
  if (!path)
    return path;
  std::error_code error;
  llvm::raw_fd_ostream out(*path, error);
  out << text;
  out.close();
  if (out.has_error())
    return llvm::createStringError("cannot write '" + *path +
                                   "': " + out.error().message());
  return path;
}

static llvm::Expected<std::string> readAll(llvm::StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::createStringError("cannot read '" + path +
                                   "': " + buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

/// The number before \p what in \p line; 0 if there is none.
static int64_t numberBefore(llvm::StringRef line, llvm::StringRef what) {
  size_t at = line.find(what);
  if (at == llvm::StringRef::npos)
    return 0;
  llvm::StringRef number = line.take_front(at).rtrim();
  number = number.substr(number.find_last_not_of("0123456789") + 1);
  int64_t value = 0;
  number.getAsInteger(10, value);
  return value;
}

/// Reads what `ptxas -v` prints: of each function its spills, of each kernel
/// its registers. A kernel's functions have its name, '$' and more.
static llvm::StringMap<KernelUsage> readUsage(llvm::StringRef log) {
  llvm::StringMap<KernelUsage> kernels;
  llvm::StringMap<int64_t> spillBytes;
  llvm::StringRef kernel, function;
  llvm::SmallVector<llvm::StringRef> lines;
  log.split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef line : lines) {
    llvm::StringRef rest = line;
    if (rest.consume_front("ptxas info    : Compiling entry function '"))
      kernel = rest.take_until([](char c) { return c == '\''; });
    else if (rest.consume_front("ptxas info    : Function properties for "))
      function = rest.trim();
    else if (rest.contains("bytes spill stores"))
      spillBytes[function] = numberBefore(rest, " bytes spill stores") +
                             numberBefore(rest, " bytes spill loads");
    else if (rest.contains(" registers"))
      kernels[kernel].registers = numberBefore(rest, " registers");
  }
  for (auto &entry : kernels)
    for (auto &spills : spillBytes) {
      llvm::StringRef name = spills.getKey();
      if (name.consume_front(entry.getKey()) &&
          (name.empty() || name.starts_with("$team")))
        entry.getValue().spillBytes += spills.getValue();
    }
  return kernels;
}

llvm::Expected<Assembled> fusco::compile::assemble(OutputFiles &files,
                                                   llvm::StringRef ptxas,
                                                   llvm::StringRef chip,
                                                   llvm::StringRef ptx) {
  llvm::Expected<std::string> source = writeScratch(files, "ptx", ptx);
  if (!source)
    return source.takeError();
  llvm::Expected<std::string> code = files.openScratch("cubin");
  if (!code)
    return code.takeError();
  llvm::Expected<std::string> log = files.openScratch("log");
  if (!log)
    return log.takeError();
  std::string arch = ("-arch=" + chip).str();
  llvm::SmallVector<llvm::StringRef> arguments{ptxas, arch,  "-v",
                                               "-o",  *code, *source};
  std::optional<llvm::StringRef> redirects[] = {
      std::nullopt, llvm::StringRef(*log), llvm::StringRef(*log)};
  std::string message;
  int status = llvm::sys::ExecuteAndWait(ptxas, arguments, std::nullopt,
                                         redirects, /*SecondsToWait=*/120,
                                         /*MemoryLimit=*/0, &message);
  llvm::Expected<std::string> said = readAll(*log);
  if (!said)
    return said.takeError();
  if (status != 0) {
    llvm::StringRef line = llvm::StringRef(*said).split('\n').first;
    return llvm::createStringError(
        "'" + ptxas + "' failed: " + (message.empty() ? line.str() : message));
  }
  Assembled result;
  llvm::Expected<std::string> cubin = readAll(*code);
  if (!cubin)
    return cubin.takeError();
  result.cubin = std::move(*cubin);
  result.kernels = readUsage(*said);
  return result;
}
