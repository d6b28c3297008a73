//===- membership_memory.cpp - Memory that the processes of a job share ---===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The second step of joining: each rank makes its memory, and maps what it
/// sees of the others'.
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/nccl_window.h"
#include "runtime/cuda/network_heaps.h"
#include "runtime/domain.h"
#include "runtime/membership.h"
#include "runtime/status.h"

#include <algorithm>
#include <cinttypes>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

using namespace fusco;
using namespace fusco::runtime;

constexpr std::uint64_t defaultTensorBytes = std::uint64_t(64) << 30;

//===--- Where ranks run --------------------------------------------------===//

namespace {
/// Where a rank runs.
struct Place {
  char host[192]; ///< name and what else makes it unique

  bool operator==(const Place &other) const {
    return std::strncmp(host, other.host, sizeof(host)) == 0;
  }
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

/// Whether the ranks of each node, or of all if \p transport needs that, are on
/// one host.
static fusco_status checkPlaces(const std::vector<Place> &places,
                                const fusco_library_info &info,
                                const std::string &transport) {
  for (std::size_t rank = 0; rank < places.size(); ++rank) {
    std::size_t first = rank - rank % info.ranksPerNode;
    if (!(places[rank] == places[first]))
      return fail(FUSCO_INVALID_ARGUMENT,
                  "ranks %zu and %zu are on hosts '%s' and '%s', but model "
                  "'%s' was compiled for %" PRId32
                  " ranks per node; start that many, of consecutive ranks, on "
                  "each host",
                  first, rank, places[first].host, places[rank].host,
                  info.model, info.ranksPerNode);
    if (transport == "ipc" && !(places[rank] == places[0]))
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

//===--- Making and mapping memory ----------------------------------------===//

bool Membership::isInNode(std::int32_t peer) const {
  const std::int32_t ranksPerNode = domain.library->info->ranksPerNode;
  return peer / ranksPerNode == rank / ranksPerNode;
}

namespace {
/// What ranks tell each other before they share a window.
struct WindowGreeting {
  nccl::ncclUniqueId id; ///< of rank 0
  std::uint64_t bytes;   ///< that the rank needs
  bool hasComm;          ///< of the host
};
} // namespace

/// Makes memory for \p tensorBytes of tensors that NCCL maps wherever it can;
/// \p comm is the host's communicator or NULL.
fusco_status Membership::shareWindow(void *comm, std::uint64_t tensorBytes) {
  WindowGreeting own = {{}, 0, comm != nullptr};
  fusco_status made = Arena::countBytes(domain.library->info->symmetricBytes,
                                        tensorBytes, own.bytes);
  const nccl::Nccl *library = nullptr;
  if (made == FUSCO_OK)
    made = nccl::Nccl::open(library);
  if (made == FUSCO_OK && rank == 0 && !comm)
    made = NcclWindow::makeId(own.id);
  if (fusco_status status = agree("opening NCCL", made))
    return status;
  std::vector<WindowGreeting> all(domain.numRanks);
  if (fusco_status status =
          allGather("sizes of windows", &own, sizeof(own), all.data()))
    return status;
  for (const WindowGreeting &other : all) {
    if (other.hasComm != own.hasComm)
      return fail(FUSCO_INVALID_ARGUMENT,
                  "expected ncclComm on all ranks or on none, got it on some");
    // The windows of a communicator have one size.
    own.bytes = std::max(own.bytes, other.bytes);
  }
  if (fusco_status status =
          agree("making memory with NCCL",
                NcclWindow::create(*domain.gpu, own.bytes, window)))
    return status;
  const NcclWindow::Place place = {rank, domain.numRanks, all.front().id,
                                   static_cast<nccl::ncclComm_t>(comm)};
  auto hasFailed = [this] { return domain.getFailure().has_value(); };
  if (fusco_status status = agree("sharing memory by NCCL",
                                  window->expose(place, timeoutUs, hasFailed)))
    return status;

  char *base = nullptr;
  bool isAlone = false; // among ranks that NCCL does not reach
  made = FUSCO_OK;
  for (std::int32_t peer = 0; peer < domain.numRanks && made == FUSCO_OK;
       ++peer) {
    made = window->findPeer(peer, base);
    isAlone |= made == FUSCO_OK && !base;
  }
  if (fusco_status status = agree("looking for memory by NCCL", made))
    return status;
  std::vector<char> areAlone(domain.numRanks);
  fusco_status status = allGather("whom NCCL reaches", &isAlone,
                                  sizeof(isAlone), areAlone.data());
  usesNetwork = std::count(areAlone.begin(), areAlone.end(), 0) !=
                static_cast<std::ptrdiff_t>(areAlone.size());
  return status;
}

fusco_status Membership::makeMemory(std::uint64_t tensorBytes,
                                    MemoryHandles &handles) {
  const fusco_library_info &info = *domain.library->info;
  if (fusco_status status =
          Arena::create(domain.gpu.get(), info.symmetricBytes, tensorBytes,
                        arena, window ? window->getBase() : nullptr))
    return status;
  if (!window)
    if (fusco_status status = arena->getHandle(handles.arena))
      return status;
  if (!domain.gpu || !usesNetwork)
    return FUSCO_OK;
  if (fusco_status status =
          NetworkHeaps::create(*domain.gpu, info.networkBytes, rank,
                               domain.numRanks, domain.networkHeaps))
    return status;
  return domain.networkHeaps->getHandle(handles.networkHeap);
}

/// Maps what this process sees of the memory of \p peer, if anything.
fusco_status Membership::mapMemory(std::int32_t peer,
                                   const MemoryHandles &handles) {
  const bool isSeen = isInNode(peer) || !usesNetwork;
  if (peer == rank || !isSeen)
    return FUSCO_OK;
  if (window) {
    if (fusco_status status = window->findPeer(peer, domain.bases[peer]))
      return status;
    if (!domain.bases[peer])
      return fail(FUSCO_UNSUPPORTED,
                  "NCCL does not map the memory of rank %" PRId32
                  " for rank %" PRId32 ", but model '%s' was compiled for "
                  "%" PRId32 " ranks per node, which must reach each other's "
                  "memory; compile it for smaller nodes",
                  peer, rank, domain.library->info->model,
                  domain.library->info->ranksPerNode);
  } else {
    if (fusco_status status =
            mapArena(domain.gpu.get(), handles.arena, peer, mappings[peer]))
      return status;
    domain.bases[peer] = mappings[peer].get();
  }
  return domain.networkHeaps
             ? domain.networkHeaps->map(peer, handles.networkHeap)
             : FUSCO_OK;
}

fusco_status Membership::shareMemory(const fusco_domain_config &config) {
  const fusco_library_info &info = *domain.library->info;
  Place ownPlace = {};
  describeHost(ownPlace.host, sizeof(ownPlace.host));
  std::vector<Place> places(domain.numRanks);
  if (fusco_status status = allGather("where ranks run", &ownPlace,
                                      sizeof(ownPlace), places.data()))
    return status;
  for (Place &place : places)
    place.host[sizeof(place.host) - 1] = '\0';

  const bool isOnGpu = domain.library->device != nullptr;
  if (isOnGpu) {
    const auto before =
        std::count(places.begin(), places.begin() + rank, places[rank]);
    fusco_status opened = Gpu::open(*domain.library, /*numRanks=*/1,
                                    static_cast<int>(before), domain.gpu);
    if (fusco_status status = agree("opening the GPU", opened))
      return status;
  }
  std::uint64_t tensorBytes = config.tensorBytes;
  if (tensorBytes == 0)
    tensorBytes = isOnGpu ? countTensorBytes(info) : defaultTensorBytes;
  usesNetwork = transport == "ucx" && info.numNodes > 1;
  if (transport == "nccl")
    if (fusco_status status = shareWindow(config.ncclComm, tensorBytes))
      return status;
  // All ranks see the same places and refuse alike. NCCL sees for itself; what
  // the network goes by is of one host.
  if (!window || usesNetwork)
    if (fusco_status status = checkPlaces(places, info, transport))
      return status;

  MemoryHandles own = {};
  if (fusco_status status =
          agree("making shared memory", makeMemory(tensorBytes, own)))
    return status;
  std::vector<MemoryHandles> all(domain.numRanks);
  if (fusco_status status =
          allGather("handles of memory", &own, sizeof(own), all.data()))
    return status;
  mappings.resize(domain.numRanks);
  auto mapAll = [&]() -> fusco_status {
    for (std::int32_t peer = 0; peer < domain.numRanks; ++peer)
      if (fusco_status status = mapMemory(peer, all[peer]))
        return status;
    domain.bases[rank] = arena->getBase();
    if (domain.networkHeaps)
      if (fusco_status status = domain.networkHeaps->showToGpu())
        return status;
    return domain.gpu ? showBasesToGpu(domain) : FUSCO_OK;
  };
  return agree("mapping memory", mapAll());
}
