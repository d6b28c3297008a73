//===- job.h - Where a process stands in its job ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What a launcher, or the host program, tells a process of its job.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_BOOTSTRAP_JOB_H
#define FUSCO_RUNTIME_BOOTSTRAP_JOB_H

#include "fusco/runtime.h"

#include <cstdint>
#include <memory>
#include <string>

namespace fusco::runtime {

class RendezvousServer;

struct Job {
  std::int32_t rank = -1, numRanks = 0;
  std::string host; ///< of rank 0, where the job's ranks meet
  std::uint16_t port = 0;
  std::string token; ///< what keeps other connections out
};

/// From the environment: RANK and WORLD_SIZE (torchrun), else PMIx (mpirun,
/// srun
/// --mpi=pmix), else SLURM_PROCID and SLURM_NTASKS. The ranks meet at
/// FUSCO_RENDEZVOUS (host:port), else at MASTER_ADDR and FUSCO_PORT, or the
/// port after MASTER_PORT, where torchrun listens itself. PMIx needs neither:
/// rank 0 opens \p server and publishes it.
fusco_status findJob(Job &job, std::unique_ptr<RendezvousServer> &server);

/// From the host program: rank 0 opens \p server and publishes it through
/// \p allgather.
fusco_status findJob(fusco_allgather allgather, void *user, std::int32_t rank,
                     std::int32_t numRanks, Job &job,
                     std::unique_ptr<RendezvousServer> &server);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_BOOTSTRAP_JOB_H
