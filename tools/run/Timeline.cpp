//===- Timeline.cpp - What ranks did, and when ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Spans of a worker nest, so that a stack pairs their begins and ends.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Timeline.h"

#include <algorithm>

namespace fusco::run {
namespace {

/// Spans of one rank that are handed to the others at a time: less than a
/// domain gathers at once.
constexpr size_t spansPerGather = 4096;

/// Appends the spans of \p events, of one call, to \p spans.
void appendSpans(const fusco_library_info &info, int program, size_t call,
                 const std::vector<fusco_event> &events,
                 std::vector<TimelineSpan> &spans) {
  std::vector<size_t> open; // of the current worker, from the outermost
  uint64_t lastNs = 0;
  auto closeAll = [&] {
    for (size_t at : open) {
      spans[at].endNs = lastNs;
      spans[at].isCut = true;
    }
    open.clear();
  };
  auto begin = [&](const fusco_event &event) {
    TimelineSpan span = {};
    span.startNs = event.timeNs;
    span.value = event.value;
    span.info = event.span;
    span.step = span.stage = -1;
    span.program = program;
    span.call = int32_t(call);
    span.worker = event.worker;
    span.depth = int16_t(open.size());
    for (size_t at : open) {
      const int kind = info.spans[spans[at].info].kind;
      if (kind == FUSCO_SPAN_STEP)
        span.step = spans[at].info;
      else if (kind == FUSCO_SPAN_STAGE)
        span.stage = spans[at].info;
    }
    open.push_back(spans.size());
    spans.push_back(span);
  };

  int worker = -1;
  for (const fusco_event &event : events) {
    if (event.worker != worker)
      closeAll();
    worker = event.worker;
    lastNs = event.timeNs;
    if (!event.isEnd) {
      begin(event);
    } else if (!open.empty() && spans[open.back()].info == event.span) {
      TimelineSpan &span = spans[open.back()];
      span.endNs = event.timeNs;
      if (info.spans[span.info].kind == FUSCO_SPAN_PUT)
        span.bytes = event.value;
      open.pop_back();
    }
  }
  closeAll();
}

} // namespace

void TimelineRecorder::take(int program) {
  Call call = {};
  call.numDropped = rank.takeEvents(call.events);
  std::deque<Call> &kept = calls[program];
  kept.push_back(std::move(call));
  if (kept.size() > numCalls)
    kept.pop_front();
}

Timeline TimelineRecorder::gather() {
  const fusco_library_info &info = rank.library.info();
  Timeline::OfRank own;
  for (const auto &[program, kept] : calls)
    for (size_t call = 0; call != kept.size(); ++call) {
      appendSpans(info, program, call, kept[call].events, own.spans);
      own.numDropped += kept[call].numDropped;
    }

  const std::vector<uint64_t> numDropped = rank.gather(own.numDropped);
  const std::vector<uint64_t> numSpans =
      rank.gather(uint64_t(own.spans.size()));
  Timeline all;
  for (uint64_t dropped : numDropped)
    all.ranks.push_back({{}, dropped});
  const uint64_t most = *std::max_element(numSpans.begin(), numSpans.end());
  for (size_t first = 0; first < most; first += spansPerGather) {
    std::vector<TimelineSpan> part(spansPerGather);
    for (size_t i = first;
         i < std::min(first + spansPerGather, own.spans.size()); ++i)
      part[i - first] = own.spans[i];
    const std::vector<TimelineSpan> parts = rank.gather(part);
    for (size_t of = 0; of != numSpans.size(); ++of)
      for (size_t i = first; i < std::min(first + spansPerGather, numSpans[of]);
           ++i)
        all.ranks[of].spans.push_back(parts[of * spansPerGather + i - first]);
  }
  return all;
}

std::optional<TimelineRecorder> makeRecorder(Rank &rank,
                                             const Options &options) {
  std::optional<TimelineRecorder> recorder;
  if (options.timeline)
    recorder.emplace(rank, options.timelineCalls);
  return recorder;
}

} // namespace fusco::run
