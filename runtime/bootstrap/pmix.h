//===- pmix.h - Jobs that mpirun or srun started ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// PMIx, through which a launcher tells its processes of each other. libpmix is
/// opened at run time.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_BOOTSTRAP_PMIX_H
#define FUSCO_RUNTIME_BOOTSTRAP_PMIX_H

#include "runtime/bootstrap/job.h"

namespace fusco::runtime {

/// Rank 0 opens \p server and publishes where, with a fresh token. May be
/// called whether the program uses MPI itself or not.
fusco_status findJobThroughPmix(Job &job,
                                std::unique_ptr<RendezvousServer> &server);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_BOOTSTRAP_PMIX_H
