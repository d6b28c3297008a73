//===- connection.h - Frames over TCP ---------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// One end of a TCP connection that carries frames. Everything happens on the
/// thread of its io_context.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_BOOTSTRAP_CONNECTION_H
#define FUSCO_RUNTIME_BOOTSTRAP_CONNECTION_H

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace fusco::runtime {

/// What frames say.
enum class FrameType : std::uint32_t {
  Hello = 1,    ///< client: rank, body HelloBody and texts
  Welcome,      ///< server: all ranks are there
  Refused,      ///< server: body is the reason
  Gather,       ///< client: number of the gather, body are its bytes
  Gathered,     ///< server: body are all ranks' bytes
  GatherFailed, ///< server: body is the reason
  Failed,       ///< both: rank, number is its fusco_status
  Gone,         ///< server: rank
  Leave,        ///< client
  Left          ///< server: all have left or are gone
};

/// As it stands on the wire; all machines are little-endian.
struct FrameHeader {
  std::uint32_t magic;
  FrameType type;
  std::int32_t rank;
  std::int32_t number;
  std::uint64_t bytes; ///< of the body
};

/// Kept alive by the operations under way.
class Connection : public std::enable_shared_from_this<Connection> {
public:
  using Body = std::string;
  /// The most bytes that a frame may have that starts like this.
  using Limit = std::function<std::uint64_t(const FrameHeader &)>;
  using OnFrame = std::function<void(const FrameHeader &, Body &)>;
  using OnClose = std::function<void()>;

  explicit Connection(boost::asio::ip::tcp::socket socket);

  /// Reads frames until the connection ends, for whatever reason: onClose is
  /// then called once. A frame without our magic, or beyond its limit, ends it.
  void start(Limit limit, OnFrame onFrame, OnClose onClose);
  void send(FrameType type, std::int32_t rank, std::int32_t number,
            Body body = {});
  /// Ends it when what was sent is on its way; onClose is not called.
  void close();

private:
  void readHeader();
  void readBody();
  void writeNext();
  void end();

  boost::asio::ip::tcp::socket socket;
  Limit limit;
  OnFrame onFrame;
  OnClose onClose;
  FrameHeader header{};
  Body body;
  std::deque<std::string> outbox;
  bool closes = false, hasEnded = false;
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_BOOTSTRAP_CONNECTION_H
