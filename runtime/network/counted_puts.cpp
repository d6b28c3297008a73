//===- counted_puts.cpp - Unordered writes, counted arrivals --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A put is a write whose end starts an addition or, where the network keeps
/// them in order, both at once. Nothing that a network says
/// is taken on trust: an end that was said already is none, and one with too
/// few bytes is a failure.
//
//===----------------------------------------------------------------------===//

#include "runtime/network/counted_puts.h"

#include "runtime/deadline.h"
#include "runtime/status.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <new>
#include <poll.h>
#include <sched.h>

using namespace fusco::runtime;
using Clock = std::chrono::steady_clock;

/// More than rings have slots under way; it bounds what a network must hold.
constexpr std::size_t mostOperations = 1024;
/// How long the server sleeps at most: a network that wakes nobody still moves.
constexpr std::int64_t sleepUs = 20000;
/// How often it looks in while callers make progress.
constexpr int pauseMs = 2;

struct CountedPuts::Operation {
  /// Of the write or the addition under way, 0: none. Its remainder by
  /// mostOperations is where it stands. Never used again, so that what a
  /// network says twice is noticed.
  std::uint64_t id = 0;
  bool isWriting = false; ///< else adding
  bool addsWhenWritten = false;
  bool waitsForSource = false;
  std::int32_t peer = 0;
  std::uint64_t bytes = 0, counter = 0;
};

//===--- Making and ending ------------------------------------------------===//

CountedPuts::CountedPuts(std::unique_ptr<Network> network,
                         std::uint64_t timeoutUs)
    : network(std::move(network)), timeoutUs(timeoutUs) {
  operations.resize(mostOperations);
  for (std::size_t i = 0; i < mostOperations; ++i)
    idle.push_back(i);
  this->network->setListener(*this);
  server = std::thread([this] { serve(); });
}

fusco_status CountedPuts::create(std::unique_ptr<Network> network,
                                 std::uint64_t timeoutUs,
                                 std::unique_ptr<CountedPuts> &puts) {
  try {
    puts.reset(new CountedPuts(std::move(network), timeoutUs));
    return FUSCO_OK;
  } catch (const std::exception &error) {
    return runtime::fail(FUSCO_OUT_OF_MEMORY,
                         "cannot start the thread of a network: %s",
                         error.what());
  }
}

CountedPuts::~CountedPuts() {
  shallEnd = true;
  server.join();
}

/// Ranks that do not call take part in what their peers do all the same.
void CountedPuts::serve() {
  while (!shallEnd) {
    if (numCallers.load() == 0) {
      progressOrSleep(sleepUs);
    } else {
      // Only in case it takes long over something else.
      poll(nullptr, 0, pauseMs);
      progress();
    }
  }
}

void CountedPuts::progressOrSleep(std::int64_t mostUs) {
  bool maySleep;
  {
    std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
    if (!lock) {
      sched_yield();
      return;
    }
    maySleep = !network->progress() && network->arm();
  }
  if (!maySleep)
    return;
  pollfd file = {network->getEventFile(), POLLIN, 0};
  timespec most = {mostUs / 1000000, mostUs % 1000000 * 1000};
  ppoll(&file, file.fd >= 0, &most, nullptr);
}

void CountedPuts::progress() {
  // Whoever has it makes progress for all.
  std::unique_lock<std::mutex> lock(mutex, std::try_to_lock);
  if (lock)
    network->progress();
}

//===--- Operations -------------------------------------------------------===//

void CountedPuts::fail(std::int32_t peer, fusco_status status,
                       const char *text) {
  if (failedPeer.load() >= 0)
    return;
  failedStatus = status;
  std::snprintf(failure, sizeof(failure), "%s", text);
  failedPeer.store(peer);
}

CountedPuts::Operation &CountedPuts::takeIdle(std::int32_t peer,
                                              std::uint64_t counter) {
  Operation &operation = operations[idle.back()];
  idle.pop_back();
  operation.peer = peer;
  operation.counter = counter;
  operation.waitsForSource = false;
  return operation;
}

void CountedPuts::startAdding(Operation &operation) {
  operation.isWriting = false;
  operation.id = makeId(operation);
  network->add(operation.peer, operation.counter, operation.id);
}

std::uint64_t CountedPuts::makeId(const Operation &operation) {
  return ++numStarted * mostOperations + (&operation - operations.data());
}

void CountedPuts::finished(std::uint64_t id, fusco_status status,
                           std::uint64_t bytes) {
  Operation &operation = operations[id % mostOperations];
  if (operation.id != id)
    return; // said before
  if (status != FUSCO_OK) {
    fail(operation.peer, status, fusco_last_error());
  } else if (operation.isWriting && bytes != operation.bytes) {
    char text[errorTextBytes];
    std::snprintf(text, sizeof(text),
                  "the network wrote %" PRIu64 " of %" PRIu64
                  " bytes to rank %" PRId32,
                  bytes, operation.bytes, operation.peer);
    fail(operation.peer, FUSCO_PEER_FAILED, text);
  }
  // Whatever went wrong: nobody reads the source any more.
  numSources -= operation.waitsForSource;
  operation.waitsForSource = false;
  if (operation.isWriting && operation.addsWhenWritten && failedPeer.load() < 0)
    return startAdding(operation);
  operation.id = 0;
  idle.push_back(id % mostOperations);
}

void CountedPuts::lost(std::int32_t peer) {
  fail(peer, FUSCO_PEER_FAILED, fusco_last_error());
}

template <typename Condition>
fusco_status CountedPuts::progressUntil(std::unique_lock<std::mutex> &lock,
                                        std::uint64_t patienceUs,
                                        const char *what, Condition isDone) {
  const auto deadline = deadlineAfter(patienceUs);
  while (failedPeer.load() < 0 && !isDone()) {
    // The clock before the network: what it does in time is never missed, and
    // one that is busy with something else does not keep us.
    const bool isLate = Clock::now() >= deadline;
    const bool hasMoved = network->progress();
    if (isLate && !isDone())
      return runtime::fail(FUSCO_TIMEOUT,
                           "%s took longer than %.1f s: %zu puts are under way",
                           what, static_cast<double>(patienceUs) / 1e6,
                           mostOperations - idle.size());
    if (hasMoved)
      continue;
    // Those that wait for a peer shall come in too.
    lock.unlock();
    sched_yield();
    lock.lock();
  }
  // What has failed is over too.
  if (failedPeer.load() >= 0)
    return runtime::fail(failedStatus, "%s", failure);
  return FUSCO_OK;
}

fusco_status CountedPuts::put(std::int32_t peer, std::uint64_t to,
                              const void *from, std::uint64_t bytes,
                              std::uint64_t counter, bool waitsForSource) {
  std::unique_lock<std::mutex> lock(mutex);
  if (fusco_status status =
          progressUntil(lock, timeoutUs, "waiting for room to send",
                        [&] { return idle.size() >= 2; }))
    return status;
  Operation &operation = takeIdle(peer, counter);
  if (bytes == 0) {
    startAdding(operation);
    return FUSCO_OK;
  }
  const bool isOrdered = network->isOrdered(peer);
  operation.isWriting = true;
  operation.bytes = bytes;
  operation.addsWhenWritten = !isOrdered;
  operation.waitsForSource = waitsForSource;
  numSources += waitsForSource;
  operation.id = makeId(operation);
  network->write(peer, to, from, bytes, operation.id);
  if (isOrdered && failedPeer.load() < 0)
    startAdding(takeIdle(peer, counter));
  return FUSCO_OK;
}

fusco_status CountedPuts::flushSources(std::uint64_t patienceUs) {
  std::unique_lock<std::mutex> lock(mutex);
  return progressUntil(lock, patienceUs, "sending rows",
                       [&] { return numSources == 0; });
}

fusco_status CountedPuts::flushAll(std::uint64_t patienceUs) {
  std::unique_lock<std::mutex> lock(mutex);
  return progressUntil(lock, patienceUs, "sending the last rows",
                       [&] { return idle.size() == mostOperations; });
}
