//===- TimelineTable.cpp - Where the time of calls went -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See TimelineTable.h.
//
//===----------------------------------------------------------------------===//
#include "tools/run/TimelineTable.h"

#include "tools/run/Timing.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace fusco::run {
namespace {

/// What a line is about: a call, a step, a stage in a step, or the waits for a
/// channel; indices of the library's spans, -1 where there is none.
struct Subject {
  int32_t step, stage, channel;
  bool operator<(const Subject &other) const {
    return std::tie(step, stage, channel) <
           std::tie(other.step, other.stage, other.channel);
  }
};
constexpr Subject wholeCall = {-1, -1, -1};

/// Over the calls of a program that are kept, in nanoseconds.
struct Sum {
  double all = 0, waits = 0;
};

/// One rank's sums of one program.
using Sums = std::map<Subject, Sum>;

Sums sumUp(const fusco_library_info &info, int program,
           const std::vector<TimelineSpan> &spans) {
  Sums sums;
  for (const TimelineSpan &span : spans) {
    if (span.program != program || span.worker != 0)
      continue;
    const double ns = double(span.endNs - span.startNs);
    switch (info.spans[span.info].kind) {
    case FUSCO_SPAN_CALL:
      sums[wholeCall].all += ns;
      break;
    case FUSCO_SPAN_STEP:
      if (span.step < 0) // not a worker's part of it
        sums[{span.info, -1, -1}].all += ns;
      break;
    case FUSCO_SPAN_STAGE:
      sums[{span.step, span.info, -1}].all += ns;
      break;
    case FUSCO_SPAN_WAIT:
      sums[{-1, -1, span.info}].all += ns;
      sums[wholeCall].waits += ns;
      if (span.step >= 0)
        sums[{span.step, -1, -1}].waits += ns;
      if (span.stage >= 0)
        sums[{span.step, span.stage, -1}].waits += ns;
      break;
    }
  }
  return sums;
}

/// What any rank has, in the order of time: a step with its stages, then waits.
std::vector<Subject> orderSubjects(const std::vector<Sums> &ranks,
                                   const std::vector<TimelineSpan> &spans) {
  std::vector<int32_t> seen; // spans in the order of their first begin
  for (const TimelineSpan &span : spans)
    if (std::find(seen.begin(), seen.end(), span.info) == seen.end())
      seen.push_back(span.info);
  auto position = [&](int32_t span) {
    return span < 0 ? ptrdiff_t(-1)
                    : std::find(seen.begin(), seen.end(), span) - seen.begin();
  };
  std::set<Subject> all;
  for (const Sums &sums : ranks)
    for (const auto &[subject, sum] : sums)
      all.insert(subject);
  std::vector<Subject> ordered(all.begin(), all.end());
  auto key = [&](const Subject &subject) {
    return std::tuple(position(subject.channel), position(subject.step),
                      position(subject.stage));
  };
  std::stable_sort(
      ordered.begin(), ordered.end(),
      [&](const Subject &a, const Subject &b) { return key(a) < key(b); });
  return ordered;
}

std::string nameOf(const fusco_library_info &info, int program,
                   const Subject &subject) {
  if (subject.channel >= 0)
    return fmt::format("  wait {}", info.spans[subject.channel].name);
  if (subject.stage >= 0)
    return fmt::format("    {}", info.spans[subject.stage].name);
  if (subject.step >= 0)
    return fmt::format("  {}", info.spans[subject.step].name);
  return info.programs[program].name;
}

/// The columns of a line: a time, its share of the call, and that of the waits
/// in it.
struct Columns {
  double us, share, waits;
};

std::string toText(const Columns &columns, bool isWait) {
  return fmt::format(" {:>11.1f} {:>6.1f}% {:>7}", columns.us,
                     100 * columns.share,
                     isWait ? "" : fmt::format("{:.1f}%", 100 * columns.waits));
}

std::string programTable(const Library &library, int program,
                         const Timeline &timeline) {
  const fusco_library_info &info = library.info();
  std::vector<Sums> ranks;
  for (const Timeline::OfRank &rank : timeline.ranks)
    ranks.push_back(sumUp(info, program, rank.spans));
  int32_t numCalls = 0;
  for (const TimelineSpan &span : timeline.ranks.front().spans)
    if (span.program == program)
      numCalls = std::max(numCalls, span.call + 1);
  if (numCalls == 0)
    return "";

  auto columnsOf = [&](Sums &sums, const Subject &subject) {
    const Sum sum = sums[subject];
    const double call = std::max(sums[wholeCall].all, 1.0);
    return Columns{sum.all / 1e3 / numCalls, sum.all / call, sum.waits / call};
  };
  const auto slowest =
      std::max_element(ranks.begin(), ranks.end(), [](Sums &a, Sums &b) {
        return a[wholeCall].all < b[wholeCall].all;
      });

  std::string text =
      fmt::format("{:<28} {:>11} {:>7} {:>7} {:>11} {:>7} {:>7}  (rank {})\n",
                  "", "median us", "share", "waits", "slowest us", "share",
                  "waits", slowest - ranks.begin());
  for (const Subject &subject :
       orderSubjects(ranks, timeline.ranks.front().spans)) {
    std::vector<double> us, share, waits;
    for (Sums &sums : ranks) {
      const Columns columns = columnsOf(sums, subject);
      us.push_back(columns.us);
      share.push_back(columns.share);
      waits.push_back(columns.waits);
    }
    const bool isWait = subject.channel >= 0;
    auto medianOf = [](const std::vector<double> &values) {
      return quartilesOf(values).median;
    };
    text += fmt::format(
        "{:<28}{}{}\n", nameOf(info, program, subject),
        toText({medianOf(us), medianOf(share), medianOf(waits)}, isWait),
        toText(columnsOf(*slowest, subject), isWait));
  }
  return text;
}

} // namespace

std::string toTable(const Library &library, const Timeline &timeline) {
  std::string text;
  for (int program = 0; program != library.info().numPrograms; ++program) {
    const std::string table = programTable(library, program, timeline);
    if (!table.empty())
      text += "\n" + table;
  }
  uint64_t dropped = 0;
  for (const Timeline::OfRank &rank : timeline.ranks)
    dropped += rank.numDropped;
  if (dropped != 0)
    text += fmt::format("(the timeline lacks {} events: a worker has room for "
                        "{} in a call)\n",
                        dropped, int(FUSCO_TIMELINE_EVENTS));
  return text;
}

} // namespace fusco::run
