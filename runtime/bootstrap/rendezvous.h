//===- rendezvous.h - The line between the processes of a job ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Where the ranks of a job meet, exchange what they need to reach each other,
/// and learn that one of them is gone. A star over TCP: each rank is a client
/// of a server in rank 0's process. No row ever comes this way.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_BOOTSTRAP_RENDEZVOUS_H
#define FUSCO_RUNTIME_BOOTSTRAP_RENDEZVOUS_H

#include "runtime/bootstrap/job.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace fusco::runtime {

/// What a rank hears of others, on a thread of the rendezvous.
class RendezvousListener {
public:
  /// The process of \p rank has ended, or cannot be reached, and had not left.
  virtual void rankGone(std::int32_t rank) = 0;
  /// \p rank has reported a failure, a fusco_status.
  virtual void rankFailed(std::int32_t rank, std::int32_t status) = 0;

protected:
  ~RendezvousListener() = default;
};

/// Rank 0's half that the others connect to.
class RendezvousServer {
public:
  /// Listens on \p host, a name or an address of this machine; \p port 0: any
  /// that is free.
  static fusco_status open(const std::string &host, std::uint16_t port,
                           std::unique_ptr<RendezvousServer> &server);
  ~RendezvousServer();
  std::uint16_t getPort() const;

private:
  friend class Rendezvous;
  struct Impl;
  explicit RendezvousServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

class Rendezvous {
public:
  static constexpr std::size_t mostIdentityBytes = 256, mostTokenBytes = 256;
  static constexpr std::uint64_t mostGatherBytes = 1 << 20;

  /// Meets all ranks of \p job within \p timeoutUs. What is not of this job, a
  /// wrong token above all, is turned away without harm to it. \p identity must
  /// be the same on all ranks. On rank 0 \p server may be open already.
  static fusco_status join(const Job &job, const std::string &identity,
                           std::unique_ptr<RendezvousServer> server,
                           std::uint64_t timeoutUs,
                           RendezvousListener &listener,
                           std::unique_ptr<Rendezvous> &rendezvous);
  /// Without leave() before it, the other ranks take it for a failure.
  ~Rendezvous();

  /// Collects \p bytes bytes of each rank, as many on all, into \p all. All
  /// ranks call it in the same order. Ends at once with FUSCO_PEER_FAILED if a
  /// rank is gone or has failed, with FUSCO_TIMEOUT, naming who has not come,
  /// after \p timeoutUs. \p what stands in the errors.
  fusco_status allGather(const char *what, const void *mine,
                         std::uint64_t bytes, void *all,
                         std::uint64_t timeoutUs);

  /// Tells all other ranks; does not wait.
  void reportFailure(std::int32_t status);

  /// Says that this rank is done, and waits until all others have said so or
  /// are gone. Returns whether that was so within \p timeoutUs.
  bool leave(std::uint64_t timeoutUs);

private:
  struct Impl;
  explicit Rendezvous(std::unique_ptr<Impl> impl);
  std::unique_ptr<RendezvousServer> server; ///< of rank 0
  std::unique_ptr<Impl> impl;
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_BOOTSTRAP_RENDEZVOUS_H
