//===- ucx_network.cpp - A network of UCX ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// An addition is a message, which the peer takes when it makes progress. A
/// write is a one-sided put, and that it has arrived is known when a flush
/// behind it is over. Where a network has no one-sided puts UCX makes messages
/// of them, whose answers end this process if the peer has just died (1.13:
/// "unexpected error" in ucp_request.inl): there a write is a message of ours,
/// which nobody answers and what is sent later does not overtake.
//
//===----------------------------------------------------------------------===//

#include "runtime/network/ucx_network.h"

#include "runtime/deadline.h"
#include "runtime/status.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

using namespace fusco::runtime;

namespace {
/// The number of our messages, of which UCX would allow several kinds.
constexpr unsigned messageKind = 0;

/// What a message starts with; what is to be written follows.
struct MessageHeader {
  static constexpr std::uint64_t noCounter = ~std::uint64_t(0);
  std::uint64_t to;
  std::uint64_t counter; ///< to add one to, or noCounter
};

/// How a description starts; the worker's address and the memory's key follow.
struct DescriptionHeader {
  std::uint64_t base, bytes;
  std::uint64_t addressBytes, keyBytes;
};
} // namespace

fusco_status UcxNetwork::check(ucs_status_t status, const char *what) const {
  if (status == UCS_OK)
    return FUSCO_OK;
  return fail(status == UCS_ERR_NO_MEMORY ? FUSCO_OUT_OF_MEMORY
                                          : FUSCO_UNSUPPORTED,
              "UCX cannot %s: %s", what, ucp.statusString(status));
}

fusco_status UcxNetwork::failPeer(const Peer &peer, ucs_status_t status) const {
  return fail(FUSCO_PEER_FAILED,
              "rank %" PRId32 " cannot be reached through UCX: %s", peer.rank,
              ucp.statusString(status));
}

//===--- Making and ending ------------------------------------------------===//

fusco_status UcxNetwork::create(char *base, std::uint64_t bytes,
                                std::int32_t numRanks,
                                std::unique_ptr<UcxNetwork> &network) {
  const Ucp *ucp;
  if (fusco_status status = Ucp::open(ucp))
    return status;
  std::unique_ptr<UcxNetwork> made(new (std::nothrow) UcxNetwork(*ucp));
  if (!made)
    return fail(FUSCO_OUT_OF_MEMORY, "no memory for a network");
  made->base = base;
  made->bytes = bytes;
  made->peers.resize(numRanks);

  ucp_config_t *config = nullptr;
  if (fusco_status status = made->check(
          ucp->configRead(nullptr, nullptr, &config), "read its settings"))
    return status;
  // Ranks of a node map each other's memory without UCX. Where nodes share a
  // host, UCX's shared memory has names that a killed process leaves behind.
  if (!std::getenv("UCX_TLS"))
    ucp->configModify(config, "TLS", "^posix,sysv,cma");
  // Pieces of a message on several lanes would let the next one overtake it.
  ucp->configModify(config, "MAX_EAGER_LANES", "1");
  ucp_params_t parameters = {};
  parameters.field_mask = UCP_PARAM_FIELD_FEATURES;
  parameters.features = UCP_FEATURE_RMA | UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  ucs_status_t result = ucp->initVersion(UCP_API_MAJOR, UCP_API_MINOR,
                                         &parameters, config, &made->context);
  ucp->configRelease(config);
  if (fusco_status status = made->check(result, "start"))
    return status;

  ucp_mem_map_params_t region = {};
  region.field_mask =
      UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH;
  region.address = base;
  region.length = bytes;
  if (fusco_status status =
          made->check(ucp->memMap(made->context, &region, &made->memory),
                      "register memory"))
    return status;

  ucp_worker_params_t workerParameters = {};
  workerParameters.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  workerParameters.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  if (fusco_status status = made->check(
          ucp->workerCreate(made->context, &workerParameters, &made->worker),
          "start a worker"))
    return status;
  ucp_am_handler_param_t handler = {};
  handler.field_mask =
      UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
      UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
  handler.id = messageKind;
  handler.flags = UCP_AM_FLAG_WHOLE_MSG;
  handler.cb = receive;
  handler.arg = made.get();
  if (fusco_status status = made->check(
          ucp->setAmRecvHandler(made->worker, &handler), "take messages"))
    return status;
  if (fusco_status status = made->check(
          ucp->workerGetEfd(made->worker, &made->eventFile), "wake a thread"))
    return status;
  network = std::move(made);
  return FUSCO_OK;
}

UcxNetwork::~UcxNetwork() {
  // Nobody needs what is still under way: whoever did has flushed.
  ucp_request_param_t parameters = {};
  parameters.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  parameters.flags = UCP_EP_CLOSE_FLAG_FORCE;
  std::vector<ucs_status_ptr_t> closing;
  listener = nullptr;
  for (Peer &peer : peers) {
    if (peer.key)
      ucp.rkeyDestroy(peer.key);
    if (!peer.endpoint)
      continue;
    ucs_status_ptr_t request = ucp.epClose(peer.endpoint, &parameters);
    if (UCS_PTR_IS_PTR(request))
      closing.push_back(request);
  }
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::seconds(2);
  for (ucs_status_ptr_t request : closing) {
    while (ucp.requestCheckStatus(request) == UCS_INPROGRESS &&
           std::chrono::steady_clock::now() < deadline)
      ucp.workerProgress(worker);
    ucp.requestFree(request);
  }
  if (worker)
    ucp.workerDestroy(worker);
  if (memory)
    ucp.memUnmap(context, memory);
  if (context)
    ucp.cleanup(context);
}

//===--- Connecting -------------------------------------------------------===//

fusco_status UcxNetwork::describe(std::vector<char> &description) const {
  ucp_address_t *address = nullptr;
  std::size_t addressBytes = 0, keyBytes = 0;
  void *key = nullptr;
  if (fusco_status status =
          check(ucp.workerGetAddress(worker, &address, &addressBytes),
                "tell its address"))
    return status;
  ucs_status_t packed = ucp.rkeyPack(context, memory, &key, &keyBytes);
  if (packed == UCS_OK) {
    DescriptionHeader header = {reinterpret_cast<std::uintptr_t>(base), bytes,
                                addressBytes, keyBytes};
    description.resize(sizeof(header) + addressBytes + keyBytes);
    char *at = description.data();
    std::memcpy(at, &header, sizeof(header));
    std::memcpy(at + sizeof(header), address, addressBytes);
    std::memcpy(at + sizeof(header) + addressBytes, key, keyBytes);
    ucp.rkeyBufferRelease(key);
  }
  ucp.workerReleaseAddress(worker, address);
  return check(packed, "pack the key of its memory");
}

fusco_status UcxNetwork::connect(std::int32_t rank, const char *description,
                                 std::uint64_t descriptionBytes) {
  DescriptionHeader header;
  bool isWhole = descriptionBytes >= sizeof(header);
  if (isWhole) {
    std::memcpy(&header, description, sizeof(header));
    std::uint64_t rest = descriptionBytes - sizeof(header);
    isWhole = header.addressBytes <= rest &&
              header.keyBytes == rest - header.addressBytes;
  }
  if (!isWhole)
    return fail(FUSCO_PEER_FAILED,
                "expected the UCX address of rank %" PRId32
                ", got something else",
                rank);
  Peer &peer = peers[rank];
  peer.network = this;
  peer.rank = rank;
  peer.base = header.base;
  peer.bytes = header.bytes;
  // UCX wants both as aligned as malloc gives them.
  std::vector<char> address(description + sizeof(header),
                            description + sizeof(header) + header.addressBytes);
  std::vector<char> key(description + sizeof(header) + header.addressBytes,
                        description + descriptionBytes);
  ucp_ep_params_t parameters = {};
  parameters.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS |
                          UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                          UCP_EP_PARAM_FIELD_ERR_HANDLER;
  parameters.address = reinterpret_cast<ucp_address_t *>(address.data());
  parameters.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  parameters.err_handler = {broken, &peer};
  ucs_status_t result = ucp.epCreate(worker, &parameters, &peer.endpoint);
  if (result == UCS_OK)
    result = ucp.rkeyUnpack(peer.endpoint, key.data(), &peer.key);
  return result == UCS_OK ? FUSCO_OK : failPeer(peer, result);
}

/// A process whose peer ends while UCX still makes their connection does not
/// always survive that (1.13: an assertion in wireup_ep.c): so it is made
/// before anything else happens.
fusco_status UcxNetwork::finishConnecting(std::uint64_t timeoutUs) {
  const auto deadline = deadlineAfter(timeoutUs);
  for (Peer &peer : peers) {
    if (!peer.endpoint)
      continue;
    ucp_request_param_t parameters = {};
    ucs_status_ptr_t request = ucp.epFlush(peer.endpoint, &parameters);
    ucs_status_t result = UCS_PTR_STATUS(request);
    if (UCS_PTR_IS_PTR(request)) {
      while ((result = ucp.requestCheckStatus(request)) == UCS_INPROGRESS &&
             std::chrono::steady_clock::now() < deadline)
        ucp.workerProgress(worker);
      ucp.requestFree(request);
    }
    if (result == UCS_INPROGRESS)
      return fail(FUSCO_TIMEOUT,
                  "rank %" PRId32 " took longer than %.1f s to connect through "
                  "UCX",
                  peer.rank, static_cast<double>(timeoutUs) / 1e6);
    if (result != UCS_OK)
      return failPeer(peer, result);
    // Only now its lanes are those that it keeps.
    peer.isOrdered = takesMessagesInOrder(peer.endpoint);
  }
  return FUSCO_OK;
}

/// Whether no lane to a peer is of a network with one-sided puts. Only the text
/// that UCX prints of an endpoint says so; a lane of another kind counts as one
/// that has them.
bool UcxNetwork::takesMessagesInOrder(ucp_ep_h endpoint) const {
  char *text = nullptr;
  std::size_t length = 0;
  FILE *stream = open_memstream(&text, &length);
  if (!stream)
    return false;
  ucp.epPrintInfo(endpoint, stream);
  std::fclose(stream);
  auto count = [&](const char *what) {
    int found = 0;
    for (const char *at = text; (at = std::strstr(at, what)); ++at)
      ++found;
    return found;
  };
  const int numLanes = count("lane[");
  int numOfMessages = 0;
  for (const char *kind : {":tcp/", ":cma/", ":posix/", ":sysv/"})
    numOfMessages += count(kind);
  std::free(text);
  return numLanes > 0 && numOfMessages == numLanes;
}

/// UCX has lost a peer.
void UcxNetwork::broken(void *user, ucp_ep_h, ucs_status_t status) {
  auto &peer = *static_cast<Peer *>(user);
  peer.isLost = true;
  if (!peer.network->listener)
    return;
  peer.network->failPeer(peer, status);
  peer.network->listener->lost(peer.rank);
}

//===--- Operations -------------------------------------------------------===//

struct UcxNetwork::Operation {
  Peer *peer;
  std::uint64_t id, bytes;
  MessageHeader header{}; ///< of its message, which UCX may read until the end
};

/// The rank, if it has these bytes; else the operation has failed.
UcxNetwork::Peer *UcxNetwork::find(std::int32_t rank, std::uint64_t to,
                                   std::uint64_t count, std::uint64_t id) {
  Peer &peer = peers[rank];
  // UCX ends the process where something is sent to a peer that it has lost.
  if (peer.isLost) {
    failPeer(peer, UCS_ERR_CONNECTION_RESET);
    listener->finished(id, FUSCO_PEER_FAILED, 0);
    return nullptr;
  }
  if (peer.endpoint && to <= peer.bytes && count <= peer.bytes - to)
    return &peer;
  fail(FUSCO_INVALID_ARGUMENT,
       "expected to write to the %" PRIu64 " bytes that rank %" PRId32
       " has registered, got %" PRIu64 " bytes at %" PRIu64,
       peer.bytes, rank, count, to);
  listener->finished(id, FUSCO_INVALID_ARGUMENT, 0);
  return nullptr;
}

/// Null, and the operation has failed, if there is no memory.
UcxNetwork::Operation *UcxNetwork::begin(Peer &peer, std::uint64_t count,
                                         std::uint64_t id) {
  auto *operation = new (std::nothrow) Operation{&peer, id, count};
  if (!operation) {
    fail(FUSCO_OUT_OF_MEMORY, "no memory for an operation of the network");
    listener->finished(id, FUSCO_OUT_OF_MEMORY, 0);
  }
  return operation;
}

ucp_request_param_t UcxNetwork::callAtEnd(Operation &operation) {
  ucp_request_param_t parameters = {};
  parameters.op_attr_mask =
      UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  parameters.cb.send = end;
  parameters.user_data = &operation;
  return parameters;
}

void UcxNetwork::end(void *request, ucs_status_t status, void *user) {
  std::unique_ptr<Operation> operation(static_cast<Operation *>(user));
  const Peer &peer = *operation->peer;
  UcxNetwork &self = *peer.network;
  if (request)
    self.ucp.requestFree(request);
  if (!self.listener)
    return; // the network is ending
  fusco_status result =
      status == UCS_OK ? FUSCO_OK : self.failPeer(peer, status);
  self.listener->finished(operation->id, result,
                          status == UCS_OK ? operation->bytes : 0);
}

/// \p operation is over when what was written has arrived.
void UcxNetwork::putAndFlush(Operation &operation, std::uint64_t to,
                             const void *from) {
  const Peer &peer = *operation.peer;
  ucp_request_param_t parameters = {};
  ucs_status_ptr_t started = ucp.put(peer.endpoint, from, operation.bytes,
                                     peer.base + to, peer.key, &parameters);
  // Its own end says too little; its error comes with the flush too.
  if (UCS_PTR_IS_PTR(started))
    ucp.requestFree(started);
  if (UCS_PTR_IS_ERR(started))
    return end(nullptr, UCS_PTR_STATUS(started), &operation);
  parameters = callAtEnd(operation);
  ucs_status_ptr_t request = ucp.epFlush(peer.endpoint, &parameters);
  if (!UCS_PTR_IS_PTR(request))
    end(nullptr, UCS_PTR_STATUS(request), &operation);
}

void UcxNetwork::send(Operation &operation, std::uint64_t to, const void *from,
                      std::uint64_t counter) {
  operation.header = {to, counter};
  ucp_request_param_t parameters = callAtEnd(operation);
  parameters.op_attr_mask |= UCP_OP_ATTR_FIELD_FLAGS;
  // A rendezvous would ask the peer, and have it answer.
  parameters.flags = UCP_AM_SEND_FLAG_EAGER;
  ucs_status_ptr_t request = ucp.amSend(
      operation.peer->endpoint, messageKind, &operation.header,
      sizeof(operation.header), from, from ? operation.bytes : 0, &parameters);
  if (!UCS_PTR_IS_PTR(request))
    end(nullptr, UCS_PTR_STATUS(request), &operation);
}

/// What is not as send() makes it is no peer's of ours, and dropped.
ucs_status_t UcxNetwork::receive(void *network, const void *header,
                                 std::size_t headerBytes, void *data,
                                 std::size_t count,
                                 const ucp_am_recv_param_t *parameters) {
  auto &self = *static_cast<UcxNetwork *>(network);
  MessageHeader message;
  if (headerBytes != sizeof(message) ||
      (parameters->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV))
    return UCS_OK;
  std::memcpy(&message, header, sizeof(message));
  if (message.to > self.bytes || count > self.bytes - message.to)
    return UCS_OK;
  if (count > 0)
    std::memcpy(self.base + message.to, data, count);
  if (message.counter == MessageHeader::noCounter)
    return UCS_OK;
  if (message.counter % sizeof(std::uint64_t) == 0 &&
      message.counter <= self.bytes - sizeof(std::uint64_t))
    __atomic_fetch_add(
        reinterpret_cast<std::uint64_t *>(self.base + message.counter), 1,
        __ATOMIC_RELEASE);
  return UCS_OK;
}

void UcxNetwork::write(std::int32_t rank, std::uint64_t to, const void *from,
                       std::uint64_t count, std::uint64_t id) {
  Peer *peer = find(rank, to, count, id);
  Operation *operation = peer ? begin(*peer, count, id) : nullptr;
  if (!operation)
    return;
  if (peer->isOrdered)
    send(*operation, to, from, MessageHeader::noCounter);
  else
    putAndFlush(*operation, to, from);
}

void UcxNetwork::add(std::int32_t rank, std::uint64_t counter,
                     std::uint64_t id) {
  constexpr std::uint64_t counterBytes = sizeof(std::uint64_t);
  Peer *peer = find(rank, counter, counterBytes, id);
  Operation *operation = peer ? begin(*peer, counterBytes, id) : nullptr;
  if (operation)
    send(*operation, /*to=*/0, /*from=*/nullptr, counter);
}

bool UcxNetwork::progress() {
  bool moved = false;
  // That a peer is lost is said one step later, and must be known before
  // anything more is sent there.
  constexpr int mostSteps = 64;
  for (int step = 0; step < mostSteps && ucp.workerProgress(worker); ++step)
    moved = true;
  return moved;
}

bool UcxNetwork::arm() { return ucp.workerArm(worker) == UCS_OK; }
