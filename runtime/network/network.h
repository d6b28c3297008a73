//===- network.h - What a network does --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Writes and counts in the memory of other ranks, unordered. What a transport
/// to other nodes has to offer, and nothing more.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_NETWORK_NETWORK_H
#define FUSCO_RUNTIME_NETWORK_NETWORK_H

#include "fusco/runtime.h"

#include <cstdint>

namespace fusco::runtime {

/// Hears of what a network has done: from within its calls.
class NetworkListener {
public:
  /// The operation \p id is over. FUSCO_OK: all of \p bytes can be seen at the
  /// peer or, towards a peer with an ordered path, have at least left their
  /// source. Otherwise the reason is the thread's last error.
  virtual void finished(std::uint64_t id, fusco_status status,
                        std::uint64_t bytes) = 0;
  /// \p peer cannot be reached any more, for the reason that is the thread's
  /// last error.
  virtual void lost(std::int32_t peer) = 0;

protected:
  ~NetworkListener() = default;
};

/// Its caller makes one call at a time.
class Network {
public:
  virtual ~Network() = default;

  /// To be called before any operation.
  virtual void setListener(NetworkListener &listener) = 0;

  /// Whether an addition that is started after a write to \p peer is seen after
  /// it, without waiting for its end.
  virtual bool isOrdered(std::int32_t peer) const = 0;
  /// Starts the operation \p id: to write to the memory of \p peer, \p to bytes
  /// from its base. What is at \p from stays until it is done.
  virtual void write(std::int32_t peer, std::uint64_t to, const void *from,
                     std::uint64_t bytes, std::uint64_t id) = 0;
  /// Starts the operation \p id: to add one to the 64-bit counter \p counter
  /// bytes from the base of \p peer's memory.
  virtual void add(std::int32_t peer, std::uint64_t counter,
                   std::uint64_t id) = 0;
  /// Moves on what was started here, and what others do with this rank's
  /// memory. Returns whether anything happened.
  virtual bool progress() = 0;

  /// For a thread that sleeps while there is nothing to do: true if it may,
  /// until getEventFile() can be read. A network without such a file has -1.
  virtual bool arm() = 0;
  virtual int getEventFile() const = 0;
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_NETWORK_NETWORK_H
