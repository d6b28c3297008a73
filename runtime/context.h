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
#include "runtime/memory.h"
#include "runtime/status.h"

#include <atomic>
#include <cstdint>
#include <memory>

/// The memory that the ranks of one process share.
struct fusco_domain {
  const fusco_library *library;
  std::int32_t numRanks;
  std::unique_ptr<fusco::runtime::Memory[]> heaps; ///< [numRanks]
  std::unique_ptr<std::atomic<bool>[]> isTaken;    ///< [numRanks] has a context
  /// The first rank whose wait expired, -1 while there is none. From then on
  /// the counters in the heaps are out of step and the domain is of no more
  /// use; all waits in it end.
  std::atomic<std::int32_t> firstFailedRank{-1};
};

struct fusco_context {
  const fusco_library *library;
  fusco_domain *domain;
  std::int32_t rank;
  std::uint64_t timeoutUs;
  /// [numRanks] what programs may address: the heaps of this rank's node, NULL
  /// for ranks of other nodes.
  std::unique_ptr<char *[]> peers;
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
  bool isFilled; ///< the last dispatch into it succeeded
  fusco::runtime::Memory memory;

  /// What the program that filled the plan left for the host.
  const fusco_plan_stats &getStats() const {
    return *reinterpret_cast<const fusco_plan_stats *>(
        memory.get() + library->info->planStatsBytes);
  }
};

#endif // FUSCO_RUNTIME_CONTEXT_H
