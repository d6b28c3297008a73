//===- context.h - Domains, contexts and plans ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What stands behind the opaque handles of fusco/runtime.h.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_CONTEXT_H
#define FUSCO_RUNTIME_CONTEXT_H

#include "fusco/library.h"
#include "runtime/cuda/gpu.h"
#include "runtime/memory.h"
#include "runtime/status.h"

#include <atomic>
#include <cstdint>
#include <memory>

/// The memory that the ranks of one process share.
struct fusco_domain {
  const fusco_library *library;
  std::int32_t numRanks;
  std::unique_ptr<fusco::runtime::Gpu> gpu;        ///< NULL on a CPU
  std::unique_ptr<fusco::runtime::Memory[]> heaps; ///< [numRanks]
  std::unique_ptr<std::atomic<bool>[]> isTaken;    ///< [numRanks] has a context
  /// The first rank whose wait expired, -1 while there is none. From then on
  /// the counters in the heaps are out of step and the domain is of no more
  /// use; all waits in it end.
  std::atomic<std::int32_t> firstFailedRank{-1};
  fusco::runtime::Memory peersOnGpu;      ///< char *[numRanks], of all heaps
  fusco::runtime::Memory failedRankOnGpu; ///< fusco_device_args::failedRank

  /// Where heaps, plans and tensors are.
  DLDevice getDevice() const {
    return gpu ? DLDevice{kDLCUDA, gpu->getOrdinal()} : DLDevice{kDLCPU, 0};
  }
};

struct fusco_context {
  const fusco_library *library;
  fusco_domain *domain;
  std::int32_t rank;
  std::uint64_t timeoutUs;
  /// [numRanks] what programs may address: the heaps of this rank's node, NULL
  /// for ranks of other nodes.
  std::unique_ptr<char *[]> peers;
  std::unique_ptr<fusco::runtime::GpuRank> onGpu; ///< NULL on a CPU
  /// The call that runs now or ran last, for error texts.
  fusco::runtime::EntryPoint entryPoint;
  const fusco_program_info *program;
  /// Why the context failed for good; empty while it is usable.
  char failure[fusco::runtime::errorTextBytes];
};

/// A plan keeps no pointer to its context, so that either may end first.
struct fusco_plan {
  const fusco_library *library;
  const fusco_domain *domain;
  std::int32_t rank;
  /// The last dispatch into it succeeded; on a GPU: was launched.
  bool isFilled;
  std::int64_t tokens; ///< of that dispatch
  /// planBytes; on a GPU FUSCO_PLAN_TRAILER_BYTES more.
  fusco::runtime::Memory memory;
};

#endif // FUSCO_RUNTIME_CONTEXT_H
