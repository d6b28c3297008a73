//===- io_thread.h - The thread of an io_context ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Runs an io_context on a thread of its own, and ends that in bounded time.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_BOOTSTRAP_IO_THREAD_H
#define FUSCO_RUNTIME_BOOTSTRAP_IO_THREAD_H

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <future>
#include <thread>

namespace fusco::runtime {

class IoThread {
public:
  /// From now on handlers of \p context run; until it has nothing more to do.
  void start(boost::asio::io_context &context) {
    io = &context;
    std::packaged_task<void()> task([&context] { context.run(); });
    ended = task.get_future();
    thread = std::thread(std::move(task));
  }
  bool isRunning() const { return thread.joinable(); }
  /// Waits until it has nothing more to do, half a second at most.
  void stop() {
    ended.wait_for(std::chrono::milliseconds(500));
    io->stop();
    thread.join();
  }

private:
  boost::asio::io_context *io = nullptr;
  std::future<void> ended;
  std::thread thread;
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_BOOTSTRAP_IO_THREAD_H
