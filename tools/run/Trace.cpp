//===- Trace.cpp - A timeline for trace viewers ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See Trace.h.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Trace.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <set>

namespace fusco::run {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *kindNames[] = {"call", "step", "stage", "wait", "put"};

uint64_t firstStartNs(const Timeline &timeline) {
  uint64_t first = std::numeric_limits<uint64_t>::max();
  for (const Timeline::OfRank &rank : timeline.ranks)
    for (const TimelineSpan &span : rank.spans)
      first = std::min(first, span.startNs);
  return first;
}

Json metadata(const char *what, size_t rank, int worker, Json arguments) {
  return {{"ph", "M"},
          {"name", what},
          {"pid", rank},
          {"tid", worker},
          {"args", std::move(arguments)}};
}

/// What is known of a span beside its name and time.
Json argumentsOf(const fusco_library_info &info, const TimelineSpan &span) {
  const fusco_span_info &what = info.spans[span.info];
  Json arguments = Json::object();
  switch (what.kind) {
  case FUSCO_SPAN_CALL:
    arguments["call"] = span.call;
    break;
  case FUSCO_SPAN_STAGE:
    arguments["chunk"] = span.value;
    break;
  case FUSCO_SPAN_WAIT:
  case FUSCO_SPAN_PUT:
    arguments["channel"] = what.name;
    arguments["peer"] = span.value;
    if (what.kind == FUSCO_SPAN_PUT && !span.isCut)
      arguments["bytes"] = span.bytes;
  }
  if (span.isCut)
    arguments["is_cut"] = true;
  return arguments;
}

Json eventOf(const fusco_library_info &info, const TimelineSpan &span,
             size_t rank, uint64_t originNs) {
  const fusco_span_info &what = info.spans[span.info];
  const std::string kind = kindNames[what.kind];
  const bool isOfChannel = what.channel >= 0;
  return {{"ph", "X"},
          {"name", isOfChannel ? fmt::format("{} {}", kind, what.name)
                               : std::string(what.name)},
          {"cat", kind},
          {"pid", rank},
          {"tid", span.worker},
          {"ts", double(span.startNs - originNs) / 1e3},
          {"dur", double(span.endNs - span.startNs) / 1e3},
          {"args", argumentsOf(info, span)}};
}

} // namespace

std::string toTrace(const Library &library, const Timeline &timeline) {
  const fusco_library_info &info = library.info();
  const uint64_t originNs = firstStartNs(timeline);
  Json events = Json::array(), dropped = Json::array();
  for (size_t rank = 0; rank != timeline.ranks.size(); ++rank) {
    const Timeline::OfRank &of = timeline.ranks[rank];
    dropped.push_back(of.numDropped);
    events.push_back(
        metadata("process_name", rank, 0,
                 {{"name", fmt::format("rank {} (node {})", rank,
                                       int(rank) / info.ranksPerNode)}}));
    events.push_back(
        metadata("process_sort_index", rank, 0, {{"sort_index", rank}}));
    std::set<int> workers;
    for (const TimelineSpan &span : of.spans)
      workers.insert(span.worker);
    for (int worker : workers)
      events.push_back(metadata(
          "thread_name", rank, worker,
          {{"name", fmt::format(library.isOnGpu() ? "block {}" : "worker {}",
                                worker)}}));
    for (const TimelineSpan &span : of.spans)
      events.push_back(eventOf(info, span, rank, originNs));
  }
  const Json trace = {{"displayTimeUnit", "ns"},
                      {"otherData",
                       {{"model", info.model},
                        {"target", info.target},
                        {"dropped_events", dropped}}},
                      {"traceEvents", events}};
  // A model's name may hold any bytes.
  return trace.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace fusco::run
