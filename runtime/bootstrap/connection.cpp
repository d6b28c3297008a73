//===- connection.cpp - Frames over TCP -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Reading and writing, one frame after the other.
//
//===----------------------------------------------------------------------===//

#include "runtime/bootstrap/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <cstring>
#include <netinet/tcp.h>
#include <utility>

using namespace fusco::runtime;
namespace asio = boost::asio;
using Error = boost::system::error_code;

constexpr std::uint32_t magic = 0x4f435346; // "FSCO"

Connection::Connection(asio::ip::tcp::socket open) : socket(std::move(open)) {
  Error ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  // A host that has vanished is noticed, by who sends and by who does not.
  using UserTimeout =
      asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
  using KeepIdle =
      asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
  using KeepInterval =
      asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
  using KeepCount =
      asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>;
  socket.set_option(UserTimeout(10000), ignored); // ms
  socket.set_option(KeepIdle(5), ignored);        // s
  socket.set_option(KeepInterval(1), ignored);    // s
  socket.set_option(KeepCount(5), ignored);
}

void Connection::start(Limit frameLimit, OnFrame frameHandler,
                       OnClose closeHandler) {
  limit = std::move(frameLimit);
  onFrame = std::move(frameHandler);
  onClose = std::move(closeHandler);
  readHeader();
}

void Connection::readHeader() {
  asio::async_read(
      socket, asio::buffer(&header, sizeof(header)),
      [self = shared_from_this()](const Error &error, std::size_t) {
        if (error || self->header.magic != magic ||
            self->header.bytes > self->limit(self->header))
          return self->end();
        self->body.resize(self->header.bytes);
        self->readBody();
      });
}

void Connection::readBody() {
  asio::async_read(
      socket, asio::buffer(body),
      [self = shared_from_this()](const Error &error, std::size_t) {
        if (error)
          return self->end();
        self->onFrame(self->header, self->body);
        if (!self->hasEnded && !self->closes)
          self->readHeader();
      });
}

void Connection::send(FrameType type, std::int32_t rank, std::int32_t number,
                      Body content) {
  if (hasEnded || closes)
    return;
  FrameHeader sent = {magic, type, rank, number, content.size()};
  std::string frame(sizeof(sent) + content.size(), '\0');
  std::memcpy(&frame[0], &sent, sizeof(sent));
  std::memcpy(&frame[0] + sizeof(sent), content.data(), content.size());
  outbox.push_back(std::move(frame));
  if (outbox.size() == 1)
    writeNext();
}

void Connection::writeNext() {
  asio::async_write(
      socket, asio::buffer(outbox.front()),
      [self = shared_from_this()](const Error &error, std::size_t) {
        if (error || self->hasEnded)
          return self->end();
        self->outbox.pop_front();
        if (!self->outbox.empty())
          self->writeNext();
        else if (self->closes)
          self->end();
      });
}

void Connection::close() {
  onClose = {};
  closes = true;
  if (outbox.empty())
    end();
}

void Connection::end() {
  if (std::exchange(hasEnded, true))
    return;
  Error ignored;
  socket.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket.close(ignored);
  if (auto handler = std::exchange(onClose, {}))
    handler();
}
