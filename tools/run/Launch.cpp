//===- Launch.cpp - The ranks of a run and their tensors ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The bridge between exceptions and statuses, tensors and plans.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Launch.h"

#include "tools/common/Error.h"
#include "tools/run/Gpu.h"
#include "tools/run/Processes.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <mutex>
#include <optional>
#include <sched.h>

namespace fusco::run {
namespace {

/// A call of the library that failed.
struct StatusError : Error {
  StatusError(fusco_status status, const std::string &text)
      : Error(text), status(status) {}
  fusco_status status;
};

void require(const Library &library, fusco_status status) {
  if (status == FUSCO_OK)
    return;
  // Taken at once: the text lasts only until the thread's next call.
  throw StatusError(status, fmt::format("{} ({})", library.api().lastError(),
                                        library.api().statusName(status)));
}

/// What the threads of a launch share.
struct Launch {
  const Library &library;
  const std::function<void(Rank &)> &body;
  ThreadTeam team;
  std::mutex mutex;
  std::exception_ptr exception;            ///< the first of our own
  std::map<int, StatusError> statusErrors; ///< by rank
};

/// Where ranks outnumber processors and use them, binds the calling thread to
/// one. Ranks of the same local index hand rows to each other through rings
/// that a core's cache holds, so they get the same one. Where the system
/// refuses, threads go where it likes.
void bindToProcessor(const Rank &rank) {
  const reference::Shape &shape = rank.library.shape();
  cpu_set_t allowed;
  if (rank.library.isOnGpu())
    return;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 ||
      shape.numRanks() <= CPU_COUNT(&allowed))
    return;
  const int local = rank.index % shape.ranksPerNode;
  int before = local * CPU_COUNT(&allowed) / shape.ranksPerNode;
  int processor = 0;
  while (!CPU_ISSET(processor, &allowed) || before-- > 0)
    ++processor;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  sched_setaffinity(0, sizeof one, &one);
}

fusco_status runRank(fusco_context *context, void *user) {
  Launch &launch = *static_cast<Launch *>(user);
  Rank rank(launch.library, context, launch.team);
  bindToProcessor(rank);
  try {
    launch.body(rank);
    launch.team.finish();
    return FUSCO_OK;
  } catch (const PeerLeft &) {
    return FUSCO_PEER_FAILED; // gives way to the cause
  } catch (const StatusError &error) {
    {
      std::lock_guard<std::mutex> lock(launch.mutex);
      launch.statusErrors.emplace(rank.index, error);
    }
    rank.leave();
    return error.status;
  } catch (...) {
    {
      std::lock_guard<std::mutex> lock(launch.mutex);
      if (!launch.exception)
        launch.exception = std::current_exception();
    }
    rank.leave();
    return FUSCO_PEER_FAILED;
  }
}

} // namespace

//===--- Ranks ------------------------------------------------------------===//

Ranks::Ranks(const Library &library, const Options &options)
    : library(library), timeoutMs(options.timeoutMs),
      domain(nullptr, library.api().domainDestroy) {
  if (options.launch == LaunchKind::Threads)
    return;
  fusco_domain_config config = FUSCO_DOMAIN_CONFIG_INIT;
  config.transport = options.transport.c_str();
  config.timeoutUs = uint64_t(timeoutMs) * 1000;
  fusco_domain *joined = nullptr;
  require(library,
          library.api().domainJoin(library.handle(), &config, &joined));
  domain.reset(joined);
  team = std::make_unique<ProcessTeam>(library, joined, findSharedBarrier());
}

Ranks::~Ranks() {
  // The other processes need not wait for what does not come.
  if (domain && std::uncaught_exceptions() != 0)
    library.api().domainAbort(domain.get(), FUSCO_PEER_FAILED);
}

int Ranks::ownRank() const {
  return domain ? library.api().domainRank(domain.get()) : -1;
}

uint64_t Ranks::agree(uint64_t mine) {
  if (!domain)
    return mine;
  std::vector<uint64_t> all(size_t(library.shape().numRanks()));
  require(library, library.api().domainAllgather(domain.get(), &mine,
                                                 all.data(), sizeof mine));
  return all.front();
}

void Ranks::launch(const std::function<void(Rank &)> &body) {
  if (domain)
    launchOwn(body);
  else
    launchThreads(body);
}

void Ranks::launchOwn(const std::function<void(Rank &)> &body) {
  fusco_context_config config = FUSCO_CONTEXT_CONFIG_INIT;
  config.timeoutUs = uint64_t(timeoutMs) * 1000;
  fusco_context *made = nullptr;
  require(library, library.api().contextCreate(library.handle(), domain.get(),
                                               ownRank(), &config, &made));
  std::unique_ptr<fusco_context, void (*)(fusco_context *)> context(
      made, library.api().contextDestroy);
  std::optional<ProcessGpu> gpu;
  if (library.isOnGpu())
    gpu.emplace(library.api().domainDevice(domain.get()).device_id);
  Rank rank(library, context.get(), *team);
  bindToProcessor(rank);
  try {
    body(rank);
  } catch (const PeerLeft &peer) {
    throw Error(peer.text);
  } catch (...) {
    rank.leave();
    throw;
  }
}

void Ranks::launchThreads(const std::function<void(Rank &)> &body) {
  Launch launch = {library, body, ThreadTeam(library.shape().numRanks()),
                   {},      {},   {}};
  fusco_context_config config = FUSCO_CONTEXT_CONFIG_INIT;
  config.timeoutUs = uint64_t(timeoutMs) * 1000;
  fusco_status status =
      library.api().launchThreads(library.handle(), &config, runRank, &launch);
  if (launch.exception)
    std::rethrow_exception(launch.exception);
  // The runtime says which failure was the cause; the rank that met it has the
  // text.
  for (const auto &[rank, error] : launch.statusErrors)
    if (error.status == status)
      throw Error(error.what());
  require(library, status);
}

//===--- Rank -------------------------------------------------------------===//

void Rank::leaveIfPeerLeaves(const std::function<void()> &wait) {
  try {
    wait();
  } catch (const PeerLeft &) {
    leave();
    throw;
  }
}

void Rank::meet() {
  leaveIfPeerLeaves([&] { team.meet(); });
}

void Rank::gatherBytes(const void *mine, size_t bytes, void *all) {
  leaveIfPeerLeaves([&] { team.gather(index, mine, bytes, all); });
}

std::vector<std::string> Rank::gather(const std::string &mine) {
  struct Text {
    char data[1001];
  } text = {};
  mine.copy(text.data, sizeof text.data - 1);
  std::vector<std::string> all;
  for (const Text &one : gather(text))
    all.push_back(one.data);
  return all;
}

void Rank::meetAwake() {
  meet(); // some may have slept here
  meet(); // nobody waits long enough here to sleep
}

void Rank::synchronize(void *stream) {
  try {
    require(library, library.api().contextSynchronize(context, stream));
  } catch (...) {
    leave();
    throw;
  }
}

uint64_t Rank::takeEvents(std::vector<fusco_event> &events) {
  uint64_t numEvents = 0, numDropped = 0;
  require(library, library.api().contextTakeEvents(context, nullptr, 0,
                                                   &numEvents, nullptr));
  events.resize(numEvents + 1); // never NULL
  require(library,
          library.api().contextTakeEvents(context, events.data(), events.size(),
                                          &numEvents, &numDropped));
  events.resize(numEvents);
  return numDropped;
}

void Rank::leave() {
  if (hasLeft)
    return;
  hasLeft = true;
  team.leave();
}

Plan::Plan(const Rank &rank)
    : library(rank.library), plan(nullptr, rank.library.api().planDestroy) {
  fusco_plan *made = nullptr;
  require(library, library.api().planCreate(rank.context, &made));
  plan.reset(made);
}

fusco_plan_info Plan::info() const {
  fusco_plan_info info = FUSCO_PLAN_INFO_INIT;
  require(library, library.api().planGetInfo(plan.get(), &info));
  return info;
}

void Tensors::create(int program, int64_t tokens, int64_t roomRows,
                     int64_t expertRows) {
  auto rowsOf = [&](const std::string &name) {
    if (name == "rows" || name == "scales" || name == "local_ids" ||
        name == "row_ids" || name == "row_weights" || name == "dy")
      return roomRows;
    if (name == "y" || name == outputScales || name == "drows" ||
        name == "recv" || name == "recv_back")
      return expertRows;
    if (name == "send" || name == "send_back")
      return tokens * rank.library.shape().topk;
    return tokens;
  };
  const fusco_program_info &info = rank.library.program(program);
  for (int i = 0; i != info.numTensors; ++i) {
    const fusco_tensor_spec &spec = info.tensors[i];
    std::string name = keyOf(spec);
    if (byName.count(name))
      continue;
    std::vector<int64_t> shape(spec.shape, spec.shape + spec.ndim);
    std::replace_if(
        shape.begin(), shape.end(), [](int64_t extent) { return extent < 0; },
        rowsOf(name));
    DLManagedTensor *made = nullptr;
    require(rank.library, rank.library.api().tensorCreate(
                              rank.context, {spec.dtypeCode, spec.dtypeBits, 1},
                              spec.ndim, shape.data(), &made));
    byName[name].owner.reset(made);
    if (rank.library.isOnGpu())
      byName[name].mirror = std::make_unique<uint8_t[]>(size_t(numBytes(name)));
  }
}

const DLTensor &Tensors::operator[](const std::string &name) const {
  return byName.at(name).owner->dl_tensor;
}

uint8_t *Tensors::data(const std::string &name) const {
  const Tensor &tensor = byName.at(name);
  if (!rank.library.isOnGpu())
    return static_cast<uint8_t *>(tensor.owner->dl_tensor.data);
  return tensor.mirror.get();
}

int64_t Tensors::numBytes(const std::string &name) const {
  const DLTensor &tensor = (*this)[name];
  int64_t bytes = tensor.dtype.bits / 8;
  for (int i = 0; i != tensor.ndim; ++i)
    bytes *= tensor.shape[i];
  return bytes;
}

void Tensors::fill(int program, bool outputs, uint8_t byte) {
  const fusco_program_info &info = rank.library.program(program);
  for (int i = 0; i != info.numTensors; ++i) {
    const std::string name = keyOf(info.tensors[i]);
    if ((info.tensors[i].isOutput != 0) == outputs)
      std::fill_n(data(name), numBytes(name), name == "ready" ? 0 : byte);
  }
}

void Tensors::setBytes(const std::string &name, const reference::Bytes &bytes) {
  std::copy(bytes.begin(), bytes.end(), data(name));
}

void Tensors::setFloats(const std::string &name,
                        const std::vector<float> &values) {
  // An empty vector may have no memory at all.
  if (!values.empty())
    std::memcpy(data(name), values.data(), values.size() * sizeof(float));
}

void Tensors::setIntegers(const std::string &name,
                          const std::vector<int64_t> &values) {
  const size_t bytes = (*this)[name].dtype.bits / 8;
  for (size_t i = 0; i != values.size(); ++i) // little endian: low bytes first
    std::memcpy(data(name) + i * bytes, &values[i], bytes);
}

std::vector<int64_t> Tensors::integers(const std::string &name) const {
  const bool isWide = (*this)[name].dtype.bits == 64;
  const uint8_t *at = data(name);
  std::vector<int64_t> values;
  for (int64_t i = 0; i != numBytes(name) / (isWide ? 8 : 4); ++i) {
    int32_t narrow;
    int64_t wide;
    if (isWide)
      std::memcpy(&wide, at + i * 8, 8);
    else
      std::memcpy(&narrow, at + i * 4, 4);
    values.push_back(isWide ? wide : narrow);
  }
  return values;
}

void Tensors::upload(int program) const {
  if (!rank.library.isOnGpu())
    return;
  const fusco_program_info &info = rank.library.program(program);
  for (int i = 0; i != info.numTensors; ++i) {
    const std::string name = keyOf(info.tensors[i]);
    require(rank.library, rank.library.api().copyToDevice(
                              rank.context, (*this)[name].data, data(name),
                              uint64_t(numBytes(name))));
  }
}

void Tensors::download(int program) const {
  if (!rank.library.isOnGpu())
    return;
  const fusco_program_info &info = rank.library.program(program);
  for (int i = 0; i != info.numTensors; ++i) {
    const std::string name = keyOf(info.tensors[i]);
    require(rank.library, rank.library.api().copyToHost(
                              rank.context, data(name), (*this)[name].data,
                              uint64_t(numBytes(name))));
  }
}

void Tensors::run(int program, const Plan &plan, void *stream) const {
  const fusco_program_info &info = rank.library.program(program);
  const DLTensor *arguments[FUSCO_MAX_TENSORS];
  for (int i = 0; i != info.numTensors; ++i)
    arguments[i] = &(*this)[keyOf(info.tensors[i])];
  fusco_status status = rank.library.api().programRun(
      rank.library.handle(), program, rank.context, plan.get(), arguments,
      stream);
  try {
    require(rank.library, status);
  } catch (...) {
    rank.leave();
    throw;
  }
}

} // namespace fusco::run
