//===- domain.h - The ranks that shuffle with each other --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What stands behind fusco_domain: whose memory this process sees where, and
/// whether a rank has failed.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_DOMAIN_H
#define FUSCO_RUNTIME_DOMAIN_H

#include "fusco/library.h"
#include "runtime/cuda/gpu.h"
#include "runtime/cuda/network_heaps.h"
#include "runtime/membership.h"
#include "runtime/memory.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

namespace fusco::runtime {

/// Why a domain is of no more use.
struct RankFailure {
  std::int32_t rank;
  /// What it failed with; FUSCO_OK: it said nothing, it cannot be reached any
  /// more.
  fusco_status status;
};

} // namespace fusco::runtime

struct fusco_domain {
  const fusco_library *library;
  std::int32_t numRanks;
  std::unique_ptr<fusco::runtime::Gpu> gpu; ///< NULL on a CPU
  /// [numRanks] where this process sees the memory of each rank, its heap
  /// first; NULL where only the network goes.
  std::unique_ptr<char *[]> bases;
  /// [numRanks] heaps, where all ranks are in this process.
  std::unique_ptr<fusco::runtime::Memory[]> heaps;
  std::unique_ptr<std::atomic<bool>[]> isTaken; ///< [numRanks] has a context
  fusco::runtime::Memory peersOnGpu;            ///< `bases`, for kernels
  fusco::runtime::Memory failedRankOnGpu; ///< fusco_device_args::failedRank
  /// Where kernels reach other nodes through the network only; else NULL.
  std::unique_ptr<fusco::runtime::NetworkHeaps> networkHeaps;
  /// Where each rank is a process: ended first, since it says goodbye to the
  /// other ranks and hears of them.
  std::unique_ptr<fusco::runtime::Membership> membership;

  /// Where heaps, plans and tensors are.
  DLDevice getDevice() const {
    return gpu ? DLDevice{kDLCUDA, gpu->getOrdinal()} : DLDevice{kDLCPU, 0};
  }

  /// Says that \p failure makes the domain useless, unless another did before:
  /// the counters in the heaps are out of step from now on, and all waits end.
  /// Returns whether it was the first. Any thread.
  bool markFailed(fusco::runtime::RankFailure failure);
  std::optional<fusco::runtime::RankFailure> getFailure() const;

private:
  std::atomic<std::int64_t> failure{-1}; ///< rank and status, -1: none
};

namespace fusco::runtime {

/// A domain with everything that is the same however its ranks are spread over
/// processes.
fusco_status makeDomain(const char *function, const fusco_library *library,
                        std::unique_ptr<fusco_domain> &domain);

/// Tells kernels where the memory of each rank is.
fusco_status showBasesToGpu(fusco_domain &domain);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_DOMAIN_H
