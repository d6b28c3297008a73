//===- rendezvous.cpp - The line between the processes of a job -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The client that every rank has.
//
//===----------------------------------------------------------------------===//

#include "runtime/bootstrap/rendezvous.h"

#include "runtime/bootstrap/connection.h"
#include "runtime/bootstrap/io_thread.h"
#include "runtime/bootstrap/server.h"
#include "runtime/deadline.h"
#include "runtime/status.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

using namespace fusco::runtime;
namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using Error = boost::system::error_code;

namespace {

/// The server knows best who is missing, and has as long to say so.
constexpr std::chrono::seconds serverMargin(2);

} // namespace

struct Rendezvous::Impl {
  Impl(const Job &job, RendezvousListener &listener)
      : job(job), listener(listener) {}
  ~Impl();

  fusco_status connect(const std::string &identity, std::uint64_t timeoutUs);
  void receive(const FrameHeader &header, Connection::Body &body);
  void loseServer();
  void send(FrameType type, std::int32_t number, Connection::Body body = {});
  /// Waits until \p isDone, which is asked under the lock; false at \p
  /// deadline.
  template <typename Condition>
  bool wait(std::unique_lock<std::mutex> &lock, Clock::time_point deadline,
            Condition isDone) {
    return changed.wait_until(lock, deadline, isDone);
  }

  const Job job;
  RendezvousListener &listener;
  asio::io_context io;
  std::shared_ptr<Connection> connection;
  IoThread thread;

  // What the thread leaves for callers.
  std::mutex mutex;
  std::condition_variable changed;
  bool isWelcome = false, hasLeft = false, allHaveLeft = false;
  std::string refusal; ///< why the server turned this rank away, or lost it
  fusco_status refusalStatus = FUSCO_PEER_FAILED;
  std::string fault; ///< why no further gather can succeed
  /// The first is the cause of others.
  void setFault(const std::string &text) {
    if (fault.empty())
      fault = text;
  }
  std::int32_t numGathers = 0;
  std::optional<std::string> gathered, gatherFailure;
};

//===--- Thread -----------------------------------------------------------===//

void Rendezvous::Impl::receive(const FrameHeader &header,
                               Connection::Body &body) {
  std::unique_lock<std::mutex> lock(mutex);
  switch (header.type) {
  case FrameType::Welcome:
    isWelcome = true;
    break;
  case FrameType::Refused:
    refusal = body;
    refusalStatus = static_cast<fusco_status>(header.number);
    break;
  case FrameType::Gathered:
    if (header.number == numGathers)
      gathered = std::move(body);
    break;
  case FrameType::GatherFailed:
    if (header.number == numGathers)
      gatherFailure = std::move(body);
    break;
  case FrameType::Gone:
    setFault("the process of rank " + std::to_string(header.rank) +
             " was lost");
    lock.unlock();
    listener.rankGone(header.rank);
    break;
  case FrameType::Failed:
    setFault("rank " + std::to_string(header.rank) + " failed with " +
             fusco_status_name(static_cast<fusco_status>(header.number)));
    lock.unlock();
    listener.rankFailed(header.rank, header.number);
    break;
  case FrameType::Left:
    allHaveLeft = true;
    break;
  default:
    break; // only clients send those
  }
  changed.notify_all();
}

void Rendezvous::Impl::loseServer() {
  bool isFailure;
  {
    std::lock_guard<std::mutex> lock(mutex);
    isFailure = isWelcome && !hasLeft && !allHaveLeft;
    if (refusal.empty())
      refusal = "rank 0 has closed the connection";
    setFault("the process of rank 0 was lost");
    allHaveLeft = true; // nobody can say so any more
  }
  if (isFailure)
    listener.rankGone(0);
  changed.notify_all();
}

void Rendezvous::Impl::send(FrameType type, std::int32_t number,
                            Connection::Body body) {
  asio::post(io, [this, type, number, body = std::move(body)]() mutable {
    connection->send(type, job.rank, number, std::move(body));
  });
}

Rendezvous::Impl::~Impl() {
  if (!thread.isRunning())
    return;
  // What is still to be sent goes out, if it can.
  asio::post(io, [this] { connection->close(); });
  thread.stop();
}

//===--- Joining ----------------------------------------------------------===//

/// Whether \p socket is connected to itself: while nobody listens at a port
/// that the system also gives to clients, it may give it to the one that calls
/// there. Leaves the port free at once.
static bool isOwnEnd(tcp::socket &socket) {
  Error ignored;
  if (socket.local_endpoint(ignored) != socket.remote_endpoint(ignored))
    return false;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  return true;
}

fusco_status Rendezvous::Impl::connect(const std::string &identity,
                                       std::uint64_t timeoutUs) {
  const auto deadline = deadlineAfter(timeoutUs);
  constexpr std::chrono::milliseconds pause(20);
  tcp::socket socket(io);
  Error error;
  // Rank 0 may be there later than others.
  do {
    tcp::resolver resolver(io);
    auto found = resolver.resolve(job.host, std::to_string(job.port), error);
    if (!error) {
      // Not blocking: a host that does not answer would take minutes.
      std::optional<Error> result;
      asio::async_connect(
          socket, found,
          [&](const Error &e, const tcp::endpoint &) { result = e; });
      io.restart();
      io.run_until(deadline);
      if (!result) {
        Error ignored;
        socket.close(ignored);
        io.restart();
        io.run();
        result = asio::error::timed_out;
      }
      error = *result;
      if (!error && isOwnEnd(socket))
        error = asio::error::connection_refused;
    }
    if (error) {
      Error ignored;
      socket.close(ignored);
      std::this_thread::sleep_for(pause);
    }
  } while (error && Clock::now() < deadline);
  if (error)
    return fail(FUSCO_TIMEOUT,
                "rank %" PRId32 ": expected rank 0 to listen at %s:%u within "
                "%.1f s, got: %s",
                job.rank, job.host.c_str(), job.port,
                static_cast<double>(timeoutUs) / 1e6, error.message().c_str());

  connection = std::make_shared<Connection>(std::move(socket));
  const std::uint64_t mostBody =
      mostGatherBytes * static_cast<std::uint64_t>(job.numRanks);
  connection->start([=](const FrameHeader &) { return mostBody; },
                    [this](const FrameHeader &header, Connection::Body &body) {
                      receive(header, body);
                    },
                    [this] { loseServer(); });
  connection->send(FrameType::Hello, job.rank, job.numRanks,
                   makeHello(job.token, identity));
  io.restart();
  thread.start(io);

  std::unique_lock<std::mutex> lock(mutex);
  wait(lock, std::max(deadline, Clock::now()) + serverMargin,
       [&] { return isWelcome || !refusal.empty(); });
  if (isWelcome)
    return FUSCO_OK;
  if (!refusal.empty())
    return fail(refusalStatus, "rank %" PRId32 ": %s", job.rank,
                refusal.c_str());
  return fail(FUSCO_TIMEOUT, "rank %" PRId32 ": no answer of rank 0 at %s:%u",
              job.rank, job.host.c_str(), job.port);
}

/// A port may be taken for a moment by a client that the system gave it.
static fusco_status openServer(const Job &job, std::uint64_t timeoutUs,
                               std::unique_ptr<RendezvousServer> &server) {
  constexpr std::uint64_t mostUs = 2 * 1000 * 1000;
  constexpr std::chrono::milliseconds pause(20);
  const auto deadline = deadlineAfter(std::min(timeoutUs, mostUs));
  fusco_status status;
  while ((status = RendezvousServer::open(job.host, job.port, server)) !=
             FUSCO_OK &&
         Clock::now() < deadline)
    std::this_thread::sleep_for(pause);
  return status;
}

fusco_status Rendezvous::join(const Job &job, const std::string &identity,
                              std::unique_ptr<RendezvousServer> server,
                              std::uint64_t timeoutUs,
                              RendezvousListener &listener,
                              std::unique_ptr<Rendezvous> &rendezvous) {
  if (job.numRanks < 1 || job.rank < 0 || job.rank >= job.numRanks)
    return fail(FUSCO_INVALID_ARGUMENT,
                "expected a rank from 0 to %" PRId32 ", got %" PRId32,
                job.numRanks - 1, job.rank);
  if (identity.size() > mostIdentityBytes || job.token.size() > mostTokenBytes)
    return fail(FUSCO_INVALID_ARGUMENT,
                "expected a job token of at most %zu bytes, got %zu",
                mostTokenBytes, job.token.size());
  try {
    if (job.rank == 0 && !server)
      if (fusco_status status = openServer(job, timeoutUs, server))
        return status;
    if (server)
      server->impl->run(job.numRanks, job.token, identity, timeoutUs);
    std::unique_ptr<Rendezvous> made(
        new Rendezvous(std::make_unique<Impl>(job, listener)));
    made->server = std::move(server);
    if (fusco_status status = made->impl->connect(identity, timeoutUs))
      return status;
    rendezvous = std::move(made);
    return FUSCO_OK;
  } catch (const std::exception &error) {
    return fail(FUSCO_OUT_OF_MEMORY,
                "rank %" PRId32 ": cannot meet at %s:%u: %s", job.rank,
                job.host.c_str(), job.port, error.what());
  }
}

Rendezvous::Rendezvous(std::unique_ptr<Impl> made) : impl(std::move(made)) {}
/// The client first, which the server would take for lost.
Rendezvous::~Rendezvous() { impl.reset(); }

//===--- Calls ------------------------------------------------------------===//

fusco_status Rendezvous::allGather(const char *what, const void *mine,
                                   std::uint64_t bytes, void *all,
                                   std::uint64_t timeoutUs) {
  if (bytes > mostGatherBytes)
    return fail(FUSCO_INVALID_ARGUMENT,
                "expected at most %" PRIu64 " bytes of a rank, got %" PRIu64,
                mostGatherBytes, bytes);
  try {
    std::string body = makeGather(what, timeoutUs);
    body.append(static_cast<const char *>(mine), bytes);
    std::unique_lock<std::mutex> lock(impl->mutex);
    impl->gathered.reset();
    impl->gatherFailure.reset();
    std::int32_t number = ++impl->numGathers;
    if (impl->fault.empty())
      impl->send(FrameType::Gather, number, std::move(body));
    bool isDone =
        impl->wait(lock, deadlineAfter(timeoutUs) + serverMargin, [&] {
          return impl->gathered || impl->gatherFailure || !impl->fault.empty();
        });
    if (impl->gathered &&
        impl->gathered->size() == bytes * impl->job.numRanks) {
      std::memcpy(all, impl->gathered->data(), impl->gathered->size());
      return FUSCO_OK;
    }
    if (impl->gatherFailure)
      return fail(FUSCO_TIMEOUT, "rank %" PRId32 ": %s", impl->job.rank,
                  impl->gatherFailure->c_str());
    return fail(isDone ? FUSCO_PEER_FAILED : FUSCO_TIMEOUT,
                "rank %" PRId32 ": gave up %s because %s", impl->job.rank, what,
                isDone ? impl->fault.c_str() : "rank 0 does not answer");
  } catch (const std::bad_alloc &) {
    return fail(FUSCO_OUT_OF_MEMORY, "no memory for %s", what);
  }
}

void Rendezvous::reportFailure(std::int32_t status) {
  impl->send(FrameType::Failed, status);
}

bool Rendezvous::leave(std::uint64_t timeoutUs) {
  std::unique_lock<std::mutex> lock(impl->mutex);
  impl->hasLeft = true;
  impl->send(FrameType::Leave, 0);
  return impl->wait(lock, deadlineAfter(timeoutUs),
                    [&] { return impl->allHaveLeft; });
}
