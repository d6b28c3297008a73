//===- Gpu.h - Streams, kernels and time -------------------------*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The one thread that runs all kernels, and the work that streams, events and
/// graphs order for it.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TEST_CUDA_EMULATOR_GPU_H
#define FUSCO_TEST_CUDA_EMULATOR_GPU_H

#include "test/cuda-emulator/Warp.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace fusco::emulator {

/// Something for the GPU to do once what it depends on is done. With neither an
/// action nor a kernel it is a point in time.
struct Work {
  std::vector<std::shared_ptr<Work>> dependencies;
  std::function<void()> action;
  std::shared_ptr<const Kernel> launch;
  bool isDone = false;
  std::chrono::steady_clock::time_point doneAt;
};
using WorkPtr = std::shared_ptr<Work>;

class Gpu {
public:
  static Gpu &get();

  /// Guards all that follows and the state of the driver.
  std::mutex mutex;

  void submit(WorkPtr work);
  /// Waits until \p work is done or the GPU is broken.
  void wait(std::unique_lock<std::mutex> &lock, const WorkPtr &work);
  void waitForAll(std::unique_lock<std::mutex> &lock);
  /// The CUresult of the first fault, 0 while there is none.
  int getError() const { return error; }
  /// Forgets all work, and the fault.
  void reset(std::unique_lock<std::mutex> &lock);

  // For the blocks; only the GPU's thread may call these.
  void makeReady(Warp &warp);
  void start(BulkCopy copy);
  /// Whether a thread's stores of groups before \p group have read their source
  /// (or also written, if \p isWritten).
  bool areStoresDone(const Block &block, int thread, std::uint32_t group,
                     bool isWritten) const;
  Random &getRandom() { return random; }
  int getNumMultiprocessors() const { return freeMultiprocessors.size(); }

private:
  struct Running {
    WorkPtr work;
    std::unique_ptr<Kernel> kernel;
  };

  Gpu();
  [[noreturn]] void main();
  bool startWork();
  void startBlocks();
  void step();
  void endBlock(Block &block);
  void advanceCopies();
  bool advance(BulkCopy &copy);
  void fail(const Fault &fault, const Warp *warp);
  void finish(const WorkPtr &work);

  std::condition_variable posted, done;
  std::atomic<bool> hasNews{false}; ///< for the GPU's thread
  bool isStepping = false;          ///< warps run, without the mutex
  std::vector<WorkPtr> pending;
  std::vector<Running> running;
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<Warp *> ready;
  std::vector<BulkCopy> copies;
  std::vector<bool> freeMultiprocessors;
  std::uint64_t tick = 0, nextCopyTick = 0;
  Random random;
  std::atomic<int> error{0};
};

} // namespace fusco::emulator

#endif // FUSCO_TEST_CUDA_EMULATOR_GPU_H
