//===- put_proxy.h - Puts that kernels ask for ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The host's end of a fusco_put_queue: fusco_program_put for kernels, which
/// cannot call a network.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_NETWORK_PUT_PROXY_H
#define FUSCO_RUNTIME_NETWORK_PUT_PROXY_H

#include "fusco/library.h"
#include "runtime/network/counted_puts.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

namespace fusco::runtime {

/// A thread that makes the puts which a rank's kernels ask for, one after the
/// other, and lets the network work meanwhile.
class PutProxy {
public:
  /// On the proxy's thread: \p peer cannot be reached any more, FUSCO_OK, or a
  /// put to it failed with \p status, which getFailure() tells more of.
  using OnFailure = std::function<void(std::int32_t peer, fusco_status status)>;

  /// All must outlive it. \p heap is where requests count their sources from.
  static fusco_status start(CountedPuts &network, fusco_put_queue &queue,
                            const char *heap, OnFailure onFailure,
                            std::unique_ptr<PutProxy> &proxy);
  PutProxy(const PutProxy &) = delete;
  PutProxy &operator=(const PutProxy &) = delete;
  /// Makes what is in the queue, unless a put has failed. To be called when no
  /// kernel runs that may ask for more. Bounded as CountedPuts::put is.
  ~PutProxy();

  /// A put that failed. Requests behind it are taken, so that nobody waits for
  /// room, and dropped.
  struct Failure {
    std::int32_t peer;
    fusco_status status;
    char text[errorTextBytes];
  };
  /// The first; NULL while there is none. Any thread.
  const Failure *getFailure() const {
    return hasFailed.load() ? &failure : nullptr;
  }

private:
  PutProxy(CountedPuts &network, fusco_put_queue &queue, const char *heap,
           OnFailure onFailure);
  void serve();
  bool takeNext();
  void make(const fusco_put_request &request);
  void lookForLostPeer();
  void pause(std::int64_t idleUs);

  CountedPuts &network;
  fusco_put_queue &queue;
  const char *const heap;
  const OnFailure onFailure;

  bool hasLostPeer = false; ///< and said so
  Failure failure = {};
  std::atomic<bool> hasFailed{false};
  std::atomic<bool> shallEnd{false};
  std::thread thread;
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_NETWORK_PUT_PROXY_H
