//===- server.cpp - The server of a rendezvous ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// One thread, on which everything after run() happens.
//
//===----------------------------------------------------------------------===//

#include "runtime/bootstrap/server.h"

#include "runtime/deadline.h"
#include "runtime/status.h"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

using namespace fusco::runtime;
namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;

/// Strangers: how many may be undecided at a time, and for how long.
constexpr int mostHalfOpen = 256;
constexpr std::chrono::seconds patienceWithStrangers(5);
constexpr std::size_t mostWhatBytes = 128;

//===--- Bodies -----------------------------------------------------------===//

/// A text behind its length.
static void append(std::string &body, const std::string &text) {
  auto bytes = static_cast<std::uint32_t>(text.size());
  body.append(reinterpret_cast<const char *>(&bytes), sizeof(bytes));
  body += text;
}

/// Takes a number, or a text, off the front of \p body; false if it is not
/// there.
template <typename Number> static bool take(std::string &body, Number &number) {
  if (body.size() < sizeof(number))
    return false;
  std::memcpy(&number, body.data(), sizeof(number));
  body.erase(0, sizeof(number));
  return true;
}
static bool take(std::string &body, std::string &text) {
  std::uint32_t bytes;
  if (!take(body, bytes) || bytes > body.size())
    return false;
  text = body.substr(0, bytes);
  body.erase(0, bytes);
  return true;
}

std::string fusco::runtime::makeHello(const std::string &token,
                                      const std::string &identity) {
  std::string body;
  append(body, token);
  append(body, identity);
  return body;
}

std::string fusco::runtime::makeGather(const char *what,
                                       std::uint64_t timeoutUs) {
  std::string body;
  append(body, std::string(what).substr(0, mostWhatBytes));
  body.append(reinterpret_cast<const char *>(&timeoutUs), sizeof(timeoutUs));
  return body;
}

/// Takes as long whatever the two have in common.
static bool areEqual(const std::string &a, const std::string &b) {
  unsigned difference = a.size() != b.size();
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

static std::string inSeconds(std::uint64_t us) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f s", static_cast<double>(us) / 1e6);
  return text;
}

//===--- Opening and ending -----------------------------------------------===//

RendezvousServer::Impl::Impl(tcp::endpoint endpoint)
    : acceptor(io), deadline(io) {
  acceptor.open(endpoint.protocol());
  acceptor.set_option(asio::socket_base::reuse_address(true));
  acceptor.bind(endpoint);
  acceptor.listen();
  port = acceptor.local_endpoint().port();
}

RendezvousServer::Impl::~Impl() {
  if (!thread.isRunning())
    return;
  // Last words go out, if they can: what rank 0 itself has said comes first.
  asio::post(io, [this] {
    isEnding = true;
    if (!clients.count(0))
      closeAll();
  });
  thread.stop();
}

void RendezvousServer::Impl::closeAll() {
  Error ignored;
  acceptor.close(ignored);
  deadline.cancel();
  for (auto &[rank, client] : clients)
    client->close();
}

fusco_status RendezvousServer::open(const std::string &host, std::uint16_t port,
                                    std::unique_ptr<RendezvousServer> &server) {
  try {
    asio::io_context io;
    tcp::endpoint endpoint =
        *tcp::resolver(io).resolve(host, std::to_string(port)).begin();
    server.reset(new RendezvousServer(std::make_unique<Impl>(endpoint)));
    return FUSCO_OK;
  } catch (const std::exception &error) {
    return fail(
        FUSCO_INVALID_ARGUMENT,
        "rank 0 cannot listen at %s:%u, where the ranks shall meet: %s; "
        "name an address of its machine and a free port with "
        "FUSCO_RENDEZVOUS=host:port",
        host.c_str(), port, error.what());
  }
}

RendezvousServer::RendezvousServer(std::unique_ptr<Impl> made)
    : impl(std::move(made)) {}
RendezvousServer::~RendezvousServer() = default;
std::uint16_t RendezvousServer::getPort() const { return impl->getPort(); }

//===--- Joining ----------------------------------------------------------===//

void RendezvousServer::Impl::run(std::int32_t ranks,
                                 const std::string &jobToken,
                                 const std::string &jobIdentity,
                                 std::uint64_t timeoutUs) {
  numRanks = ranks;
  token = jobToken;
  identity = jobIdentity;
  deadline.expires_after(boundTime(timeoutUs));
  deadline.async_wait([this, timeoutUs](const Error &error) {
    if (error || hasStarted)
      return;
    std::set<std::int32_t> present;
    for (auto &[rank, client] : clients)
      present.insert(rank);
    std::string reason =
        nameMissing(present) + " did not come within " + inSeconds(timeoutUs);
    if (numTurnedAway > 0)
      reason += "; connections turned away: " + std::to_string(numTurnedAway);
    sendToAll(FrameType::Refused, 0, FUSCO_TIMEOUT, reason);
    Error ignored;
    acceptor.close(ignored);
  });
  accept();
  thread.start(io);
}

void RendezvousServer::Impl::accept() {
  acceptor.async_accept([this](const Error &error, tcp::socket socket) {
    if (!acceptor.is_open())
      return;
    // Out of files, say: others will be closed.
    if (!error && numHalfOpen < mostHalfOpen)
      admit(std::move(socket));
    accept();
  });
}

void RendezvousServer::Impl::admit(tcp::socket socket) {
  auto client = std::make_shared<Connection>(std::move(socket));
  auto patience = std::make_shared<asio::steady_timer>(io);
  auto isDecided = std::make_shared<bool>(false);
  auto decide = [this, patience, isDecided] {
    if (std::exchange(*isDecided, true))
      return false;
    --numHalfOpen;
    patience->cancel();
    return true;
  };
  ++numHalfOpen;
  patience->expires_after(patienceWithStrangers);
  patience->async_wait([this, client, decide](const Error &) {
    if (!decide())
      return;
    ++numTurnedAway;
    client->close();
  });
  constexpr std::uint64_t mostHelloBytes =
      Rendezvous::mostTokenBytes + Rendezvous::mostIdentityBytes + 8;
  auto rank = std::make_shared<std::int32_t>(-1); // until it is greeted
  client->start(
      [rank](const FrameHeader &header) -> std::uint64_t {
        if (*rank < 0)
          return header.type == FrameType::Hello ? mostHelloBytes : 0;
        return header.type == FrameType::Gather
                   ? Rendezvous::mostGatherBytes + mostWhatBytes + 12
                   : 0;
      },
      [this, rank, decide, weak = std::weak_ptr<Connection>(client)](
          const FrameHeader &header, Connection::Body &body) {
        if (*rank >= 0)
          return receive(*rank, header, body);
        Client self = weak.lock();
        if (!self || !decide())
          return;
        greet(self, header, body);
        auto found = clients.find(header.rank);
        if (found != clients.end() && found->second == self)
          *rank = header.rank;
      },
      [this, rank, decide] {
        if (*rank >= 0)
          return lose(*rank);
        if (decide())
          ++numTurnedAway;
      });
}

void RendezvousServer::Impl::turnAway(const Client &client,
                                      const std::string &reason) {
  ++numTurnedAway;
  client->send(FrameType::Refused, 0, FUSCO_INVALID_ARGUMENT, reason);
  client->close();
}

void RendezvousServer::Impl::greet(const Client &client,
                                   const FrameHeader &header,
                                   const Connection::Body &body) {
  std::string rest = body, theirToken, theirIdentity;
  bool isWhole = header.type == FrameType::Hello && take(rest, theirToken) &&
                 take(rest, theirIdentity) && rest.empty();
  // A stranger learns nothing of the job.
  if (!isWhole || !areEqual(theirToken, token))
    return turnAway(client, "rank 0 turned this process away: expected the "
                            "job's token, got another; set FUSCO_JOB_TOKEN to "
                            "the same on all ranks");
  if (header.number != numRanks)
    return turnAway(client, "expected " + std::to_string(numRanks) +
                                " ranks, as on rank 0, got " +
                                std::to_string(header.number));
  if (header.rank < 0 || header.rank >= numRanks)
    return turnAway(client, "expected a rank from 0 to " +
                                std::to_string(numRanks - 1) + ", got " +
                                std::to_string(header.rank));
  if (clients.count(header.rank) || hasStarted)
    return turnAway(client, "expected one process of rank " +
                                std::to_string(header.rank) + ", got another");
  if (theirIdentity != identity)
    return turnAway(client, "expected the library of rank 0 (" + identity +
                                "), got another (" + theirIdentity + ")");
  clients.emplace(header.rank, client);
  if (static_cast<std::int32_t>(clients.size()) == numRanks)
    welcomeAll();
}

void RendezvousServer::Impl::welcomeAll() {
  hasStarted = true;
  deadline.cancel();
  Error ignored;
  acceptor.close(ignored);
  sendToAll(FrameType::Welcome, 0, 0);
}

//===--- Serving ----------------------------------------------------------===//

void RendezvousServer::Impl::sendToAll(FrameType type, std::int32_t rank,
                                       std::int32_t value,
                                       const Connection::Body &body) {
  const auto receivers = clients; // which may end on the way
  for (auto &[receiver, client] : receivers)
    client->send(type, rank, value, body);
}

std::string RendezvousServer::Impl::nameMissing(
    const std::set<std::int32_t> &present) const {
  std::string text;
  int missing = 0;
  for (std::int32_t rank = 0; rank < numRanks; ++rank) {
    if (present.count(rank))
      continue;
    text += (missing++ ? ", " : "") + std::to_string(rank);
    if (missing == 16)
      break; // a line
  }
  return (missing == 1 ? "rank " : "ranks ") + text;
}

void RendezvousServer::Impl::receive(std::int32_t rank,
                                     const FrameHeader &header,
                                     Connection::Body &body) {
  switch (header.type) {
  case FrameType::Gather:
    return gather(rank, header, body);
  case FrameType::Failed:
    for (auto &[receiver, client] : std::map(clients))
      if (receiver != rank)
        client->send(FrameType::Failed, rank, header.number);
    // It will not come to another gather, nor need it be waited for.
    done.insert(rank);
    return checkLeft();
  case FrameType::Leave:
    done.insert(rank);
    return checkLeft();
  default:
    return; // only servers send those
  }
}

void RendezvousServer::Impl::gather(std::int32_t rank,
                                    const FrameHeader &header,
                                    Connection::Body &body) {
  std::string theirs;
  std::uint64_t timeoutUs;
  if (!take(body, theirs) || !take(body, timeoutUs) || header.number < number)
    return; // late: it has failed
  if (contributions.empty()) {
    number = header.number;
    what = theirs;
    deadline.expires_after(boundTime(timeoutUs));
    deadline.async_wait([this, timeoutUs](const Error &error) {
      if (error || contributions.empty())
        return;
      std::set<std::int32_t> present;
      for (auto &[from, bytes] : contributions)
        present.insert(from);
      failGather(nameMissing(present) + " did not come to " + what +
                 " within " + inSeconds(timeoutUs));
    });
  } else if (header.number != number ||
             body.size() != contributions.begin()->second.size()) {
    return failGather(
        "expected the same call on all ranks, got " + what + " on rank " +
        std::to_string(contributions.begin()->first) + " and " + theirs +
        " of another size on rank " + std::to_string(rank));
  }
  contributions[rank] = std::move(body);
  if (static_cast<std::int32_t>(contributions.size()) != numRanks)
    return;
  std::string all;
  for (auto &[from, bytes] : contributions)
    all += bytes;
  contributions.clear();
  deadline.cancel();
  sendToAll(FrameType::Gathered, 0, number++, all);
}

void RendezvousServer::Impl::failGather(const std::string &reason) {
  contributions.clear();
  deadline.cancel();
  sendToAll(FrameType::GatherFailed, 0, number++, reason);
}

void RendezvousServer::Impl::lose(std::int32_t rank) {
  clients.erase(rank);
  // Before all were there it may come again.
  if (hasStarted) {
    if (done.insert(rank).second)
      sendToAll(FrameType::Gone, rank, 0);
    checkLeft();
  }
  if (isEnding && rank == 0)
    closeAll();
}

void RendezvousServer::Impl::checkLeft() {
  if (hasStarted && static_cast<std::int32_t>(done.size()) == numRanks)
    sendToAll(FrameType::Left, 0, 0);
}
