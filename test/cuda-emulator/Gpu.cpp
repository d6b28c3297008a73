//===- Gpu.cpp - Streams, kernels and time --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Gpu.h"

#include "test/cuda-emulator/Cuda.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

using namespace fusco::emulator;

static std::uint64_t getSetting(const char *name, std::uint64_t otherwise) {
  const char *text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 0) : otherwise;
}

Gpu::Gpu()
    : freeMultiprocessors(
          std::max<std::uint64_t>(getSetting("FUSCO_EMULATOR_SMS", 16), 1),
          true),
      random(getSetting("FUSCO_EMULATOR_SEED", 1)) {
  std::thread([this] { main(); }).detach();
}

Gpu &Gpu::get() {
  // Never destroyed: its thread runs until the process ends.
  static Gpu &gpu = *new Gpu;
  return gpu;
}

//===----------------------------------------------------------------------===//
// Work
//===----------------------------------------------------------------------===//

void Gpu::submit(WorkPtr work) {
  pending.push_back(std::move(work));
  hasNews = true;
  posted.notify_one();
}

void Gpu::wait(std::unique_lock<std::mutex> &lock, const WorkPtr &work) {
  done.wait(lock, [&] { return !work || work->isDone || error; });
}

void Gpu::waitForAll(std::unique_lock<std::mutex> &lock) {
  done.wait(lock,
            [&] { return (pending.empty() && running.empty()) || error; });
}

void Gpu::finish(const WorkPtr &work) {
  work->isDone = true;
  work->doneAt = std::chrono::steady_clock::now();
  work->dependencies.clear();
}

void Gpu::reset(std::unique_lock<std::mutex> &lock) {
  hasNews = true;
  done.wait(lock, [&] { return !isStepping; });
  for (const WorkPtr &work : pending)
    finish(work);
  for (const Running &entry : running)
    finish(entry.work);
  pending.clear();
  running.clear();
  blocks.clear();
  ready.clear();
  copies.clear();
  freeMultiprocessors.assign(freeMultiprocessors.size(), true);
  error = 0;
  done.notify_all();
}

/// Starts what need not wait any more; returns whether there was anything.
bool Gpu::startWork() {
  bool hasStarted = false;
  for (std::size_t i = 0; i < pending.size();) {
    WorkPtr work = pending[i];
    auto isDone = [](const WorkPtr &other) { return other->isDone; };
    if (!std::all_of(work->dependencies.begin(), work->dependencies.end(),
                     isDone)) {
      ++i;
      continue;
    }
    pending.erase(pending.begin() + i);
    hasStarted = true;
    if (work->launch) {
      running.push_back({work, std::make_unique<Kernel>(*work->launch)});
      continue;
    }
    if (work->action)
      work->action();
    finish(work);
  }
  return hasStarted;
}

/// A kernel starts when all its blocks fit, or alone when they never do: each
/// block has a multiprocessor of its own.
void Gpu::startBlocks() {
  auto countFree = [&] {
    return std::count(freeMultiprocessors.begin(), freeMultiprocessors.end(),
                      true);
  };
  for (const Running &entry : running) {
    Kernel &kernel = *entry.kernel;
    unsigned numBlocks = kernel.grid.getCount();
    bool isEmpty = countFree() == getNumMultiprocessors();
    if (kernel.numBlocksStarted == 0 && countFree() < numBlocks && !isEmpty)
      return;
    while (kernel.numBlocksStarted < numBlocks && countFree() > 0) {
      int multiprocessor = std::find(freeMultiprocessors.begin(),
                                     freeMultiprocessors.end(), true) -
                           freeMultiprocessors.begin();
      freeMultiprocessors[multiprocessor] = false;
      unsigned linear = kernel.numBlocksStarted++;
      Dim3 index = {linear % kernel.grid.x,
                    linear / kernel.grid.x % kernel.grid.y,
                    linear / kernel.grid.x / kernel.grid.y};
      blocks.push_back(
          std::make_unique<Block>(*this, kernel, index, multiprocessor));
      for (const auto &warp : blocks.back()->warps)
        makeReady(*warp);
    }
    if (kernel.numBlocksStarted < numBlocks)
      return;
  }
}

void Gpu::main() {
  std::unique_lock lock(mutex);
  while (true) {
    hasNews = false;
    while (!error && startWork()) {
    }
    auto hasEnded = [&](Running &entry) {
      Kernel &kernel = *entry.kernel;
      if (kernel.numBlocksEnded < kernel.grid.getCount() || kernel.numCopies)
        return false;
      finish(entry.work);
      return true;
    };
    auto ended = std::remove_if(running.begin(), running.end(), hasEnded);
    bool hasKernelEnded = ended != running.end();
    running.erase(ended, running.end());
    done.notify_all();
    if (hasKernelEnded && !error)
      continue;
    startBlocks();
    if (error || (ready.empty() && copies.empty())) {
      posted.wait(lock, [&] { return hasNews.load(); });
      continue;
    }
    // The host gets its turn now and then, and when it asks for it.
    isStepping = true;
    lock.unlock();
    for (int i = 0; i < 64 && !hasNews && !error; ++i)
      step();
    lock.lock();
    isStepping = false;
  }
}

//===----------------------------------------------------------------------===//
// Warps
//===----------------------------------------------------------------------===//

void Gpu::makeReady(Warp &warp) {
  if (warp.isQueued)
    return;
  warp.isQueued = true;
  ready.push_back(&warp);
}

/// Runs one warp for a while.
void Gpu::step() {
  ++tick;
  Warp *warp = nullptr;
  try {
    if (tick >= nextCopyTick)
      advanceCopies();
    if (ready.empty())
      return;
    std::size_t chosen = random() % ready.size();
    warp = ready[chosen];
    // Mostly long turns, for speed; short ones show other orders.
    warp->run(1 + random() % (random() % 4 ? 256 : 16), random);
    Block &block = warp->block;
    if (warp->isReady())
      return;
    warp->isQueued = false;
    ready[chosen] = ready.back();
    ready.pop_back();
    if (block.numLive == 0)
      return endBlock(block);
    auto isQueued = [](const auto &warp) { return warp->isQueued; };
    if (std::none_of(block.warps.begin(), block.warps.end(), isQueued))
      throw Fault{CUDA_ERROR_LAUNCH_FAILED, "deadlock"};
  } catch (const Fault &fault) {
    fail(fault, warp);
  }
}

void Gpu::endBlock(Block &block) {
  for (const BulkCopy &copy : copies)
    if (copy.block == &block)
      throw Fault{CUDA_ERROR_LAUNCH_FAILED,
                  "the block ends while bulk copies use its shared memory"};
  freeMultiprocessors[block.multiprocessor] = true;
  ++block.kernel.numBlocksEnded;
  hasNews = true; // others may start
  blocks.erase(
      std::find_if(blocks.begin(), blocks.end(),
                   [&](const auto &other) { return other.get() == &block; }));
}

/// Reports \p fault, found by \p warp, and stops everything.
void Gpu::fail(const Fault &fault, const Warp *warp) {
  auto describeBlock = [](const Block &block) {
    return "kernel '" + block.kernel.function->name + "', block (" +
           std::to_string(block.index.x) + "," + std::to_string(block.index.y) +
           "," + std::to_string(block.index.z) + ")";
  };
  auto describe = [&](const Warp &warp, std::int32_t pc, const Fragment &at) {
    int line = at.frame->function->code[pc].line;
    std::string text = warp.block.kernel.module->lines[line - 1];
    text.erase(0, text.find_first_not_of(" \t"));
    std::replace(text.begin(), text.end(), '\t', ' ');
    return describeBlock(warp.block) + ", warp " + std::to_string(warp.index) +
           ", PTX line " + std::to_string(line) + ": " + text;
  };
  std::string report = "CUDA emulator: " + fault.message;
  if (warp && warp->current.lanes) {
    if (fault.lane >= 0)
      report += " by thread " + std::to_string(warp->getThread(fault.lane));
    report += ", " +
              describe(*warp, std::max(warp->current.pc - 1, 0), warp->current);
  } else if (warp) {
    report += ", " + describeBlock(warp->block);
  }
  report += "\n";
  // Nobody of a block runs: say where they stand.
  if (warp && !warp->current.lanes && warp->live)
    for (const auto &other : warp->block.warps)
      for (const Fragment &fragment : other->others) {
        char lanes[32];
        std::snprintf(lanes, sizeof lanes, " (lanes %08x)", fragment.lanes);
        report += "  waits: " + describe(*other, fragment.pc, fragment) +
                  lanes + "\n";
      }
  std::fputs(report.c_str(), stderr);
  std::lock_guard lock(mutex);
  error = fault.result;
  done.notify_all();
}

//===----------------------------------------------------------------------===//
// Bulk copies
//===----------------------------------------------------------------------===//

void Gpu::start(BulkCopy copy) {
  ++copy.kernel->numCopies;
  copy.dueTick = tick + random() % 64;
  nextCopyTick = std::min(nextCopyTick, copy.dueTick);
  copies.push_back(std::move(copy));
}

void Gpu::advanceCopies() {
  nextCopyTick = UINT64_MAX;
  for (std::size_t i = 0; i < copies.size();) {
    BulkCopy &copy = copies[i];
    if (copy.dueTick <= tick && advance(copy)) {
      if (--copy.kernel->numCopies == 0)
        hasNews = true;
      copy = std::move(copies.back());
      copies.pop_back();
      continue;
    }
    nextCopyTick = std::min(nextCopyTick, copy.dueTick);
    ++i;
  }
}

/// Reads or writes; returns whether the copy is over.
bool Gpu::advance(BulkCopy &copy) {
  if (!copy.hasRead) {
    copy.data.assign(copy.from, copy.from + copy.bytes);
    copy.hasRead = true;
    if (copy.isStore) {
      copy.block = nullptr;
      copy.dueTick = tick + random() % 64;
      return false;
    }
  }
  std::memcpy(copy.to, copy.data.data(), copy.bytes);
  if (!copy.isStore)
    completeTransaction(*copy.block, copy.barrier, copy.bytes);
  return true;
}

bool Gpu::areStoresDone(const Block &block, int thread, std::uint32_t group,
                        bool isWritten) const {
  return std::none_of(copies.begin(), copies.end(), [&](const BulkCopy &copy) {
    return copy.isStore && copy.issuer == &block && copy.thread == thread &&
           copy.group < group && (isWritten || !copy.hasRead);
  });
}
