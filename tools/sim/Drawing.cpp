//===- Drawing.cpp - The results as a picture -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Bars in an SVG, without scripts or other files.
///
//===----------------------------------------------------------------------===//

#include "tools/sim/Report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

using namespace fusco;
using namespace fusco::sim;

namespace {
constexpr int width = 960, left = 190, right = 60, barHeight = 22, gap = 8;
constexpr const char *colours[] = {"#4269d0", "#efb118", "#ff725c", "#6cc5b0",
                                   "#3ca951", "#a463f2", "#9498a0", "#97bbf5"};

class Drawing {
public:
  void title(const std::string &text);
  void heading(const std::string &text);
  /// A bar of pieces, as parts of \p most.
  void bar(const std::string &name, const std::vector<Phase> &pieces,
           double most, const std::string &unit);
  void legend();
  /// One thin bar for each of \p counts, and their mean.
  void columns(const std::string &name, const std::vector<int64_t> &counts,
               int64_t most, int64_t groupSize);
  std::string finish();

private:
  void text(double x, double y, const std::string &text, const char *more = "");
  const char *colourOf(const std::string &phase);
  std::string body;
  int y = 16;
  std::map<std::string, size_t> phases;
};
} // namespace

/// The characters that XML gives a meaning.
static std::string escape(const std::string &text) {
  std::string escaped;
  for (char c : text)
    escaped += c == '&'   ? "&amp;"
               : c == '<' ? "&lt;"
               : c == '>' ? "&gt;"
                          : std::string(1, c);
  return escaped;
}

void Drawing::text(double x, double at, const std::string &text,
                   const char *more) {
  body += fmt::format("<text x='{:.1f}' y='{:.1f}' {}>{}</text>\n", x, at, more,
                      escape(text));
}

void Drawing::title(const std::string &words) {
  y += 12;
  text(16, y, words, "font-size='15' font-weight='bold'");
}

void Drawing::heading(const std::string &words) {
  y += 36;
  phases.clear();
  text(16, y, words, "font-weight='bold'");
  y += 10;
}

const char *Drawing::colourOf(const std::string &phase) {
  const size_t number = phases.try_emplace(phase, phases.size()).first->second;
  return colours[number % std::size(colours)];
}

void Drawing::bar(const std::string &name, const std::vector<Phase> &pieces,
                  double most, const std::string &unit) {
  text(left - 8, y + barHeight * 0.7, name, "text-anchor='end'");
  const double scale = (width - left - right - 60) / most;
  double x = left, sum = 0;
  for (const Phase &piece : pieces) {
    body += fmt::format(
        "<rect x='{:.1f}' y='{}' width='{:.1f}' height='{}' fill='{}'/>\n", x,
        y, piece.us * scale, barHeight, colourOf(piece.name));
    x += piece.us * scale;
    sum += piece.us;
  }
  text(x + 6, y + barHeight * 0.7, fmt::format("{:.2f} {}", sum, unit));
  y += barHeight + gap;
}

void Drawing::legend() {
  double x = left;
  y += 4;
  for (const auto &[phase, number] : phases) {
    body += fmt::format("<rect x='{:.1f}' y='{}' width='12' height='12' "
                        "fill='{}'/>\n",
                        x, y, colours[number % std::size(colours)]);
    text(x + 17, y + 11, phase);
    x += 34 + 7.2 * double(phase.size());
  }
  y += 18;
}

void Drawing::columns(const std::string &name,
                      const std::vector<int64_t> &counts, int64_t most,
                      int64_t groupSize) {
  constexpr int height = 90;
  const double step = double(width - left - right) / double(counts.size());
  text(left - 8, y + height * 0.6, name, "text-anchor='end'");
  double sum = 0;
  for (size_t i = 0; i != counts.size(); ++i) {
    const double share = double(counts[i]) / double(std::max<int64_t>(1, most));
    body += fmt::format(
        "<rect x='{:.2f}' y='{:.1f}' width='{:.2f}' height='{:.1f}' fill='{}'/>"
        "\n",
        left + step * double(i), y + height * (1 - share),
        std::max(0.5, step * 0.85), height * share,
        colours[(i / size_t(groupSize)) % 2 == 0 ? 0 : 3]);
    sum += double(counts[i]);
  }
  const double mean =
      sum / double(counts.size()) / double(std::max<int64_t>(1, most));
  body += fmt::format("<line x1='{}' x2='{}' y1='{:.1f}' y2='{:.1f}' "
                      "stroke='#555' stroke-dasharray='4 3'/>\n",
                      left, width - right, y + height * (1 - mean),
                      y + height * (1 - mean));
  text(width - right + 6, y + height * (1 - mean) + 4, "mean");
  text(left - 8, y + 10, std::to_string(most), "text-anchor='end' fill='#555'");
  text(left - 8, y + height, "0", "text-anchor='end' fill='#555'");
  y += height + 14;
}

std::string Drawing::finish() {
  y += 16;
  return fmt::format("<svg xmlns='http://www.w3.org/2000/svg' width='{0}' "
                     "height='{1}' viewBox='0 0 {0} {1}' "
                     "font-family='sans-serif' font-size='12'>\n<rect "
                     "width='{0}' height='{1}' fill='white'/>\n{2}</svg>\n",
                     width, y, body);
}

std::string sim::toSvg(const Results &results) {
  const Shape &shape = results.shape;
  Drawing drawing;
  drawing.title(fmt::format(
      "Modelled, not measured: {} nodes x {} ranks, {} tokens per rank, hidden "
      "{}, top-{} of {}",
      shape.nodes, shape.ranksPerNode, shape.tokens, shape.hidden, shape.topk,
      shape.experts));
  double most = 1;
  for (const Modelled &plan : results.plans)
    most = std::max({most, plan.dispatchUs() / 1e3, plan.combineUs() / 1e3});
  for (bool isDispatch : {true, false}) {
    drawing.heading(isDispatch ? "Dispatch, modelled ms by phase"
                               : "Combine, modelled ms by phase");
    for (const Modelled &plan : results.plans) {
      std::vector<Phase> inMs = isDispatch ? plan.dispatch : plan.combine;
      for (Phase &phase : inMs)
        phase.us /= 1e3;
      drawing.bar(plan.plan->name, inMs, most, "ms");
    }
    drawing.legend();
  }
  std::vector<Phase> bytes;
  double largestGB = 1e-9;
  for (const Modelled &plan : results.plans)
    largestGB =
        std::max(largestGB, (plan.bytesScaleOut + plan.bytesScaleUp) * 1e-9);
  drawing.heading("Bytes of a dispatch over all links, GB");
  for (const Modelled &plan : results.plans)
    drawing.bar(plan.plan->name,
                {{"between nodes", plan.bytesScaleOut * 1e-9},
                 {"within nodes", plan.bytesScaleUp * 1e-9}},
                largestGB, "GB");
  drawing.legend();
  auto countsOf = [&](const char *name) -> const Counts & {
    return std::find_if(results.plans.begin(), results.plans.end(),
                        [&](const Modelled &plan) {
                          return name == std::string(plan.plan->name);
                        })
        ->counts;
  };
  const Counts &rail = countsOf("fusco-rail"), &even = countsOf("fusco");
  auto draw = [&](const char *heading, const std::vector<int64_t> &before,
                  const std::vector<int64_t> &after) {
    drawing.heading(heading);
    const int64_t top = std::max(largest(before), largest(after));
    drawing.columns("rail", before, top, shape.ranksPerNode);
    drawing.columns("balanced", after, top, shape.ranksPerNode);
  };
  draw("Rows that each rank sends to other nodes (colours: nodes)", rail.sent,
       even.sent);
  draw("Rows that each rank forwards in its node", rail.forwarded,
       even.forwarded);
  drawing.heading("Rows of each rank's experts");
  drawing.columns("", even.received, largest(even.received),
                  shape.ranksPerNode);
  return drawing.finish();
}
