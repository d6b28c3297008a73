//===- failure.cpp - What programs fail with ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The texts, and the marks that an expired wait leaves.
//
//===----------------------------------------------------------------------===//

#include "runtime/failure.h"

#include <cinttypes>
#include <cstdio>

using namespace fusco::runtime;

fusco_status fusco::runtime::breakContext(fusco_context &context,
                                          fusco_status status) {
  std::snprintf(context.failure, sizeof(context.failure), "%s",
                fusco_last_error());
  return status;
}

static const char *getPhaseName(std::int32_t phase) {
  static constexpr const char *names[FUSCO_NUM_PHASES] = {"plan", "rows",
                                                          "ready", "combine"};
  return phase >= 0 && phase < FUSCO_NUM_PHASES ? names[phase] : "unknown";
}

fusco_status fusco::runtime::failExpiredWait(fusco_context &context,
                                             std::uint64_t actual,
                                             std::uint64_t expected,
                                             std::int32_t peer,
                                             std::int32_t phase) {
  char patience[32];
  if (context.timeoutUs >= 1000000)
    std::snprintf(patience, sizeof(patience), "%.1f s",
                  static_cast<double>(context.timeoutUs) / 1e6);
  else
    std::snprintf(patience, sizeof(patience), "%g ms",
                  static_cast<double>(context.timeoutUs) / 1e3);
  fail(FUSCO_TIMEOUT,
       "rank %" PRId32
       ": timeout after %s in phase '%s' of %s_%s: rank %" PRId32
       " is at %" PRIu64 ", expected %" PRIu64,
       context.rank, patience, getPhaseName(phase), context.entryPoint.model,
       context.entryPoint.function, peer, actual, expected);
  std::int32_t none = -1;
  context.domain->firstFailedRank.compare_exchange_strong(none, context.rank);
  return breakContext(context, FUSCO_TIMEOUT);
}

fusco_status fusco::runtime::failAbortedWait(fusco_context &context,
                                             std::int32_t failedRank,
                                             std::int32_t phase) {
  if (phase == noPhase)
    failIn(context.entryPoint, FUSCO_PEER_FAILED,
           "rank %" PRId32 " timed out before this rank arrived", failedRank);
  else
    fail(FUSCO_PEER_FAILED,
         "rank %" PRId32
         ": gave up in phase '%s' of %s_%s because rank %" PRId32
         " failed with %s",
         context.rank, getPhaseName(phase), context.entryPoint.model,
         context.entryPoint.function, failedRank,
         fusco_status_name(FUSCO_TIMEOUT));
  return breakContext(context, FUSCO_PEER_FAILED);
}

fusco_status fusco::runtime::failEmptyPlan(const EntryPoint &where) {
  return failIn(where, FUSCO_BAD_STATE,
                "the plan is empty; run a dispatch that succeeds into it "
                "first");
}

/// The name of the tensor whose room for expert-major rows a program checks.
static const char *findExpertTensor(const fusco_program_info &program) {
  for (std::int32_t i = 0; i < program.numTensors; ++i)
    if (program.tensors[i].rowsKind == FUSCO_ROWS_EXPERT)
      return program.tensors[i].name;
  return "rows";
}

fusco_status fusco::runtime::failProgram(const fusco_context &context,
                                         fusco_status status, std::int64_t a,
                                         std::int64_t b, std::int64_t c) {
  const fusco_library_info &info = *context.library->info;
  switch (status) {
  case FUSCO_INVALID_ROUTING:
    return failIn(context.entryPoint, FUSCO_INVALID_ROUTING,
                  "rank %" PRId32 ": ids[%" PRId64 ", %" PRId64 "] is %" PRId64
                  ", expected -1 or 0..%" PRId64,
                  context.rank, a / info.topk, a % info.topk, b,
                  info.numExperts - 1);
  case FUSCO_CAPACITY:
    return failIn(context.entryPoint, FUSCO_CAPACITY,
                  "rank %" PRId64 " needs %" PRId64
                  " rows, its tensor '%s' has room for %" PRId64,
                  a, b, findExpertTensor(*context.program), c);
  case FUSCO_PEER_FAILED:
    return failIn(context.entryPoint, FUSCO_PEER_FAILED,
                  "rank %" PRId64 " failed with %s; this rank moved nothing", a,
                  fusco_status_name(static_cast<fusco_status>(b)));
  default:
    return status;
  }
}
