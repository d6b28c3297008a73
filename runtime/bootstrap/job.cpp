//===- job.cpp - Where a process stands in its job ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The environments of launchers, and what a host program brings itself.
//
//===----------------------------------------------------------------------===//

#include "runtime/bootstrap/job.h"

#include "runtime/bootstrap/address.h"
#include "runtime/bootstrap/pmix.h"
#include "runtime/bootstrap/rendezvous.h"
#include "runtime/status.h"

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>

using namespace fusco::runtime;

/// The variable \p name, unless it is absent or empty.
static const char *getText(const char *name) {
  const char *text = std::getenv(name);
  return text && *text ? text : nullptr;
}

/// The variable \p name as a number from \p least to \p most.
static fusco_status readNumber(const char *name, std::int64_t least,
                               std::int64_t most, std::int64_t &number) {
  const char *text = getText(name);
  if (!text)
    return fail(
        FUSCO_INVALID_ARGUMENT,
        "expected the variable %s, which is not set; start the job with "
        "torchrun, mpirun or srun, or set it on each rank",
        name);
  char *end;
  errno = 0;
  number = std::strtoll(text, &end, 10);
  if (errno || *end || number < least || number > most)
    return fail(FUSCO_INVALID_ARGUMENT,
                "expected %s to be a number from %" PRId64 " to %" PRId64
                ", got '%s'",
                name, least, most, text);
  return FUSCO_OK;
}

static fusco_status readRank(const char *rankName, const char *sizeName,
                             Job &job) {
  constexpr std::int64_t most = 1 << 20;
  std::int64_t numRanks, rank;
  if (fusco_status status = readNumber(sizeName, 1, most, numRanks))
    return status;
  if (fusco_status status = readNumber(rankName, 0, numRanks - 1, rank))
    return status;
  job.numRanks = static_cast<std::int32_t>(numRanks);
  job.rank = static_cast<std::int32_t>(rank);
  return FUSCO_OK;
}

/// Where the ranks meet, if the environment says so.
static fusco_status readMeetingPoint(Job &job) {
  constexpr std::int64_t mostPort = std::numeric_limits<std::uint16_t>::max();
  if (const char *text = getText("FUSCO_RENDEZVOUS")) {
    if (parseAddress(text, job.host, job.port))
      return FUSCO_OK;
    return fail(FUSCO_INVALID_ARGUMENT,
                "expected FUSCO_RENDEZVOUS to be host:port, got '%s'", text);
  }
  const char *host = getText("MASTER_ADDR");
  if (!host)
    return fail(
        FUSCO_INVALID_ARGUMENT,
        "expected the variable MASTER_ADDR, which is not set; set it to "
        "an address of rank 0's machine, and MASTER_PORT");
  std::int64_t port;
  if (getText("FUSCO_PORT")) {
    if (fusco_status status = readNumber("FUSCO_PORT", 1, mostPort, port))
      return status;
  } else {
    if (fusco_status status = readNumber("MASTER_PORT", 1, mostPort - 1, port))
      return status;
    ++port; // torchrun listens at MASTER_PORT itself
  }
  job.host = host;
  job.port = static_cast<std::uint16_t>(port);
  return FUSCO_OK;
}

/// What only processes of this job know or, where nobody gave it a secret, what
/// keeps those of another job out.
static std::string readToken(const Job &job) {
  for (const char *name : {"FUSCO_JOB_TOKEN", "TORCHELASTIC_RUN_ID"})
    if (const char *text = getText(name))
      return text;
  const char *slurmJob = getText("SLURM_JOB_ID");
  const char *slurmStep = getText("SLURM_STEP_ID");
  if (slurmJob && slurmStep)
    return std::string("slurm ") + slurmJob + "." + slurmStep;
  return "fusco " + job.host + ":" + std::to_string(job.port) + " " +
         std::to_string(job.numRanks);
}

fusco_status
fusco::runtime::findJob(Job &job, std::unique_ptr<RendezvousServer> &server) {
  if (getText("RANK") || getText("WORLD_SIZE")) {
    if (fusco_status status = readRank("RANK", "WORLD_SIZE", job))
      return status;
  } else if (getText("PMIX_RANK")) {
    return findJobThroughPmix(job, server);
  } else if (getText("SLURM_PROCID")) {
    if (fusco_status status = readRank("SLURM_PROCID", "SLURM_NTASKS", job))
      return status;
  } else {
    return fail(FUSCO_INVALID_ARGUMENT,
                "expected the environment of torchrun (RANK, WORLD_SIZE, "
                "MASTER_ADDR, MASTER_PORT), of mpirun or of srun, found none");
  }
  if (fusco_status status = readMeetingPoint(job))
    return status;
  job.token = readToken(job);
  return FUSCO_OK;
}

namespace {
/// What rank 0 tells the others through the host's all-gather.
struct Invitation {
  std::int32_t status;
  char address[256];
  char token[64];
};
} // namespace

fusco_status
fusco::runtime::findJob(fusco_allgather allgather, void *user,
                        std::int32_t rank, std::int32_t numRanks, Job &job,
                        std::unique_ptr<RendezvousServer> &server) {
  if (numRanks < 1 || rank < 0 || rank >= numRanks)
    return fail(FUSCO_INVALID_ARGUMENT,
                "expected a rank from 0 to numRanks - 1 with 'allgather', got "
                "rank %" PRId32 " of %" PRId32,
                rank, numRanks);
  Invitation own = {};
  char error[errorTextBytes] = "";
  if (rank == 0) {
    own.status = openServer(/*isOneHost=*/false, server, job.host, job.port);
    std::snprintf(error, sizeof(error), "%s", fusco_last_error());
    std::snprintf(own.address, sizeof(own.address), "%s:%u", job.host.c_str(),
                  job.port);
    std::snprintf(own.token, sizeof(own.token), "%s", makeToken().c_str());
  }
  std::unique_ptr<Invitation[]> all(new Invitation[numRanks]);
  if (allgather(&own, all.get(), sizeof(own), user) != 0)
    return fail(FUSCO_PEER_FAILED,
                "rank %" PRId32 ": the host's all-gather failed", rank);
  Invitation &invitation = all[0];
  invitation.address[sizeof(invitation.address) - 1] = '\0';
  invitation.token[sizeof(invitation.token) - 1] = '\0';
  if (own.status != FUSCO_OK)
    return fail(static_cast<fusco_status>(own.status), "%s", error);
  if (invitation.status != FUSCO_OK ||
      !parseAddress(invitation.address, job.host, job.port))
    return fail(FUSCO_PEER_FAILED, "rank 0 could not open a place to meet");
  job.rank = rank;
  job.numRanks = numRanks;
  job.token = invitation.token;
  return FUSCO_OK;
}
