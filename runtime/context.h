//===- context.h - Contexts and plans ---------------------------*- C++ -*-===//
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
#include "runtime/domain.h"
#include "runtime/memory.h"
#include "runtime/status.h"

#include <cstdint>
#include <memory>

struct fusco_context {
  const fusco_library *library;
  fusco_domain *domain;
  std::int32_t rank;
  std::uint64_t timeoutUs;
  /// [numRanks] what programs may address: the heaps of this rank's node, NULL
  /// for ranks of other nodes.
  std::unique_ptr<char *[]> peers;
  std::unique_ptr<fusco::runtime::GpuRank> onGpu; ///< NULL on a CPU
  /// [workers] fusco_timeline, on the GPU if there is one; NULL where the
  /// library has no timeline.
  fusco::runtime::Memory timelines;
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
