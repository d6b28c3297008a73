//===- membership.h - A process among those of a job ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What a process has because it has joined a domain: its line to the other
/// processes, the memory that it shares with them, and the network.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_MEMBERSHIP_H
#define FUSCO_RUNTIME_MEMBERSHIP_H

#include "runtime/arena.h"
#include "runtime/bootstrap/rendezvous.h"
#include "runtime/cuda/nccl_window.h"
#include "runtime/network/counted_puts.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace fusco::runtime {

struct RankFailure;

/// What another process needs to map a rank's memory. Plain data, sent as it
/// is.
struct MemoryHandles {
  ArenaHandle arena;
  ArenaHandle networkHeap; ///< of NetworkHeaps, where there are any
};

class Membership : private RendezvousListener {
public:
  /// Meets the other processes, agrees with them on everything, maps what is on
  /// this host and connects to the rest: fills \p domain's `bases` and
  /// `membership`. All of them fail together.
  static fusco_status join(const fusco_domain_config &config,
                           fusco_domain &domain);
  /// Waits, bounded, until no other process needs this one.
  ~Membership();

  std::int32_t getRank() const { return rank; }
  Arena &getArena() { return *arena; }
  const Arena &getArena() const { return *arena; }
  /// NULL where every rank's memory is mapped.
  CountedPuts *getNetwork() { return network.get(); }

  /// Collective, see Rendezvous::allGather.
  fusco_status allGather(const char *what, const void *mine,
                         std::uint64_t bytes, void *all);

  /// Marks the domain, and ends what kernels wait for. Returns whether
  /// \p failure was the first. Any thread.
  bool markFailed(RankFailure failure);
  /// Tells the other processes that this rank has failed.
  void reportFailure(fusco_status status);
  /// Waits a little for a peer that has been waited for \p elapsedUs: lets the
  /// network work, and marks the domain if it has lost a rank. Returns false if
  /// there is no network.
  bool pause(std::int64_t elapsedUs);

private:
  Membership(const fusco_domain_config &config, fusco_domain &domain)
      : domain(domain), timeoutUs(config.timeoutUs),
        transport(config.transport) {}

  fusco_status meet(const fusco_domain_config &config);
  fusco_status shareMemory(const fusco_domain_config &config);
  fusco_status shareWindow(void *comm, std::uint64_t bytes);
  fusco_status makeMemory(std::uint64_t tensorBytes, MemoryHandles &handles);
  fusco_status mapMemory(std::int32_t peer, const MemoryHandles &handles);
  bool isInNode(std::int32_t peer) const;
  fusco_status connect();
  fusco_status agree(const char *what, fusco_status mine);

  // On the rendezvous' own thread.
  void rankGone(std::int32_t gone) override;
  void rankFailed(std::int32_t failed, std::int32_t status) override;

  fusco_domain &domain;
  const std::uint64_t timeoutUs;
  const std::string transport; ///< "ipc", "ucx" or "nccl"
  std::int32_t rank = -1;
  std::atomic<bool> hasJoined{false};
  bool usesNetwork = false;           ///< for other nodes
  std::unique_ptr<NcclWindow> window; ///< with "nccl", what the arena is in
  std::unique_ptr<Arena> arena;
  std::vector<Mapping> mappings; ///< of other processes' arenas, by rank
  std::unique_ptr<CountedPuts> network;
  std::unique_ptr<Rendezvous> rendezvous; ///< ended first
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_MEMBERSHIP_H
