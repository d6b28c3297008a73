//===- Output.cpp - Where tools write -------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Standard output, atomic files, progress and the signals that belong to them.
//
//===----------------------------------------------------------------------===//
#include "tools/common/Output.h"

#include "tools/common/Error.h"

#include <boost/timer/progress_display.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <sys/stat.h>
#include <unistd.h>

namespace fusco {
namespace {

extern "C" void exitInterrupted(int) { _exit(130); }

/// Keeps SIGINT from ending the process while a temporary file exists.
class InterruptBlocker {
public:
  InterruptBlocker() {
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, &before);
  }
  ~InterruptBlocker() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }

private:
  sigset_t before;
};

[[noreturn]] void failToWrite(const std::string &path) {
  throw Error(fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
}

/// Writes all of \p text to a new or existing file; false with errno set if it
/// cannot.
bool writeFile(const std::string &path, int flags, const std::string &text) {
  int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
  if (file < 0)
    return false;
  size_t written = 0;
  while (written != text.size()) {
    ssize_t count = write(file, text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0) {
      int reason = errno;
      close(file);
      errno = reason;
      return false;
    }
    written += size_t(count);
  }
  return close(file) == 0;
}

bool isSpecialFile(const std::string &path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) &&
         !S_ISDIR(status.st_mode);
}

/// The file behind symbolic links: it is what gets replaced, not the link.
std::string resolved(const std::string &path) {
  std::error_code ignored;
  std::string target = std::filesystem::canonical(path, ignored).string();
  return target.empty() ? path : target;
}

std::string temporaryFor(const std::string &path) {
  return fmt::format("{}.tmp{}", path, getpid());
}

} // namespace

void prepareProcess() {
  for (int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(file, F_GETFD) == -1)
      open("/dev/null", O_RDONLY); // takes the lowest free number: this one
  std::signal(SIGPIPE, SIG_IGN);
  struct sigaction action = {};
  action.sa_handler = exitInterrupted;
  sigaction(SIGINT, &action, nullptr);
}

void printToStdout(const std::string &text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
      std::fflush(stdout) != 0)
    throw Error(fmt::format("cannot write to standard output: {}",
                            std::strerror(errno)));
}

void printToStderr(const std::string &line) {
  // There is nowhere left to report a failure to.
  std::fputs((line + "\n").c_str(), stderr);
}

void requireWritable(const std::string &path) {
  if (isSpecialFile(path)) {
    if (access(path.c_str(), W_OK) != 0)
      failToWrite(path);
    return;
  }
  std::string target = resolved(path);
  if (path.empty() || std::filesystem::is_directory(target)) {
    errno = path.empty() ? ENOENT : EISDIR;
    failToWrite(path);
  }
  InterruptBlocker blocker;
  std::string temporary = temporaryFor(target);
  if (!writeFile(temporary, O_EXCL, ""))
    failToWrite(path);
  unlink(temporary.c_str());
}

void writeAtomically(const std::string &path, const std::string &text) {
  if (isSpecialFile(path)) {
    if (!writeFile(path, 0, text))
      failToWrite(path);
    return;
  }
  InterruptBlocker blocker;
  std::string target = resolved(path);
  std::string temporary = temporaryFor(target);
  if (!writeFile(temporary, O_EXCL, text) ||
      std::rename(temporary.c_str(), target.c_str()) != 0) {
    int reason = errno;
    unlink(temporary.c_str());
    errno = reason;
    failToWrite(path);
  }
}

struct Progress::Bar {
  explicit Bar(uint64_t steps) : display(steps, std::cerr, "", "", "") {}
  boost::timer::progress_display display;
};

Progress::Progress(const std::string &stage, uint64_t steps, bool isShown) {
  if (!isShown)
    return;
  printToStderr(program_invocation_short_name + (": " + stage));
  if (isatty(STDERR_FILENO) && steps != 0)
    bar = std::make_unique<Bar>(steps);
}

Progress::~Progress() = default;

void Progress::advance() {
  if (bar)
    ++bar->display;
}

} // namespace fusco
