//===- server.h - The server of a rendezvous --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Rank 0's half of a rendezvous, and the bodies of frames that both halves
/// know.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_BOOTSTRAP_SERVER_H
#define FUSCO_RUNTIME_BOOTSTRAP_SERVER_H

#include "runtime/bootstrap/connection.h"
#include "runtime/bootstrap/io_thread.h"
#include "runtime/bootstrap/rendezvous.h"

#include <boost/asio/steady_timer.hpp>

#include <map>
#include <set>

namespace fusco::runtime {

/// The body of a Hello: who somebody is.
std::string makeHello(const std::string &token, const std::string &identity);

/// What the body of a Gather starts with; the bytes follow.
std::string makeGather(const char *what, std::uint64_t timeoutUs);

struct RendezvousServer::Impl {
  explicit Impl(boost::asio::ip::tcp::acceptor::endpoint_type endpoint);
  ~Impl();

  /// Serves the ranks of one job, on a thread of its own.
  void run(std::int32_t numRanks, const std::string &token,
           const std::string &identity, std::uint64_t timeoutUs);

  std::uint16_t getPort() const { return port; }

private:
  using Client = std::shared_ptr<Connection>;

  void accept();
  void admit(boost::asio::ip::tcp::socket socket);
  /// A first frame: whether it is a rank of this job.
  void greet(const Client &client, const FrameHeader &header,
             const Connection::Body &body);
  void turnAway(const Client &client, const std::string &reason);
  void welcomeAll();
  void receive(std::int32_t rank, const FrameHeader &header,
               Connection::Body &body);
  void gather(std::int32_t rank, const FrameHeader &header,
              Connection::Body &body);
  void failGather(const std::string &reason);
  void lose(std::int32_t rank);
  void checkLeft();
  void closeAll();
  void sendToAll(FrameType type, std::int32_t rank, std::int32_t number,
                 const Connection::Body &body = {});
  /// "rank 3" or "ranks 3, 5": those of the job that \p present lacks.
  std::string nameMissing(const std::set<std::int32_t> &present) const;

  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor acceptor;
  std::uint16_t port = 0;
  IoThread thread;

  std::int32_t numRanks = 0;
  std::string token, identity;
  boost::asio::steady_timer deadline; ///< of joining, then of a gather
  int numHalfOpen = 0, numTurnedAway = 0;
  bool hasStarted = false;                ///< all ranks are there
  std::map<std::int32_t, Client> clients; ///< by rank, while connected
  bool isEnding = false;       ///< as soon as rank 0's client has closed
  std::set<std::int32_t> done; ///< have left or are gone

  // The gather under way.
  std::int32_t number = 0;
  std::string what;
  std::map<std::int32_t, std::string> contributions;
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_BOOTSTRAP_SERVER_H
