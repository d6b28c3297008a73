//===- Guardian.cpp - A command that does not outlive this process --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The kernel tells the guardian of its parent's end, once for each thread;
/// mpirun would take a second SIGTERM for a wish to leave its files behind. The
/// guardian adopts what the command leaves running.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Guardian.h"

#include "tools/common/Error.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fusco::run {
namespace {

/// How long a command may take to end once it is told to.
constexpr int patienceSeconds = 5;

/// Never returns: becomes \p command.
[[noreturn]] void becomeCommand(char *const *command, int output,
                                const sigset_t &signals) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  sigprocmask(SIG_SETMASK, &signals, nullptr);
  const int input = open("/dev/null", O_RDONLY);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  execvp(command[0], command);
  _exit(guardianCannotStart);
}

/// Reaps what has ended. Gives whether \p command has, and its \p status.
bool reap(pid_t command, int &status) {
  bool hasEnded = false;
  int found;
  for (pid_t ended; (ended = waitpid(-1, &found, WNOHANG)) > 0;)
    if (ended == command) {
      hasEnded = true;
      status = found;
    }
  return hasEnded;
}

/// Never returns: the guardian of \p command.
[[noreturn]] void guard(char *const *command, int output, pid_t parent) {
  setpgid(0, 0); // the terminal's signals are for the parent
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t watched, before;
  sigemptyset(&watched);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD})
    sigaddset(&watched, signal);
  sigprocmask(SIG_BLOCK, &watched, &before);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent)
    _exit(1); // it has ended already
  const pid_t child = fork();
  if (child == 0)
    becomeCommand(command, output, before);
  if (child < 0)
    _exit(guardianCannotStart);

  bool isStopping = false;
  timespec stopped = {};
  int status = 0;
  while (!reap(child, status)) {
    const timespec second = {1, 0};
    const int signal = sigtimedwait(&watched, nullptr, &second);
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (signal > 0 && signal != SIGCHLD && !isStopping) {
      kill(child, SIGTERM);
      isStopping = true;
      stopped = now;
    }
    if (isStopping && now.tv_sec - stopped.tv_sec > patienceSeconds)
      kill(child, SIGKILL);
  }
  while (waitpid(-1, nullptr, 0) > 0)
    continue;
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

} // namespace

pid_t startGuarded(const std::vector<std::string> &command, int output) {
  std::vector<char *> arguments;
  for (const std::string &argument : command)
    arguments.push_back(const_cast<char *>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t guardian = fork();
  if (guardian == 0)
    guard(arguments.data(), output, parent);
  if (guardian < 0)
    throw Error(fmt::format("cannot start '{}': {}", command.front(),
                            std::strerror(errno)));
  return guardian;
}

void stopGuarded(pid_t guardian) {
  kill(guardian, SIGTERM);
  waitpid(guardian, nullptr, 0);
}

} // namespace fusco::run
