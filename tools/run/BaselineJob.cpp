//===- BaselineJob.cpp - The processes of a baseline ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Ranks open this process's memory through /proc, so that no file is left
/// behind. The program, which cleans up after itself, gets SIGTERM when the job
/// is over, when a signal ends this process, and from the kernel when anything
/// else does.
//
//===----------------------------------------------------------------------===//
#include "tools/run/BaselineJob.h"

#include "tools/common/Error.h"
#include "tools/common/Output.h"
#include "tools/run/Guardian.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace fusco::run {
namespace {

using Clock = std::chrono::steady_clock;

/// How often the job is looked at while it is waited for.
constexpr int64_t lookNs = 50000000;
constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP};

/// Of each job there is, for a signal's handler.
std::atomic<pid_t> guardians[3];
constexpr pid_t taken = -1; ///< by a job whose program does not run

std::atomic<pid_t> &takeGuardian() {
  for (std::atomic<pid_t> &guardian : guardians)
    if (pid_t none = 0; guardian.compare_exchange_strong(none, taken))
      return guardian;
  throw Error("expected one job for each baseline, got more");
}

/// Ends the program of \p guardian if it runs. A signal's handler may call it.
void stopProgram(std::atomic<pid_t> &guardian) {
  if (const pid_t process = guardian.exchange(taken); process > 0)
    stopGuarded(process);
}

extern "C" void stopAndExit(int signal) {
  for (std::atomic<pid_t> &guardian : guardians)
    stopProgram(guardian);
  _exit(128 + signal);
}

int makeMemory() {
  const int file = memfd_create("fusco-run", MFD_CLOEXEC);
  if (file < 0)
    throw Error(
        fmt::format("cannot make shared memory: {}", std::strerror(errno)));
  return file;
}

const char *nameOf(baseline::Command command) {
  switch (command) {
  case baseline::Command::LoadTokens:
  case baseline::Command::LoadOutputs:
    return "loading";
  case baseline::Command::Dispatch:
    return "dispatch";
  case baseline::Command::Combine:
    return "combine";
  case baseline::Command::SaveRows:
  case baseline::Command::SaveResult:
    return "saving";
  case baseline::Command::End:
    break;
  }
  return "its end";
}

} // namespace

BaselineJob::BaselineJob(BaselineProgram started, const baseline::Shape &shape,
                         int64_t timeoutMs)
    : program(std::move(started)), timeoutMs(timeoutMs), memory(makeMemory()),
      output(makeMemory()), guardian(takeGuardian()),
      box(baseline::Mailbox::create(memory, shape)) {
  if (!box)
    throw Error(
        fmt::format("cannot make shared memory: {}", std::strerror(errno)));
  start();
  try {
    awaitAnswers("its start", program.startTimeoutMs);
    isIdle = true;
  } catch (...) {
    stopProgram(guardian);
    throw;
  }
  if (const std::string warning = firstOfOutput(); !warning.empty())
    printToStderr(
        fmt::format("fusco-run: {}: {}", program.command.front(), warning));
}

BaselineJob::~BaselineJob() {
  if (isIdle)
    end();
  stopProgram(guardian);
  guardian = 0;
  close(memory);
  close(output);
}

/// Lets the ranks end by themselves, if they are quick.
void BaselineJob::end() {
  give(baseline::Command::End);
  const auto deadline = Clock::now() + std::chrono::seconds(5);
  while (guardian != taken && Clock::now() < deadline) {
    if (waitpid(guardian, nullptr, WNOHANG) != 0)
      guardian = taken;
    else
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::string BaselineJob::path() const {
  return fmt::format("/proc/{}/fd/{}", getpid(), memory);
}

void BaselineJob::start() {
  std::vector<std::string> command = program.command;
  command.push_back(path());
  guardian = startGuarded(command, output);
  struct sigaction action = {};
  action.sa_handler = stopAndExit;
  for (int signal : signals)
    sigaction(signal, &action, nullptr);
}

void BaselineJob::give(baseline::Command command) {
  box->header().command = command;
  for (int rank = 0; rank != box->shape().numRanks(); ++rank) {
    box->rank(rank).hasAnswered = false;
    sem_post(&box->rank(rank).commanded);
  }
}

void BaselineJob::run(baseline::Command command) {
  isIdle = false;
  give(command);
  const bool mayCompile = command == baseline::Command::LoadTokens;
  awaitAnswers(nameOf(command),
               timeoutMs + (mayCompile ? program.compileTimeoutMs : 0));
  isIdle = true;
}

void BaselineJob::awaitAnswers(const std::string &what, int64_t timeoutMs) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeoutMs);
  const int numRanks = box->shape().numRanks();
  for (int numAnswers = 0; numAnswers != numRanks;) {
    timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += lookNs;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (sem_clockwait(&box->header().answered, CLOCK_MONOTONIC, &until) == 0) {
      ++numAnswers;
      continue;
    }
    int status;
    if (waitpid(guardian, &status, WNOHANG) != 0)
      failAsEnded(what, status);
    if (Clock::now() < deadline)
      continue;
    std::string missing;
    for (int rank = 0; rank != numRanks; ++rank)
      if (!box->rank(rank).hasAnswered)
        missing += fmt::format("{}{}", missing.empty() ? "" : ", ", rank);
    throw Error(fmt::format("the {} baseline did not end {} within {} ms: no "
                            "answer of rank {}",
                            program.title, what, timeoutMs, missing));
  }
}

void BaselineJob::failAsEnded(const std::string &what, int status) {
  guardian = taken;
  if (WEXITSTATUS(status) == guardianCannotStart)
    throw Error(program.cannotStart);
  throw Error(fmt::format("the {} baseline ended during {}: {}: exit code {}: "
                          "{}",
                          program.title, what, program.command.front(),
                          WEXITSTATUS(status), firstOfOutput()));
}

/// The line that says most of what the program has printed.
std::string BaselineJob::firstOfOutput() const {
  std::ifstream file(fmt::format("/proc/self/fd/{}", output));
  std::string first;
  for (std::string line; std::getline(file, line);) {
    for (const std::string &cause : program.causes)
      if (line.find(cause) != std::string::npos)
        return line;
    if (first.empty() && line.find_first_not_of("- ") != std::string::npos)
      first = line;
  }
  return first;
}

} // namespace fusco::run
