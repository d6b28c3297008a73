//===- ChildProcess.h - Parts of a test in other processes ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Forked children whose expectations count, and memory that they share.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TEST_RUNTIME_CHILDPROCESS_H
#define FUSCO_TEST_RUNTIME_CHILDPROCESS_H

#include <chrono>
#include <csignal>
#include <exception>
#include <functional>
#include <gtest/gtest.h>
#include <new>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace fusco::test {

/// Calls a function in a process of its own, which ends with the test.
class ChildProcess {
public:
  explicit ChildProcess(const std::function<void()> &body) {
    id = fork();
    if (id != 0)
      return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(100); // nothing waits for ever
    const int numEarlier = countFailures();
    try {
      body();
    } catch (const std::exception &error) {
      ADD_FAILURE() << error.what();
    }
    _exit(countFailures() == numEarlier ? 0 : 1);
  }
  ChildProcess(ChildProcess &&other) noexcept
      : id(std::exchange(other.id, -1)) {}
  ~ChildProcess() { kill(); }

  pid_t getId() const { return id; }

  /// Waits for its end; its failed expectations are failures of the test.
  void join() {
    int status = -1;
    waitpid(std::exchange(id, -1), &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << "a child ended with " << status;
  }

  void kill() {
    if (id < 0)
      return;
    ::kill(id, SIGKILL);
    waitpid(std::exchange(id, -1), nullptr, 0);
  }

private:
  static int countFailures() {
    return testing::UnitTest::GetInstance()
        ->current_test_info()
        ->result()
        ->total_part_count();
  }

  pid_t id;
};

/// A value of zeros that children see which are made after it. Only what is
/// touched of it takes memory.
template <typename T> class Shared {
public:
  Shared()
      : value(new (mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) T) {
  }
  Shared(const Shared &) = delete;
  ~Shared() { munmap(value, sizeof(T)); }
  T &operator*() const { return *value; }
  T *operator->() const { return value; }

private:
  T *value;
};

/// Whether \p condition holds within \p patience.
template <typename Condition>
bool becomesTrue(Condition condition, std::chrono::milliseconds patience =
                                          std::chrono::seconds(30)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

} // namespace fusco::test

#endif // FUSCO_TEST_RUNTIME_CHILDPROCESS_H
