//===- GraphCheck.cpp - A library in a CUDA Graph -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Every rank has a stream and a graph of its own. Tensors stay where they are;
/// what differs between replays is written into them.
//
//===----------------------------------------------------------------------===//
#include "tools/run/GraphCheck.h"

#include "tools/common/Error.h"
#include "tools/common/Output.h"
#include "tools/run/Gpu.h"
#include "tools/run/RankCheck.h"

#include <fmt/format.h>

#include <algorithm>

namespace fusco::run {
namespace {

/// Tokens that routing moves on by from replay to replay; a prime, so that it
/// rarely comes back to the same rank.
constexpr int64_t tokensPerReplay = 7;

/// The routing of each replay: every token takes that of one further on, and
/// all experts are others. Replay 0 has what was given.
class Variants {
public:
  Variants(const reference::Shape &shape, const Routing &routing)
      : shape(shape), routing(routing) {
    for (const RankRouting &rank : routing.ranks) {
      ids.insert(ids.end(), rank.ids.begin(), rank.ids.end());
      weights.insert(weights.end(), rank.weights.begin(), rank.weights.end());
    }
  }

  Routing ofReplay(int64_t replay) const {
    Routing variant = routing;
    const size_t shift = size_t(replay * tokensPerReplay * shape.topk);
    size_t next = 0;
    for (RankRouting &rank : variant.ranks)
      for (size_t i = 0; i != rank.ids.size(); ++i, ++next) {
        const size_t from = (next + shift) % ids.size();
        const int64_t id = ids[from];
        rank.ids[i] = id < 0 ? id : (id + replay) % shape.experts;
        if (!weights.empty())
          rank.weights[i] = weights[from];
      }
    return variant;
  }

private:
  const reference::Shape &shape;
  const Routing &routing;
  std::vector<int64_t> ids;   ///< of all ranks
  std::vector<float> weights; ///< likewise
};

/// Whether \p replay of \p replays is one of those that are compared.
bool isCompared(int64_t replay, int64_t replays) {
  const int64_t compared = std::min(replays, mostComparedReplays);
  // Of each of `compared` equal parts the last.
  return (replay + 1) * compared / replays != replay * compared / replays;
}

/// The graph of one rank, on its stream.
class RankGraph {
public:
  RankGraph(Rank &rank, const Shuffle &shuffle, const Tensors &tensors,
            const Plan &plan)
      : rank(rank), stream(makeStream()) {
    const cuda::Driver &driver = gpuDriver();
    requireGpu(driver.streamBeginCapture(
                   stream.get(), cuda::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
               "starting a capture");
    tensors.run(shuffle.dispatch, plan, stream.get());
    tensors.run(shuffle.combine, plan, stream.get());
    cuda::CUgraph captured = nullptr;
    requireGpu(driver.streamEndCapture(stream.get(), &captured),
               "ending a capture");
    const cuda::Graph graph(currentGpuContext(), captured);
    cuda::CUgraphExec made = nullptr;
    requireGpu(driver.graphInstantiate(&made, graph.get(), 0),
               "instantiating a graph");
    exec = cuda::GraphExec(currentGpuContext(), made);
  }

  void replay() {
    requireGpu(gpuDriver().graphLaunch(exec.get(), stream.get()),
               "launching a graph");
    rank.synchronize(stream.get());
  }

private:
  Rank &rank;
  cuda::Stream stream;
  cuda::GraphExec exec;
};

/// The most rows that each rank gets in any replay.
std::vector<int64_t> mostExpertRows(const reference::Shape &shape,
                                    const Variants &variants, int64_t replays) {
  std::vector<int64_t> most(size_t(shape.numRanks()), 0);
  // After so many the experts are the same again.
  for (int64_t i = 0; i != std::min(replays, shape.experts); ++i) {
    const std::vector<int64_t> rows = expertRowsOf(shape, variants.ofReplay(i));
    std::transform(most.begin(), most.end(), rows.begin(), most.begin(),
                   [](int64_t a, int64_t b) { return std::max(a, b); });
  }
  return most;
}

} // namespace

CheckResult checkGraph(Ranks &ranks, const Shuffle &shuffle,
                       const Routing &routing, const Options &options) {
  const Library &library = ranks.library;
  if (!library.isOnGpu())
    throw Error(fmt::format("--graph: library '{}' was compiled for '{}', "
                            "expected one for GPUs",
                            library.path(), library.info().target));
  const reference::Shape &shape = library.shape();
  const int64_t replays = *options.graph;
  const Variants variants(shape, routing);
  const std::vector<int64_t> rooms = mostExpertRows(shape, variants, replays);
  Round round(routing.ranks.size());
  CheckResult result;
  Progress progress(
      fmt::format("replaying a graph {} times, seed {}", replays, options.seed),
      uint64_t(replays), ranks.isLead());
  ranks.launch([&](Rank &rank) {
    const size_t index = size_t(rank.index);
    RankCheck contents(rank, false, round, options.seed);
    const Plan plan(rank);
    Tensors tensors(rank);
    for (int program : {shuffle.dispatch, shuffle.combine})
      tensors.create(program, routing.ranks[index].tokens, rooms[index],
                     rooms[index]);
    RankGraph graph(rank, shuffle, tensors, plan);
    fusco_plan_info firstPlan = FUSCO_PLAN_INFO_INIT;

    for (int64_t replay = 0; replay != replays; ++replay) {
      const Routing variant = variants.ofReplay(replay);
      const bool compares = isCompared(replay, replays);
      if (compares) {
        contents.draw(
            int(replay), Contents::Awkward,
            [&](int of) -> const RankRouting & {
              return variant.ranks[size_t(of)];
            },
            routing.placementOf(size_t(replay)));
        contents.setDispatchInputs(tensors);
        contents.setCombineInputs(tensors);
        for (int program : {shuffle.dispatch, shuffle.combine})
          tensors.fill(program, true, poison);
      } else {
        tensors.setIntegers("ids", variant.ranks[index].ids);
        if (shape.hasTable)
          tensors.setIntegers("placement", routing.placementOf(size_t(replay)));
      }
      for (int program : {shuffle.dispatch, shuffle.combine})
        tensors.upload(program);
      graph.replay();
      if (compares) {
        for (int program : {shuffle.dispatch, shuffle.combine})
          tensors.download(program);
        auto where = [&](int program) {
          return fmt::format("replay {}, {} on rank {}", replay,
                             library.program(program).name, rank.index);
        };
        contents.compareDispatch(where(shuffle.dispatch), tensors);
        contents.comparePlan(where(shuffle.dispatch), plan.info());
        contents.compareCombine(where(shuffle.combine), tensors);
      }
      if (replay == 0) // whose routing is the given one
        firstPlan = plan.info();
      if (rank.index == 0)
        progress.advance();
    }
    // Nobody ends tensors that a peer still uses: all come here first.
    gatherResults(rank, contents.comparison, firstPlan, result);
  });
  return result;
}

} // namespace fusco::run
