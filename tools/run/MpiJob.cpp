//===- MpiJob.cpp - The processes of the MPI baseline ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Ranks open this process's memory through /proc, so that no file is left
/// behind. mpirun, which cleans up after itself, gets SIGTERM when the job is
/// over, when a signal ends this process, and from the kernel when anything
/// else does.
//
//===----------------------------------------------------------------------===//
#include "tools/run/MpiJob.h"

#include "tools/common/Error.h"
#include "tools/common/Output.h"
#include "tools/run/Guardian.h"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace fusco::run {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t startTimeoutMs = 60000;
/// How often the job is looked at while it is waited for.
constexpr int64_t lookNs = 50000000;
constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP};

std::atomic<pid_t> guardian{0}; ///< of mpirun, 0 if there is no job

/// How mpirun and the ranks run; the fastest of what was tried, see
/// tools/baseline/README.md. What the caller's environment says stands.
struct Setting {
  const char *name, *value;
};
constexpr Setting settings[] = {
    {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
    {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
    {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
    {"OMPI_MCA_mpi_yield_when_idle", "1"},
    {"OMPI_MCA_pml", "ob1"},
    {"OMPI_MCA_btl", "self,vader"},
    {"OMPI_MCA_btl_vader_single_copy_mechanism", "cma"},
};

/// Where ranks outnumber processors, they stay on one, as fusco-run's do.
const char *bindingOf(int numRanks) {
  cpu_set_t allowed;
  const bool areCrowded = sched_getaffinity(0, sizeof allowed, &allowed) == 0 &&
                          numRanks > CPU_COUNT(&allowed);
  return areCrowded ? "core:overload-allowed" : "none";
}

/// Ends the job if there is one. A signal's handler may call it.
void stopJob() {
  if (const pid_t process = guardian.exchange(0); process > 0)
    stopGuarded(process);
}

extern "C" void stopAndExit(int signal) {
  stopJob();
  _exit(128 + signal);
}

int makeMemory() {
  const int file = memfd_create("fusco-run", MFD_CLOEXEC);
  if (file < 0)
    throw Error(
        fmt::format("cannot make shared memory: {}", std::strerror(errno)));
  return file;
}

/// The program beside this one.
std::string findProgram() {
  const auto program =
      std::filesystem::canonical("/proc/self/exe").parent_path() /
      "fusco-mpi-baseline";
  if (access(program.c_str(), X_OK) != 0)
    throw Error(fmt::format("--baseline mpi: cannot find '{}'; install "
                            "libopenmpi-dev and openmpi-bin, then configure "
                            "and build again",
                            program.string()));
  return program;
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

MpiJob::MpiJob(const baseline::Shape &shape, int64_t timeoutMs)
    : timeoutMs(timeoutMs), memory(makeMemory()), output(makeMemory()),
      box(baseline::Mailbox::create(memory, shape)) {
  if (!box)
    throw Error(
        fmt::format("cannot make shared memory: {}", std::strerror(errno)));
  start();
  try {
    awaitAnswers("its start", startTimeoutMs);
    isIdle = true;
  } catch (...) {
    stopJob();
    throw;
  }
  if (const std::string warning = firstOfOutput(); !warning.empty())
    printToStderr("fusco-run: mpirun: " + warning);
}

MpiJob::~MpiJob() {
  if (isIdle)
    end();
  stopJob();
  close(memory);
  close(output);
}

/// Lets the ranks end by themselves, if they are quick.
void MpiJob::end() {
  give(baseline::Command::End);
  const auto deadline = Clock::now() + std::chrono::seconds(5);
  while (guardian != 0 && Clock::now() < deadline) {
    if (waitpid(guardian, nullptr, WNOHANG) != 0)
      guardian = 0;
    else
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void MpiJob::start() {
  for (const Setting &setting : settings)
    setenv(setting.name, setting.value, /*overwrite=*/0);
  setenv("OMPI_MCA_hwloc_base_binding_policy",
         bindingOf(box->shape().numRanks()), /*overwrite=*/0);
  guardian = startGuarded(
      {"mpirun", "-n", std::to_string(box->shape().numRanks()), findProgram(),
       fmt::format("/proc/{}/fd/{}", getpid(), memory)},
      output);
  struct sigaction action = {};
  action.sa_handler = stopAndExit;
  for (int signal : signals)
    sigaction(signal, &action, nullptr);
}

void MpiJob::give(baseline::Command command) {
  box->header().command = command;
  for (int rank = 0; rank != box->shape().numRanks(); ++rank) {
    box->rank(rank).hasAnswered = false;
    sem_post(&box->rank(rank).commanded);
  }
}

void MpiJob::run(baseline::Command command) {
  isIdle = false;
  give(command);
  awaitAnswers(nameOf(command), timeoutMs);
  isIdle = true;
}

void MpiJob::awaitAnswers(const std::string &what, int64_t timeoutMs) {
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
    throw Error(fmt::format("the MPI baseline did not end {} within {} ms: no "
                            "answer of rank {}",
                            what, timeoutMs, missing));
  }
}

void MpiJob::failAsEnded(const std::string &what, int status) {
  guardian = 0;
  if (WEXITSTATUS(status) == guardianCannotStart)
    throw Error("cannot start 'mpirun'; install openmpi-bin, or put Open "
                "MPI's mpirun on PATH");
  throw Error(fmt::format("the MPI baseline ended during {}: mpirun: exit code "
                          "{}: {}",
                          what, WEXITSTATUS(status), firstOfOutput()));
}

/// The line that says most of what mpirun and the ranks have printed.
std::string MpiJob::firstOfOutput() const {
  std::ifstream file(fmt::format("/proc/self/fd/{}", output));
  std::string first;
  for (std::string line; std::getline(file, line);) {
    for (const char *cause : {"fusco-mpi-baseline: error:", "mpirun noticed"})
      if (line.find(cause) != std::string::npos)
        return line;
    if (first.empty() && line.find_first_not_of("- ") != std::string::npos)
      first = line;
  }
  return first;
}

} // namespace fusco::run
