//===- membership.cpp - A process among those of a job --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Joining, step by step; after each all ranks know whether all have done it:
///   1. find the job and meet its ranks;
///   2. make memory, tell each other where they run, check that against the
///      topology, and map what this process sees (membership_memory.cpp);
///   3. connect to the others through the network.
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
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

using namespace fusco::runtime;

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

//===--- 3. The network ---------------------------------------------------===//

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
  if (made != FUSCO_OK && window) {
    const std::string reason = fusco_last_error();
    made = fail(made, "NCCL does not map the memory of all nodes, and %s",
                reason.c_str());
  }
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
    if (made->usesNetwork)
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
  const bool isUsable = hasJoined && !domain.getFailure();
  if (rendezvous) {
    if (network && isUsable)
      network->flushAll(timeoutUs);
    rendezvous->leave(isUsable ? timeoutUs
                               : std::min(timeoutUs, mostUsAfterFailure));
  }
  rendezvous.reset();
  network.reset();
  if (window && !isUsable)
    window->abandon();
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
  const std::string transport = config->transport ? config->transport : "NULL";
  if (transport != "ipc" && transport != "ucx" && transport != "nccl")
    return fail(FUSCO_UNSUPPORTED,
                "%s: expected transport 'ipc', 'ucx' or 'nccl', got '%s'",
                __func__, transport.c_str());
  if (transport == "nccl" && !library->device)
    return fail(FUSCO_UNSUPPORTED,
                "%s: transport 'nccl' joins GPUs, but model '%s' was compiled "
                "for '%s'; use 'ipc' or 'ucx'",
                __func__, library->info->model, library->info->target);
  std::unique_ptr<fusco_domain> made;
  if (fusco_status status = makeDomain(__func__, library, made))
    return status;
  if (fusco_status status = Membership::join(*config, *made))
    return status;
  *domain = made.release();
  return FUSCO_OK;
}
