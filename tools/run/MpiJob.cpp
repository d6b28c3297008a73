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

#include "tools/run/Error.h"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fusco::run {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t startTimeoutMs = 60000;
/// How often the job is looked at while it is waited for.
constexpr int64_t lookNs = 50000000;
constexpr int cannotExecute = 127;
constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP};

std::atomic<pid_t> mpirun{0}; ///< the job's, 0 if there is none

/// How mpirun and the ranks run. What the caller's environment says stands.
struct Setting {
  const char *name, *value;
};
constexpr Setting settings[] = {
    {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
    {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
    {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
    {"OMPI_MCA_hwloc_base_binding_policy", "none"},
    {"OMPI_MCA_mpi_yield_when_idle", "1"},
};

/// Waits for the end of \p process, but not long. Calls only what a signal's
/// handler may, as does stopMpirun().
bool hasEnded(pid_t process) {
  constexpr int numLooks = 500; // 5 s
  for (int look = 0; look != numLooks; ++look) {
    if (waitpid(process, nullptr, WNOHANG) != 0)
      return true;
    const timespec nap = {0, 10000000};
    nanosleep(&nap, nullptr);
  }
  return false;
}

/// Ends the job, which may hang, and waits for that.
void stopMpirun() {
  const pid_t process = mpirun.exchange(0);
  if (process <= 0)
    return;
  kill(process, SIGTERM);
  if (hasEnded(process))
    return;
  kill(process, SIGKILL); // the ranks' parent: they end too
  waitpid(process, nullptr, 0);
}

extern "C" void stopAndExit(int signal) {
  stopMpirun();
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

/// Never returns: becomes mpirun, which prints to \p output.
[[noreturn]] void becomeMpirun(const std::string &numRanks,
                               const std::string &program,
                               const std::string &memory, int output,
                               pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent)
    _exit(1);    // it has ended already
  setpgid(0, 0); // the terminal's signals are for the parent
  const int input = open("/dev/null", O_RDONLY);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  for (const Setting &setting : settings)
    setenv(setting.name, setting.value, /*overwrite=*/0);
  execlp("mpirun", "mpirun", "-n", numRanks.c_str(), program.c_str(),
         memory.c_str(), nullptr);
  _exit(cannotExecute);
}

const char *nameOf(baseline::Command command) {
  switch (command) {
  case baseline::Command::LoadTokens:
    return "loading tokens";
  case baseline::Command::Dispatch:
    return "dispatch";
  case baseline::Command::SaveRows:
    return "saving rows";
  case baseline::Command::LoadOutputs:
    return "loading outputs";
  case baseline::Command::Combine:
    return "combine";
  case baseline::Command::SaveResult:
    return "saving the result";
  case baseline::Command::End:
    return "ending";
  }
  return "";
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
    awaitAnswers("starting", startTimeoutMs);
  } catch (...) {
    stopMpirun();
    throw;
  }
}

MpiJob::~MpiJob() {
  if (mpirun > 0 && !isBroken) {
    give(baseline::Command::End);
    if (hasEnded(mpirun))
      mpirun = 0;
  }
  stopMpirun();
  close(memory);
  close(output);
}

void MpiJob::start() {
  const std::string program = findProgram();
  const std::string numRanks = std::to_string(box->shape().numRanks());
  const std::string path = fmt::format("/proc/{}/fd/{}", getpid(), memory);
  const pid_t parent = getpid();
  const pid_t process = fork();
  if (process == 0)
    becomeMpirun(numRanks, program, path, output, parent);
  if (process < 0)
    throw Error(fmt::format("cannot start mpirun: {}", std::strerror(errno)));
  mpirun = process;
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
  isBroken = true;
  give(command);
  awaitAnswers(nameOf(command), timeoutMs);
  isBroken = false;
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
    if (waitpid(mpirun, &status, WNOHANG) != 0)
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
  mpirun = 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) == cannotExecute)
    throw Error("cannot start 'mpirun'; install openmpi-bin, or put Open "
                "MPI's mpirun on PATH");
  throw Error(fmt::format(
      "the MPI baseline ended while {}: mpirun: {}: {}", what,
      WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                          : fmt::format("exit code {}", WEXITSTATUS(status)),
      firstOfOutput()));
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
  return first.empty() ? "no output" : first;
}

} // namespace fusco::run
