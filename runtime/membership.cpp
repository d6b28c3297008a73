//===- membership.cpp - A process among those of a job --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Joining, step by step; after each all ranks know whether all have done it:
///   1. find the job and meet its ranks;
///   2. tell each other where they run, and check that against the topology;
///   3. map the memory of those that are on this host;
///   4. connect to the others through the network.
//
//===----------------------------------------------------------------------===//

#include "runtime/membership.h"

#include "runtime/bootstrap/job.h"
#include "runtime/checks.h"
#include "runtime/domain.h"
#include "runtime/network/faults.h"
#include "runtime/network/ucx_network.h"
#include "runtime/status.h"

#include <algorithm>
#include <cinttypes>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <string>
#include <unistd.h>

using namespace fusco::runtime;

constexpr std::uint64_t defaultTensorBytes = std::uint64_t(64) << 30;

//===--- 1. The job -------------------------------------------------------===//

/// What must be the same on all ranks.
static std::string getIdentity(const fusco_library_info &info,
                               const char *transport) {
  char text[256];
  std::snprintf(text, sizeof(text),
                "model %s, ABI %" PRIu32 ", %" PRId32 " nodes of %" PRId32
                " ranks, %s, heap %" PRIu64 ", transport %s",
                info.model, info.abiVersion, info.numNodes, info.ranksPerNode,
                info.target, info.symmetricBytes, transport);
  return text;
}

fusco_status Membership::meet(const fusco_domain_config &config) {
  const fusco_library_info &info = *domain.library->info;
  Job job;
  std::unique_ptr<RendezvousServer> server;
  if (fusco_status status =
          config.allgather ? findJob(config.allgather, config.user, config.rank,
                                     config.numRanks, job, server)
                           : findJob(job, server))
    return status;
  if (job.numRanks != domain.numRanks)
    return fail(FUSCO_INVALID_ARGUMENT,
                "model '%s' was compiled for %" PRId32 " ranks (%" PRId32
                " nodes x %" PRId32 "), the job has %" PRId32
                "; start as many processes as it has ranks",
                info.model, domain.numRanks, info.numNodes, info.ranksPerNode,
                job.numRanks);
  rank = job.rank;
  return Rendezvous::join(job, getIdentity(info, config.transport),
                          std::move(server), timeoutUs, *this, rendezvous);
}

fusco_status Membership::allGather(const char *what, const void *mine,
                                   std::uint64_t bytes, void *all) {
  return rendezvous->allGather(what, mine, bytes, all, timeoutUs);
}

namespace {
/// How a step went for a rank.
struct StepResult {
  std::int32_t status;
  char text[errorTextBytes];
};
} // namespace

/// Ends a step: the first rank's failure is everybody's.
fusco_status Membership::agree(const char *what, fusco_status mine) {
  StepResult own = {mine, ""};
  if (mine != FUSCO_OK)
    std::snprintf(own.text, sizeof(own.text), "%s", fusco_last_error());
  std::vector<StepResult> all(domain.numRanks);
  fusco_status status = allGather(what, &own, sizeof(own), all.data());
  // A rank that is lost is why others fail.
  if (status == FUSCO_PEER_FAILED)
    return status;
  if (mine != FUSCO_OK)
    return fail(mine, "%s", own.text);
  if (status != FUSCO_OK)
    return status;
  for (std::int32_t other = 0; other < domain.numRanks; ++other) {
    all[other].text[sizeof(all[other].text) - 1] = '\0';
    if (all[other].status != FUSCO_OK)
      return fail(FUSCO_PEER_FAILED, "rank %" PRId32 ": %s", other,
                  all[other].text);
  }
  return FUSCO_OK;
}

//===--- 2. and 3. Memory -------------------------------------------------===//

namespace {
/// Where a rank runs.
struct Place {
  char host[192]; ///< name and what else makes it unique
  MemoryHandles memory;
};
} // namespace

/// Processes with the same text can map each other's memory. FUSCO_HOSTID, if
/// set, stands for the host: to try what several would do.
static void describeHost(char *text, std::size_t room) {
  if (const char *given = std::getenv("FUSCO_HOSTID")) {
    std::snprintf(text, room, "%s", given);
    return;
  }
  char name[HOST_NAME_MAX + 1] = "";
  gethostname(name, sizeof(name) - 1);
  char boot[40] = "";
  File file(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  ssize_t length = read(file.get(), boot, sizeof(boot) - 1);
  boot[length > 0 ? std::strcspn(boot, "\n") : 0] = '\0';
  std::snprintf(text, room, "%.100s (boot %s)", name, boot);
}

static fusco_status checkPlaces(const std::vector<Place> &places,
                                const fusco_library_info &info,
                                bool needsOneHost) {
  auto isOnHostOf = [&](std::size_t a, std::size_t b) {
    return std::strncmp(places[a].host, places[b].host,
                        sizeof(places[a].host)) == 0;
  };
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    std::size_t first = rank - rank % info.ranksPerNode;
    if (!isOnHostOf(rank, first))
      return fail(FUSCO_INVALID_ARGUMENT,
                  "ranks %zu and %zu are on hosts '%s' and '%s', but model "
                  "'%s' was compiled for %" PRId32
                  " ranks per node; start that many, of consecutive ranks, on "
                  "each host",
                  first, rank, places[first].host, places[rank].host,
                  info.model, info.ranksPerNode);
    if (needsOneHost && !isOnHostOf(rank, 0))
      return fail(FUSCO_INVALID_ARGUMENT,
                  "ranks 0 and %zu are on hosts '%s' and '%s', which transport "
                  "'ipc' cannot join; use 'ucx'",
                  rank, places[0].host, places[rank].host);
  }
  return FUSCO_OK;
}

/// The tensors of one call of each program at worst, and a huge page for each.
static std::uint64_t countTensorBytes(const fusco_library_info &info) {
  const std::uint64_t numRanks =
      static_cast<std::uint64_t>(info.numNodes) * info.ranksPerNode;
  const std::uint64_t expertRows =
      numRanks * info.maxTokens * info.topk +
      info.alignRows * ((info.numExperts + info.numRedundant) / numRanks + 1);
  std::uint64_t bytes = 0;
  for (std::int32_t i = 0; i < info.numPrograms; ++i)
    for (std::int32_t j = 0; j < info.programs[i].numTensors; ++j) {
      const fusco_tensor_spec &spec = info.programs[i].tensors[j];
      const std::uint64_t rows =
          spec.rowsKind == FUSCO_ROWS_TOKENS ? info.maxTokens : expertRows;
      std::uint64_t tensorBytes = spec.dtypeBits / 8;
      for (std::int32_t dim = 0; dim < spec.ndim; ++dim)
        tensorBytes *= spec.shape[dim] >= 0 ? spec.shape[dim] : rows;
      bytes += tensorBytes + hugePageBytes;
    }
  return bytes;
}

bool Membership::needsNetwork() const {
  return transport == "ucx" && domain.library->info->numNodes > 1;
}

fusco_status Membership::makeMemory(const fusco_domain_config &config,
                                    MemoryHandles &handles) {
  const fusco_library &library = *domain.library;
  const fusco_library_info &info = *library.info;
  if (library.device)
    if (fusco_status status = Gpu::open(library, /*numRanks=*/1,
                                        rank % info.ranksPerNode, domain.gpu))
      return status;
  std::uint64_t tensorBytes = config.tensorBytes;
  if (tensorBytes == 0)
    tensorBytes = domain.gpu ? countTensorBytes(info) : defaultTensorBytes;
  if (fusco_status status = Arena::create(domain.gpu.get(), info.symmetricBytes,
                                          tensorBytes, arena))
    return status;
  if (fusco_status status = arena->getHandle(handles.arena))
    return status;
  if (!domain.gpu || !needsNetwork())
    return FUSCO_OK;
  if (fusco_status status =
          NetworkHeaps::create(*domain.gpu, info.networkBytes, rank,
                               domain.numRanks, domain.networkHeaps))
    return status;
  return domain.networkHeaps->getHandle(handles.networkHeap);
}

fusco_status Membership::shareMemory(const fusco_domain_config &config) {
  const fusco_library_info &info = *domain.library->info;
  Place own = {};
  describeHost(own.host, sizeof(own.host));
  if (fusco_status status =
          agree("making shared memory", makeMemory(config, own.memory)))
    return status;

  std::vector<Place> places(domain.numRanks);
  if (fusco_status status =
          allGather("where ranks run", &own, sizeof(own), places.data()))
    return status;
  for (Place &place : places)
    place.host[sizeof(place.host) - 1] = '\0';
  const bool isIpc = transport == "ipc";
  // All ranks see the same places and refuse alike.
  if (fusco_status status = checkPlaces(places, info, isIpc))
    return status;

  mappings.resize(domain.numRanks);
  auto mapAll = [&]() -> fusco_status {
    std::int32_t firstOfNode = rank - rank % info.ranksPerNode;
    for (std::int32_t peer = 0; peer < domain.numRanks; ++peer) {
      bool isInNode =
          peer >= firstOfNode && peer < firstOfNode + info.ranksPerNode;
      if (peer == rank || (!isIpc && !isInNode))
        continue;
      const MemoryHandles &memory = places[peer].memory;
      if (fusco_status status =
              mapArena(domain.gpu.get(), memory.arena, peer, mappings[peer]))
        return status;
      domain.bases[peer] = mappings[peer].get();
      if (!domain.networkHeaps)
        continue;
      if (fusco_status status =
              domain.networkHeaps->map(peer, memory.networkHeap))
        return status;
    }
    domain.bases[rank] = arena->getBase();
    if (domain.networkHeaps)
      if (fusco_status status = domain.networkHeaps->showToGpu())
        return status;
    return domain.gpu ? showBasesToGpu(domain) : FUSCO_OK;
  };
  return agree("mapping memory", mapAll());
}

//===--- 4. The network ---------------------------------------------------===//

/// Whether a program puts to tensors rather than to heaps only.
static bool putsToTensors(const fusco_library_info &info) {
  for (std::int32_t i = 0; i < info.numPrograms; ++i)
    for (std::int32_t j = 0; j < info.programs[i].numTensors; ++j)
      if (info.programs[i].tensors[j].exposure == FUSCO_EXPOSURE_NETWORK)
        return true;
  return false;
}

fusco_status Membership::connect() {
  const fusco_library_info &info = *domain.library->info;
  std::unique_ptr<UcxNetwork> ucx;
  // What is registered may be pinned: no more than other nodes write to.
  const bool isAll = !domain.gpu && putsToTensors(info);
  fusco_status made = UcxNetwork::create(
      domain.gpu ? domain.networkHeaps->getBase() : arena->getBase(),
      isAll ? arena->getBytes() : info.networkBytes, domain.numRanks, ucx);
  if (fusco_status status = agree("opening UCX", made))
    return status;

  std::vector<char> own;
  if (fusco_status status = agree("telling UCX addresses", ucx->describe(own)))
    return status;
  std::uint64_t ownBytes = own.size();
  std::vector<std::uint64_t> sizes(domain.numRanks);
  if (fusco_status status = allGather("sizes of UCX addresses", &ownBytes,
                                      sizeof(ownBytes), sizes.data()))
    return status;
  std::uint64_t most = *std::max_element(sizes.begin(), sizes.end());
  constexpr std::uint64_t mostAddressBytes = 1 << 20;
  if (most > mostAddressBytes)
    return fail(FUSCO_PEER_FAILED,
                "expected UCX addresses of at most %" PRIu64
                " bytes, got one of %" PRIu64,
                mostAddressBytes, most);
  own.resize(most);
  std::vector<char> all(most * domain.numRanks);
  if (fusco_status status =
          allGather("UCX addresses", own.data(), most, all.data()))
    return status;

  auto connectAll = [&]() -> fusco_status {
    for (std::int32_t peer = 0; peer < domain.numRanks; ++peer)
      if (!domain.bases[peer])
        if (fusco_status status =
                ucx->connect(peer, all.data() + peer * most, sizes[peer]))
          return status;
    return FUSCO_OK;
  };
  if (fusco_status status =
          agree("finding each other through UCX", connectAll()))
    return status;
  auto finish = [&]() -> fusco_status {
    if (fusco_status status = ucx->finishConnecting(timeoutUs))
      return status;
    std::unique_ptr<Network> under = std::move(ucx);
    if (const char *faults = std::getenv("FUSCO_FAULTS"))
      if (fusco_status status = makeFaulty(faults, under))
        return status;
    return CountedPuts::create(std::move(under), timeoutUs, network);
  };
  return agree("connecting through UCX", finish());
}

//===--- Membership -------------------------------------------------------===//

fusco_status Membership::join(const fusco_domain_config &config,
                              fusco_domain &domain) {
  auto *made = new (std::nothrow) Membership(config, domain);
  if (!made)
    return fail(FUSCO_OUT_OF_MEMORY, "no memory to join a domain");
  // Before its thread starts, which finds the domain complete.
  domain.membership.reset(made);
  try {
    if (fusco_status status = made->meet(config))
      return status;
    if (fusco_status status = made->shareMemory(config))
      return status;
    if (made->needsNetwork())
      if (fusco_status status = made->connect())
        return status;
    made->hasJoined = true;
    return FUSCO_OK;
  } catch (const std::bad_alloc &) {
    return fail(FUSCO_OUT_OF_MEMORY, "no memory to join a domain");
  }
}

Membership::~Membership() {
  // Others may still wait for what is under way, and for this process to take
  // part in it. Ranks of a domain that is of no more use, or that could not
  // join, leave at about the same time; if one went ahead, others might take
  // that for the cause.
  constexpr std::uint64_t mostUsAfterFailure = 5 * 1000 * 1000;
  if (rendezvous) {
    const bool isUsable = hasJoined && !domain.getFailure();
    if (network && isUsable)
      network->flushAll(timeoutUs);
    rendezvous->leave(isUsable ? timeoutUs
                               : std::min(timeoutUs, mostUsAfterFailure));
  }
  rendezvous.reset();
  network.reset();
}

void Membership::reportFailure(fusco_status status) {
  rendezvous->reportFailure(status);
}

bool Membership::pause(std::int64_t elapsedUs) {
  if (!network)
    return false;
  // Those of this node, who wake nobody, are looked after as often.
  constexpr std::int64_t busyUs = 50, sleepUs = 50;
  if (elapsedUs < busyUs)
    network->progress();
  else
    network->progressOrSleep(sleepUs);
  std::int32_t lost = network->getFailedPeer();
  if (lost >= 0)
    markFailed({lost, FUSCO_OK});
  return true;
}

bool Membership::markFailed(RankFailure failure) {
  if (!domain.markFailed(failure))
    return false;
  if (!hasJoined || !domain.gpu)
    return true;
  // Kernels look at this word while they wait.
  std::int64_t failedRank = 1 + failure.rank;
  domain.gpu->copyFromHost(domain.failedRankOnGpu.get(), &failedRank,
                           sizeof(failedRank));
  return true;
}

void Membership::rankGone(std::int32_t gone) { markFailed({gone, FUSCO_OK}); }

void Membership::rankFailed(std::int32_t failed, std::int32_t status) {
  markFailed({failed, static_cast<fusco_status>(status)});
}

fusco_status fusco_domain_join(const fusco_library *library,
                               const fusco_domain_config *config,
                               fusco_domain **domain) {
  const fusco_domain_config defaults = FUSCO_DOMAIN_CONFIG_INIT;
  if (!config)
    config = &defaults;
  if (fusco_status status = checkLibrary(__func__, library))
    return status;
  if (!domain)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected room for a domain, got NULL", __func__);
  if (fusco_status status =
          checkStruct(__func__, "fusco_domain_config", config->size,
                      sizeof(*config), config->version))
    return status;
  const char *transport = config->transport ? config->transport : "NULL";
  if (std::strcmp(transport, "ipc") != 0 && std::strcmp(transport, "ucx") != 0)
    return fail(FUSCO_UNSUPPORTED,
                "%s: expected transport 'ipc' or 'ucx', got '%s'", __func__,
                transport);
  std::unique_ptr<fusco_domain> made;
  if (fusco_status status = makeDomain(__func__, library, made))
    return status;
  if (fusco_status status = Membership::join(*config, *made))
    return status;
  *domain = made.release();
  return FUSCO_OK;
}
