//===- counted_puts.h - Unordered writes, counted arrivals ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// fusco_program_put over a network.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_NETWORK_COUNTED_PUTS_H
#define FUSCO_RUNTIME_NETWORK_COUNTED_PUTS_H

#include "runtime/network/network.h"
#include "runtime/status.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace fusco::runtime {

/// Any thread may call it.
class CountedPuts : private NetworkListener {
public:
  /// \p timeoutUs bounds the wait for room in put().
  static fusco_status create(std::unique_ptr<Network> network,
                             std::uint64_t timeoutUs,
                             std::unique_ptr<CountedPuts> &puts);
  ~CountedPuts();

  /// Writes, and adds one to the counter when the network has said that the
  /// bytes are there: right on every network, whatever overtakes what. Without
  /// \p bytes only adds. Returns when both are under way; what is at \p from
  /// stays until it is there. \p waitsForSource: flushSources() shall wait for
  /// that.
  fusco_status put(std::int32_t peer, std::uint64_t to, const void *from,
                   std::uint64_t bytes, std::uint64_t counter,
                   bool waitsForSource);

  /// Wait until the sources of such puts are free, or until all is done.
  fusco_status flushSources(std::uint64_t timeoutUs);
  fusco_status flushAll(std::uint64_t timeoutUs);

  /// Lets the network work. Callers that wait for a peer call it; a thread of
  /// its own does while they do not.
  void progress();
  /// The same; sleeps until the network has something to do, \p mostUs at most,
  /// if it has nothing now.
  void progressOrSleep(std::int64_t mostUs);

  /// From enter() to leave() a caller makes progress itself, so that the thread
  /// keeps out of its way.
  void enter() { numCallers.fetch_add(1); }
  void leave() { numCallers.fetch_sub(1); }

  /// The first peer with which an operation failed, -1 while there is none.
  std::int32_t getFailedPeer() const { return failedPeer.load(); }
  /// Why; of no meaning before that.
  const char *getFailure() const { return failure; }

private:
  struct Operation;
  explicit CountedPuts(std::unique_ptr<Network> network,
                       std::uint64_t timeoutUs);
  void finished(std::uint64_t id, fusco_status status,
                std::uint64_t bytes) override;
  void lost(std::int32_t peer) override;
  void fail(std::int32_t peer, fusco_status status, const char *text);
  Operation &takeIdle(std::int32_t peer, std::uint64_t counter);
  void startAdding(Operation &operation);
  std::uint64_t makeId(const Operation &operation);
  template <typename Condition>
  fusco_status progressUntil(std::unique_lock<std::mutex> &lock,
                             std::uint64_t timeoutUs, const char *what,
                             Condition isDone);
  void serve();

  const std::unique_ptr<Network> network;
  const std::uint64_t timeoutUs;

  std::mutex mutex; ///< of all that follows, and of the network
  std::vector<Operation> operations;
  std::vector<std::size_t> idle; ///< those not under way
  std::uint64_t numStarted = 0;
  std::size_t numSources = 0; ///< puts whose source is waited for
  std::atomic<std::int32_t> failedPeer{-1};
  fusco_status failedStatus = FUSCO_OK;
  char failure[errorTextBytes] = "";

  std::atomic<int> numCallers{0};
  std::atomic<bool> shallEnd{false};
  std::thread server;
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_NETWORK_COUNTED_PUTS_H
