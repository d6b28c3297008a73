//===- Processes.cpp - One process per rank, on this machine --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The parent takes no part in the run: it passes the job's environment on,
/// waits, and says which rank was killed.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Processes.h"

#include "tools/common/Error.h"
#include "tools/common/Output.h"

#include <arpa/inet.h>
#include <boost/lexical_cast.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <new>
#include <random>
#include <string>
#include <vector>

namespace fusco::run {
namespace {

/// Names the descriptor of the shared barrier.
constexpr const char *barrierVariable = "FUSCO_RUN_BARRIER";

[[noreturn]] void failToStart(const char *what) {
  throw Error(fmt::format("cannot start processes: {}: {}", what,
                          std::strerror(errno)));
}

/// Where the processes meet: a loopback address that hardly anyone else uses,
/// so that the port is still free when rank 0 listens there.
std::string chooseMeetingPoint() {
  std::random_device random;
  const std::string host = fmt::format("127.{}.{}.{}", 1 + random() % 254,
                                       random() % 256, 1 + random() % 254);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  socklen_t bytes = sizeof address;
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0 ||
      bind(probe, reinterpret_cast<sockaddr *>(&address), bytes) != 0 ||
      getsockname(probe, reinterpret_cast<sockaddr *>(&address), &bytes) != 0)
    failToStart("no free port on the loopback");
  close(probe);
  return fmt::format("{}:{}", host, ntohs(address.sin_port));
}

std::string makeToken() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(),
                     random());
}

/// A barrier in memory that processes inherit as an open file, whose descriptor
/// is the result.
int makeSharedBarrier(int numRanks) {
  const int file = memfd_create("fusco-run", 0);
  if (file < 0 || ftruncate(file, sizeof(Barrier)) != 0)
    failToStart("no shared memory");
  void *memory = mmap(nullptr, sizeof(Barrier), PROT_READ | PROT_WRITE,
                      MAP_SHARED, file, 0);
  if (memory == MAP_FAILED)
    failToStart("no shared memory");
  new (memory) Barrier(numRanks);
  return file;
}

/// The command line of a rank: that of this process, launched by its
/// environment.
std::vector<std::string> argumentsOf(int argc, char **argv,
                                     const Options &options) {
  std::vector<std::string> arguments;
  for (int i = 0; i != argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--launch" || argument == "--seed")
      ++i; // and its value
    else if (argument.rfind("--launch=", 0) != 0 &&
             argument.rfind("--seed=", 0) != 0)
      arguments.push_back(argument);
  }
  for (const std::string &more :
       {std::string("--launch"), std::string("env"), std::string("--seed"),
        std::to_string(options.seed)})
    arguments.push_back(more);
  return arguments;
}

/// Never returns: becomes the process of \p rank.
[[noreturn]] void becomeRank(int rank, pid_t parent, const std::string &program,
                             const std::vector<std::string> &arguments,
                             const sigset_t &signals) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    _exit(1); // it has ended already
  sigprocmask(SIG_SETMASK, &signals, nullptr);
  setenv("RANK", std::to_string(rank).c_str(), 1);
  setenv("LOCAL_RANK", std::to_string(rank).c_str(), 1);
  std::vector<char *> pointers;
  for (const std::string &argument : arguments)
    pointers.push_back(const_cast<char *>(argument.c_str()));
  pointers.push_back(nullptr);
  execv(program.c_str(), pointers.data());
  _exit(127);
}

} // namespace

int launchProcesses(int argc, char **argv, const Options &options,
                    int numRanks) {
  const std::string meetingPoint = chooseMeetingPoint();
  setenv("WORLD_SIZE", std::to_string(numRanks).c_str(), 1);
  setenv("FUSCO_RENDEZVOUS", meetingPoint.c_str(), 1);
  setenv("FUSCO_JOB_TOKEN", makeToken().c_str(), 1);
  setenv(barrierVariable, std::to_string(makeSharedBarrier(numRanks)).c_str(),
         1);
  const std::vector<std::string> arguments = argumentsOf(argc, argv, options);

  // By its own path, so that processes have its name.
  const std::string program = std::filesystem::canonical("/proc/self/exe");

  sigset_t watched, before;
  sigemptyset(&watched);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD})
    sigaddset(&watched, signal);
  sigprocmask(SIG_BLOCK, &watched, &before);
  std::map<pid_t, int> ranks; // of processes that run
  auto endAll = [&](int signal) {
    for (auto [process, rank] : ranks)
      kill(process, signal);
  };
  const pid_t parent = getpid();
  for (int rank = 0; rank != numRanks; ++rank) {
    const pid_t process = fork();
    if (process == 0)
      becomeRank(rank, parent, program, arguments, before);
    if (process < 0) {
      endAll(SIGKILL);
      failToStart("fork");
    }
    ranks.emplace(process, rank);
  }

  int result = 0;
  // A rank that waits for one that has failed gives up by itself; one that is
  // told to end has to end what it has started.
  const std::chrono::milliseconds patience(options.timeoutMs + 30000);
  const std::chrono::seconds patienceToEnd(10);
  auto lastNews = std::chrono::steady_clock::now();
  while (!ranks.empty()) {
    const timespec second = {1, 0};
    const int signal = sigtimedwait(&watched, nullptr, &second);
    if (signal > 0 && signal != SIGCHLD) {
      endAll(SIGTERM);
      result = 128 + signal;
      lastNews = std::chrono::steady_clock::now();
    }
    const auto silence = std::chrono::steady_clock::now() - lastNews;
    if ((result == 1 && silence > patience) ||
        (result >= 128 && silence > patienceToEnd))
      endAll(SIGKILL);
    int status;
    for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
      const int rank = ranks.at(ended);
      ranks.erase(ended);
      lastNews = std::chrono::steady_clock::now();
      if (status == 0 || result >= 128)
        continue;
      result = 1; // a rank that exits has said why
      if (WIFSIGNALED(status))
        printToStderr(
            fmt::format("fusco-run: error: the process of rank {} was "
                        "killed by signal {} ({})",
                        rank, WTERMSIG(status), strsignal(WTERMSIG(status))));
    }
  }
  return result;
}

Barrier *findSharedBarrier() {
  const char *text = std::getenv(barrierVariable);
  int file;
  struct stat found;
  // It is not ours if somebody else set the variable.
  if (!text || !boost::conversion::try_lexical_convert(text, file) ||
      fstat(file, &found) != 0 || found.st_size != sizeof(Barrier))
    return nullptr;
  void *memory = mmap(nullptr, sizeof(Barrier), PROT_READ | PROT_WRITE,
                      MAP_SHARED, file, 0);
  close(file);
  unsetenv(barrierVariable);
  return memory == MAP_FAILED ? nullptr : static_cast<Barrier *>(memory);
}

} // namespace fusco::run
