//===- timeline.cpp - What programs note ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A program appends to the timeline of its worker, which nobody else touches
/// while it runs: on a CPU by a call, on a GPU by itself.
//
//===----------------------------------------------------------------------===//

#include "runtime/timeline.h"

#include <cinttypes>
#include <cstddef>
#include <cstring>
#include <ctime>

using namespace fusco::runtime;

namespace {
/// A fusco_timeline without the events.
struct Head {
  std::uint64_t numEvents, numDropped;
};
static_assert(sizeof(Head) == offsetof(fusco_timeline, events),
              "events stand behind the head");
} // namespace

static std::int32_t countWorkers(const fusco_context &context) {
  return context.onGpu ? context.domain->gpu->getNumBlocks() : 1;
}

static char *timelineOf(const fusco_context &context, std::int32_t worker) {
  return context.timelines.get() + worker * sizeof(fusco_timeline);
}

fusco_status fusco::runtime::makeTimelines(fusco_context &context) {
  const Gpu *gpu = context.domain->gpu.get();
  std::uint64_t bytes = countWorkers(context) * sizeof(fusco_timeline);
  if (fusco_status status =
          allocateZeroed(gpu, bytes, "a timeline", context.timelines))
    return status;
  if (!gpu)
    return FUSCO_OK;
  char *made = context.timelines.get();
  char *control = context.onGpu->control.get();
  return gpu->copyFromHost(control + offsetof(fusco_device_control, timelines),
                           &made, sizeof(made));
}

void fusco_program_mark(const fusco_program_args *args, std::int32_t span,
                        std::int32_t isEnd, std::int64_t value) {
  auto &timeline =
      *reinterpret_cast<fusco_timeline *>(timelineOf(*args->context, 0));
  if (timeline.numEvents == FUSCO_TIMELINE_EVENTS) {
    ++timeline.numDropped;
    return;
  }
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  timeline.events[timeline.numEvents++] = {
      static_cast<std::uint64_t>(now.tv_sec) * 1000000000u +
          static_cast<std::uint64_t>(now.tv_nsec),
      value, span, /*worker=*/0, static_cast<std::int16_t>(isEnd)};
}

/// Copies \p bytes of what \p worker left, from byte \p offset of its timeline.
static fusco_status read(const fusco_context &context, std::int32_t worker,
                         std::uint64_t offset, void *to, std::uint64_t bytes) {
  const char *from = timelineOf(context, worker) + offset;
  if (context.onGpu)
    return context.domain->gpu->copyToHost(to, from, bytes);
  std::memcpy(to, from, bytes);
  return FUSCO_OK;
}

static fusco_status clear(const fusco_context &context, std::int32_t worker) {
  const Head none = {};
  char *timeline = timelineOf(context, worker);
  if (context.onGpu)
    return context.domain->gpu->copyFromHost(timeline, &none, sizeof(none));
  std::memcpy(timeline, &none, sizeof(none));
  return FUSCO_OK;
}

/// Hands over all that \p worker left.
static fusco_status take(const fusco_context &context, std::int32_t worker,
                         fusco_event *&events) {
  Head head;
  if (fusco_status status = read(context, worker, 0, &head, sizeof(head)))
    return status;
  if (fusco_status status =
          read(context, worker, offsetof(fusco_timeline, events), events,
               head.numEvents * sizeof(fusco_event)))
    return status;
  events += head.numEvents;
  return clear(context, worker);
}

fusco_status fusco_context_take_events(fusco_context *context,
                                       fusco_event *events,
                                       std::uint64_t capacity,
                                       std::uint64_t *numEvents,
                                       std::uint64_t *numDropped) {
  if (!context)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: expected a context, got NULL",
                __func__);
  if (!numEvents)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected room for the number of events, got NULL",
                __func__);
  if (!context->timelines)
    return fail(FUSCO_UNSUPPORTED,
                "%s: model '%s' was compiled without a timeline; compile it "
                "with fusco-compile --timeline",
                __func__, context->library->info->model);
  const std::int32_t numWorkers = countWorkers(*context);
  Head all = {};
  for (std::int32_t worker = 0; worker != numWorkers; ++worker) {
    Head head;
    if (fusco_status status = read(*context, worker, 0, &head, sizeof(head)))
      return status;
    all.numEvents += head.numEvents;
    all.numDropped += head.numDropped;
  }
  if (events && capacity < all.numEvents)
    return fail(FUSCO_CAPACITY,
                "%s: expected room for %" PRIu64 " events, got %" PRIu64,
                __func__, all.numEvents, capacity);
  for (std::int32_t worker = 0; events && worker != numWorkers; ++worker)
    if (fusco_status status = take(*context, worker, events))
      return status;
  *numEvents = all.numEvents;
  if (numDropped)
    *numDropped = all.numDropped;
  return FUSCO_OK;
}
