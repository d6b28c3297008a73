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

#include <algorithm>
#include <cinttypes>
#include <cstdio>

using namespace fusco::runtime;

fusco_status fusco::runtime::breakContext(fusco_context &context,
                                          fusco_status status) {
  std::snprintf(context.failure, sizeof(context.failure), "%s",
                fusco_last_error());
  return status;
}

namespace {
/// "phase 'rows', channel 'copies',"
struct PlaceText {
  char data[FUSCO_NAME_BYTES + 64];
};
} // namespace

/// Where a program waits that waits on \p channel.
static PlaceText describeChannel(const fusco_library_info &info,
                                 std::int32_t channel) {
  static constexpr const char *phases[FUSCO_NUM_PHASES] = {"plan", "rows",
                                                           "ready", "combine"};
  const char *name = "unknown", *phase = "unknown";
  if (channel >= 0 && channel < info.numChannels) {
    const fusco_channel_info &found = info.channels[channel];
    name = found.name;
    if (found.phase >= 0 && found.phase < FUSCO_NUM_PHASES)
      phase = phases[found.phase];
  }
  PlaceText text;
  std::snprintf(text.data, sizeof(text.data), "phase '%s', channel '%s',",
                phase, name);
  return text;
}

fusco_status fusco::runtime::failExpiredWait(fusco_context &context,
                                             std::uint64_t actual,
                                             std::uint64_t expected,
                                             std::int32_t peer,
                                             std::int32_t channel) {
  char patience[32];
  if (context.timeoutUs >= 1000000)
    std::snprintf(patience, sizeof(patience), "%.1f s",
                  static_cast<double>(context.timeoutUs) / 1e6);
  else
    std::snprintf(patience, sizeof(patience), "%g ms",
                  static_cast<double>(context.timeoutUs) / 1e3);
  fail(FUSCO_TIMEOUT,
       "rank %" PRId32 ": timeout after %s in %s of %s_%s: rank %" PRId32
       " is at %" PRIu64 ", expected %" PRIu64,
       context.rank, patience,
       describeChannel(*context.library->info, channel).data,
       context.entryPoint.model, context.entryPoint.function, peer, actual,
       expected);
  if (context.domain->markFailed({context.rank, FUSCO_TIMEOUT}) &&
      context.domain->membership)
    context.domain->membership->reportFailure(FUSCO_TIMEOUT);
  return breakContext(context, FUSCO_TIMEOUT);
}

FailureText fusco::runtime::describe(const RankFailure &failure) {
  FailureText text;
  if (failure.status == FUSCO_OK)
    std::snprintf(text.data, sizeof(text.data),
                  "the process of rank %" PRId32 " was lost", failure.rank);
  else
    std::snprintf(text.data, sizeof(text.data),
                  "rank %" PRId32 " failed with %s", failure.rank,
                  fusco_status_name(failure.status));
  return text;
}

fusco_status fusco::runtime::failLateCall(fusco_context &context,
                                          const RankFailure &failure) {
  failIn(context.entryPoint, FUSCO_PEER_FAILED,
         "%s before rank %" PRId32 " arrived", describe(failure).data,
         context.rank);
  return breakContext(context, FUSCO_PEER_FAILED);
}

fusco_status fusco::runtime::failAbortedWait(
    fusco_context &context, const RankFailure &failure, std::int32_t channel,
    std::int32_t peer, std::uint64_t actual, std::uint64_t expected) {
  fail(FUSCO_PEER_FAILED,
       "rank %" PRId32 ": gave up in %s of %s_%s because %s; rank %" PRId32
       " is at %" PRIu64 ", expected %" PRIu64,
       context.rank, describeChannel(*context.library->info, channel).data,
       context.entryPoint.model, context.entryPoint.function,
       describe(failure).data, peer, actual, expected);
  return breakContext(context, FUSCO_PEER_FAILED);
}

fusco_status fusco::runtime::failPut(fusco_context &context, std::int32_t peer,
                                     fusco_status status) {
  char cause[errorTextBytes];
  std::snprintf(cause, sizeof(cause), "%s", fusco_last_error());
  fail(status, "rank %" PRId32 ": cannot send in %s_%s: %s", context.rank,
       context.entryPoint.model, context.entryPoint.function, cause);
  fusco_domain &domain = *context.domain;
  RankFailure failure = {peer, FUSCO_OK};
  if (peer < 0)
    failure = {context.rank, status};
  if (domain.membership->markFailed(failure))
    domain.membership->reportFailure(status);
  return breakContext(context, status);
}

fusco_status fusco::runtime::failEmptyPlan(const EntryPoint &where) {
  return failIn(where, FUSCO_BAD_STATE,
                "the plan is empty; run a dispatch that succeeds into it "
                "first");
}

/// Whether a program checks the tensor's room for rows of experts.
static bool holdsExpertRows(const fusco_tensor_spec &spec) {
  return spec.rowsKind == FUSCO_ROWS_EXPERT ||
         spec.rowsKind == FUSCO_ROWS_SLOTS;
}

/// The name of such a tensor: of several, which are to have the same room, the
/// first.
static const char *findExpertTensor(const fusco_program_info &program) {
  const fusco_tensor_spec *end = program.tensors + program.numTensors;
  const fusco_tensor_spec *found =
      std::find_if(program.tensors, end, holdsExpertRows);
  return found == end ? "rows" : found->name;
}

/// Whether it fills several, such as rows and their scales.
static bool hasSeveralExpertTensors(const fusco_program_info &program) {
  return std::count_if(program.tensors, program.tensors + program.numTensors,
                       [](const fusco_tensor_spec &spec) {
                         return holdsExpertRows(spec) && spec.isOutput;
                       }) > 1;
}

fusco_status fusco::runtime::failProgram(const fusco_context &context,
                                         fusco_status status, std::int64_t a,
                                         std::int64_t b, std::int64_t c) {
  const fusco_library_info &info = *context.library->info;
  switch (status) {
  case FUSCO_INVALID_ROUTING:
    if (c == 1)
      return failIn(context.entryPoint, FUSCO_INVALID_ROUTING,
                    "rank %" PRId32 ": placement[%" PRId64 "] is %" PRId64
                    ", expected 0..%" PRId64,
                    context.rank, a, b, info.numExperts - 1);
    if (c == 2)
      return failIn(context.entryPoint, FUSCO_INVALID_ROUTING,
                    "rank %" PRId32 ": placement lacks expert %" PRId64
                    ", expected every expert at least once",
                    context.rank, a);
    if (c == 3)
      return failIn(context.entryPoint, FUSCO_INVALID_ROUTING,
                    "rank %" PRId32 ": placement is not that of rank %" PRId64
                    ", expected the same table on all ranks",
                    context.rank, a);
    return failIn(context.entryPoint, FUSCO_INVALID_ROUTING,
                  "rank %" PRId32 ": ids[%" PRId64 ", %" PRId64 "] is %" PRId64
                  ", expected -1 or 0..%" PRId64,
                  context.rank, a / info.topk, a % info.topk, b,
                  info.numExperts - 1);
  case FUSCO_CAPACITY:
    if (info.capacityRows != 0)
      return failIn(context.entryPoint, FUSCO_CAPACITY,
                    "an expert of rank %" PRId64 " gets %" PRId64
                    " rows, its slots in tensor '%s' are %" PRId64,
                    a, b / (c / info.capacityRows),
                    findExpertTensor(*context.program), info.capacityRows);
    return failIn(context.entryPoint, FUSCO_CAPACITY,
                  "rank %" PRId64 " needs %" PRId64
                  " rows, its tensor '%s'%s has room for %" PRId64,
                  a, b, findExpertTensor(*context.program),
                  hasSeveralExpertTensors(*context.program)
                      ? " or another of those rows"
                      : "",
                  c);
  case FUSCO_PEER_FAILED:
    return failIn(context.entryPoint, FUSCO_PEER_FAILED,
                  "rank %" PRId64 " failed with %s; this rank moved nothing", a,
                  fusco_status_name(static_cast<fusco_status>(b)));
  default:
    return status;
  }
}
