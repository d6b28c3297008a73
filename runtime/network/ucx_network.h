//===- ucx_network.h - A network of UCX -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Writes and additions through UCX, over whatever it finds: verbs, TCP, shared
/// memory.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_NETWORK_UCX_NETWORK_H
#define FUSCO_RUNTIME_NETWORK_UCX_NETWORK_H

#include "runtime/network/network.h"
#include "runtime/network/ucp.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace fusco::runtime {

class UcxNetwork : public Network {
public:
  /// Lets others write to the \p bytes bytes at \p base, which outlive it.
  static fusco_status create(char *base, std::uint64_t bytes,
                             std::int32_t numRanks,
                             std::unique_ptr<UcxNetwork> &network);
  UcxNetwork(const UcxNetwork &) = delete;
  UcxNetwork &operator=(const UcxNetwork &) = delete;
  ~UcxNetwork() override;

  /// What another rank needs to connect(): to be sent as it is.
  fusco_status describe(std::vector<char> &description) const;
  /// Makes \p peer reachable. Nothing in \p description is trusted.
  fusco_status connect(std::int32_t peer, const char *description,
                       std::uint64_t bytes);
  /// Waits until all that connect() began is made. To be called when all ranks
  /// have come to that; they make progress until all are done.
  fusco_status finishConnecting(std::uint64_t timeoutUs);

  void setListener(NetworkListener &heard) override { listener = &heard; }
  bool isOrdered(std::int32_t peer) const override {
    return peers[peer].isOrdered;
  }
  void write(std::int32_t peer, std::uint64_t to, const void *from,
             std::uint64_t bytes, std::uint64_t id) override;
  void add(std::int32_t peer, std::uint64_t counter, std::uint64_t id) override;
  bool progress() override;
  bool arm() override;
  int getEventFile() const override { return eventFile; }

private:
  /// A rank that is reached through UCX.
  struct Peer {
    UcxNetwork *network = nullptr;
    std::int32_t rank = -1;
    ucp_ep_h endpoint = nullptr;
    ucp_rkey_h key = nullptr;
    std::uint64_t base = 0, bytes = 0; ///< of its memory
    bool isOrdered = false;            ///< is reached by messages, in order
    bool isLost = false;               ///< nothing may go there any more
  };
  /// An operation until it is over.
  struct Operation;

  explicit UcxNetwork(const Ucp &ucp) : ucp(ucp) {}
  bool takesMessagesInOrder(ucp_ep_h endpoint) const;
  fusco_status check(ucs_status_t status, const char *what) const;
  fusco_status failPeer(const Peer &peer, ucs_status_t status) const;
  Peer *find(std::int32_t rank, std::uint64_t to, std::uint64_t bytes,
             std::uint64_t id);
  Operation *begin(Peer &peer, std::uint64_t bytes, std::uint64_t id);
  /// What is to be called with the operation when a request is over.
  static ucp_request_param_t callAtEnd(Operation &operation);
  void putAndFlush(Operation &operation, std::uint64_t to, const void *from);
  void send(Operation &operation, std::uint64_t to, const void *from,
            std::uint64_t counter);
  static ucs_status_t receive(void *network, const void *header,
                              std::size_t headerBytes, void *data,
                              std::size_t bytes,
                              const ucp_am_recv_param_t *parameters);
  static void end(void *request, ucs_status_t status, void *operation);
  static void broken(void *peer, ucp_ep_h endpoint, ucs_status_t status);

  const Ucp &ucp;
  NetworkListener *listener = nullptr;
  ucp_context_h context = nullptr;
  ucp_mem_h memory = nullptr;
  ucp_worker_h worker = nullptr;
  int eventFile = -1;
  char *base = nullptr;
  std::uint64_t bytes = 0;
  std::vector<Peer> peers; ///< by rank
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_NETWORK_UCX_NETWORK_H
