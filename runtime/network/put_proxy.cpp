//===- put_proxy.cpp - Puts that kernels ask for --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// One thread that looks at the next place of the queue. What it has read it
/// gives back at once: a put needs no more of its request then.
//
//===----------------------------------------------------------------------===//

#include "runtime/network/put_proxy.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <utility>

using namespace fusco::runtime;
using Clock = std::chrono::steady_clock;

PutProxy::PutProxy(CountedPuts &network, fusco_put_queue &queue,
                   const char *heap, OnFailure onFailure)
    : network(network), queue(queue), heap(heap),
      onFailure(std::move(onFailure)), thread([this] { serve(); }) {}

fusco_status PutProxy::start(CountedPuts &network, fusco_put_queue &queue,
                             const char *heap, OnFailure onFailure,
                             std::unique_ptr<PutProxy> &proxy) {
  try {
    proxy.reset(new PutProxy(network, queue, heap, std::move(onFailure)));
    return FUSCO_OK;
  } catch (const std::exception &error) {
    return fail(FUSCO_OUT_OF_MEMORY,
                "cannot start the thread that puts for kernels: %s",
                error.what());
  }
}

PutProxy::~PutProxy() {
  shallEnd = true;
  thread.join();
}

void PutProxy::serve() {
  network.enter();
  auto lastTaken = Clock::now();
  while (true) {
    // Before the look: what was asked for before the end is made.
    const bool isLast = shallEnd.load();
    if (takeNext()) {
      lastTaken = Clock::now();
      continue;
    }
    if (isLast)
      break;
    lookForLostPeer();
    pause(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() -
                                                                lastTaken)
              .count());
  }
  network.leave();
}

/// Returns whether there was a request.
bool PutProxy::takeNext() {
  const std::uint64_t taken = queue.taken; // nobody else writes it
  const fusco_put_request &next = queue.requests[taken % FUSCO_PUT_QUEUE_DEPTH];
  if (__atomic_load_n(&next.number, __ATOMIC_ACQUIRE) != taken + 1)
    return false;
  const fusco_put_request request = next;
  __atomic_store_n(&queue.taken, taken + 1, __ATOMIC_RELEASE);
  if (!hasFailed.load())
    make(request);
  return true;
}

void PutProxy::make(const fusco_put_request &request) {
  // What is in a heap stays until the peer's next word for its slot.
  const auto peer = static_cast<std::int32_t>(request.peer);
  fusco_status status =
      network.put(peer, request.to, heap + request.from, request.bytes,
                  request.counter, /*waitsForSource=*/false);
  if (status == FUSCO_OK)
    return;
  failure.peer = peer;
  failure.status = status;
  std::snprintf(failure.text, sizeof(failure.text), "%s", fusco_last_error());
  hasFailed.store(true);
  onFailure(peer, status);
}

/// Kernels wait, and do not look at the network.
void PutProxy::lookForLostPeer() {
  const std::int32_t lost = network.getFailedPeer();
  if (lost < 0 || hasLostPeer)
    return;
  hasLostPeer = true;
  onFailure(lost, FUSCO_OK);
}

/// The host does not know when kernels run: graphs launch them. So this thread
/// always looks, the more seldom the longer there was nothing.
void PutProxy::pause(std::int64_t idleUs) {
  constexpr std::int64_t busyUs = 50, leastUs = 50, mostUs = 1000;
  if (idleUs < busyUs)
    network.progress();
  else
    network.progressOrSleep(std::clamp(idleUs / 256, leastUs, mostUs));
}
