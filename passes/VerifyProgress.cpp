//===- VerifyProgress.cpp - Proof that every wait can be met --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe-verify-progress, for each program:
///   1. each channel is used as it must be (ChannelRules.cpp);
///   2. the waits, and the order of the program, make no cycle
///      (ProgressGraph.h).
///
/// All ranks run the same program, and a dependency between two ranks is one
/// between two operations of it. So one event stands for those of all ranks and
/// lanes: a cycle of ranks that wait is a cycle of events, whatever the number
/// of ranks.
///
//===----------------------------------------------------------------------===//

#include "mlir/IR/Builders.h"
#include "passes/ChannelUses.h"
#include "passes/ProgressGraph.h"

namespace fusco {
#define GEN_PASS_DEF_VERIFYPROGRESSPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

namespace {
/// The waits of one program.
class ProgramProof {
public:
  ProgramProof(ProgramOp program, const ProgramUses &uses, Workers workers)
      : program(program), uses(uses), workers(workers) {}

  /// Emits an error for a wait that may not be met.
  LogicalResult verify();
  /// The proof as an entry of the module's attribute.
  DictionaryAttr describe();

private:
  /// Those in \p pipeline, or outside if it is null.
  LogicalResult verifyWaits(PipelineOp pipeline);
  /// \p depthNeeded: slots that would be enough, or 0.
  void reportCycle(const ProgressGraph &graph, std::vector<size_t> cycle,
                   int64_t depthNeeded);

  /// An edge of the graph that is not the order of the program.
  struct Wait {
    const ChannelUse *waiter = nullptr, *source = nullptr;
    const UsesOfChannel *of = nullptr;
    bool isForCredit = false;
  };
  void addOrder(ProgressGraph &graph, PipelineOp pipeline);
  void addWaits(ProgressGraph &graph, PipelineOp pipeline);
  /// Such as: chunk 3 of stage "send".
  std::string name(size_t event, int64_t chunk);

  ProgramOp program;
  const ProgramUses &uses;
  Workers workers;
  SmallVector<Wait> waits; ///< of the graph's edges; null where it is order
};

struct VerifyProgressPass
    : fusco::impl::VerifyProgressPassBase<VerifyProgressPass> {
  using VerifyProgressPassBase::VerifyProgressPassBase;
  void runOnOperation() override;
};
} // namespace

//===----------------------------------------------------------------------===//
// Waits
//===----------------------------------------------------------------------===//

/// A worker does its events one after the other, for chunk after chunk.
void ProgramProof::addOrder(ProgressGraph &graph, PipelineOp pipeline) {
  SmallVector<SmallVector<size_t>> sequences(1);
  for (const Place &place : uses.getPlaces()) {
    if (place.pipeline != pipeline)
      continue;
    if (workers == Workers::Stages)
      sequences.emplace_back();
    llvm::append_range(sequences.back(), place.events);
  }
  auto lagOf = [&](size_t event) {
    return uses.getPlaces()[uses.getEvents()[event].place].lag;
  };
  for (ArrayRef<size_t> sequence : sequences)
    for (size_t i = 0; i < sequence.size(); ++i) {
      bool isLast = i + 1 == sequence.size();
      size_t before = sequence[i], after = sequence[isLast ? 0 : i + 1];
      // In one step, or from the end of a step to the start of the next.
      graph.addEdge(before, after, lagOf(before) - lagOf(after) + isLast);
      waits.emplace_back();
    }
}

void ProgramProof::addWaits(ProgressGraph &graph, PipelineOp pipeline) {
  auto add = [&](const UsesOfChannel &of, ArrayRef<ChannelUse> waiters,
                 ArrayRef<ChannelUse> sources, bool isForCredit) {
    for (const ChannelUse &waiter : waiters)
      for (const ChannelUse &source : sources) {
        graph.addEdge(source.event, waiter.event,
                      isForCredit ? of.getDepth() : 0);
        waits.push_back({&waiter, &source, &of, isForCredit});
      }
  };
  for (const UsesOfChannel &of : uses.getChannels()) {
    if (uses.getPlaces()[of.sends.front().place].pipeline != pipeline)
      continue;
    add(of, of.receives, of.sends, /*isForCredit=*/false);
    if (of.getFreeing() == Freeing::Credit)
      add(of, of.claims, of.releases, /*isForCredit=*/true);
  }
}

LogicalResult ProgramProof::verifyWaits(PipelineOp pipeline) {
  ProgressGraph graph(uses.getEvents().size());
  waits.clear();
  addOrder(graph, pipeline);
  addWaits(graph, pipeline);
  std::vector<size_t> cycle = graph.findCycle();
  if (cycle.empty())
    return success();

  // The fewest slots that would be enough, by bisection. With as many as the
  // rest of a cycle goes forward in chunks, one that needs a credit goes back.
  auto isEnough = [&](int64_t depth) {
    ProgressGraph larger = graph;
    for (auto [edge, wait] : llvm::enumerate(waits))
      if (wait.isForCredit)
        larger.setDistance(edge, std::max(wait.of->getDepth(), depth));
    return larger.isLive();
  };
  int64_t tooFew = 1, enough = graph.maxForward();
  if (!isEnough(enough))
    enough = 0;
  while (enough - tooFew > 1) {
    int64_t middle = tooFew + (enough - tooFew) / 2;
    (isEnough(middle) ? enough : tooFew) = middle;
  }
  reportCycle(graph, cycle, enough);
  return failure();
}

std::string ProgramProof::name(size_t event, int64_t chunk) {
  StageOp stage = uses.getPlaces()[uses.getEvents()[event].place].stage;
  if (!stage)
    return "every rank";
  return ("chunk " + Twine(chunk) + " of stage \"" + stage.getName() + "\"")
      .str();
}

void ProgramProof::reportCycle(const ProgressGraph &graph,
                               std::vector<size_t> cycle, int64_t depthNeeded) {
  // From a wait, for a credit if there is one, back to itself.
  auto last = llvm::find_if(
      cycle, [&](size_t edge) { return waits[edge].isForCredit; });
  if (last == cycle.end())
    last =
        llvm::find_if(cycle, [&](size_t edge) { return !!waits[edge].waiter; });
  std::rotate(cycle.begin(), std::next(last), cycle.end());
  std::reverse(cycle.begin(), cycle.end());

  // The chunks after each edge; the last one starts where the first one ended,
  // or in a later chunk.
  SmallVector<int64_t> chunks(1, 0);
  for (size_t edge : cycle)
    chunks.push_back(chunks.back() - graph.edge(edge).distance);
  int64_t first = *llvm::min_element(chunks);

  auto waitOf = [&](size_t i) { return waits[cycle[i]]; };
  auto thing = [](const Wait &wait) {
    return wait.isForCredit ? "a credit of " : "a slot of ";
  };
  InFlightDiagnostic diagnostic =
      waitOf(0).waiter->op->emitOpError("expected every wait to be met, but ");
  for (size_t i = 0; i < cycle.size();) {
    Wait wait = waitOf(i);
    std::string waiter = name(wait.waiter->event, chunks[i] - first);
    std::string source = name(wait.source->event, chunks[i + 1] - first);
    if (i == 0)
      diagnostic << waiter << " waits here for " << thing(wait)
                 << wait.of->getName();
    else
      diagnostic.attachNote(wait.waiter->op->getLoc())
          << waiter << " waits here for " << thing(wait) << wait.of->getName();
    // The order of the program, up to the next wait.
    size_t next = i + 1;
    while (next < cycle.size() && !waitOf(next).waiter)
      ++next;
    bool isRound = next == cycle.size();
    const ChannelUse *nextWaiter = waitOf(isRound ? 0 : next).waiter;
    std::string blocker = name(nextWaiter->event, chunks[next] - first);
    Diagnostic &note = diagnostic.attachNote(wait.source->op->getLoc());
    note << source << " gives it here only after "
         << (blocker == source ? "its own wait" : blocker);
    if (wait.source->event == nextWaiter->event && next == i + 1)
      note << ", in the same loop";
    i = next;
  }

  const UsesOfChannel &ring = *waitOf(0).of;
  Diagnostic &hint = diagnostic.attachNote(ring.getChannel().getLoc());
  if (depthNeeded > 0)
    hint << "a ring of at least " << depthNeeded << " slots is needed, got "
         << ring.getDepth();
  else
    hint << "no number of slots would help";
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

LogicalResult ProgramProof::verify() {
  if (failed(verifyWaits(PipelineOp())))
    return failure();
  for (auto pipeline : program.getBody().getOps<PipelineOp>())
    if (failed(verifyWaits(pipeline)))
      return failure();
  return success();
}

DictionaryAttr ProgramProof::describe() {
  Builder builder(program.getContext());
  int64_t numWaits = 0;
  SmallVector<Attribute> channels;
  for (const UsesOfChannel &of : uses.getChannels()) {
    numWaits += of.receives.size();
    if (of.getFreeing() == Freeing::Credit)
      numWaits += of.claims.size();
    channels.push_back(of.getName());
  }
  StringRef workerNames = workers == Workers::One ? "one" : "stages";
  return builder.getDictionaryAttr({
      builder.getNamedAttr("program", program.getSymNameAttr()),
      builder.getNamedAttr("workers", builder.getStringAttr(workerNames)),
      builder.getNamedAttr("waits", builder.getI64IntegerAttr(numWaits)),
      builder.getNamedAttr("channels", builder.getArrayAttr(channels)),
  });
}

/// Distances in chunks are summed up, which must not overflow.
static LogicalResult verifyLimits(ModuleOp module) {
  constexpr int64_t limit = int64_t(1) << 31;
  auto verify = [](Operation *op, StringRef what, int64_t value) {
    if (value < limit)
      return WalkResult::advance();
    op->emitOpError("expected a ") << what << " below 2^31, got " << value;
    return WalkResult::interrupt();
  };
  WalkResult result = module.walk([&](Operation *op) {
    if (auto stage = dyn_cast<StageOp>(op))
      return verify(op, "lag", static_cast<int64_t>(stage.getLag()));
    if (auto channel = dyn_cast<ChannelOp>(op))
      return verify(op, "depth", static_cast<int64_t>(channel.getDepth()));
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

void VerifyProgressPass::runOnOperation() {
  ModuleOp module = getOperation();
  if (failed(verifyLimits(module)))
    return signalPassFailure();
  SmallVector<Attribute> proofs;
  for (auto program : module.getOps<ProgramOp>()) {
    FailureOr<ProgramUses> uses = ProgramUses::collect(program, workers);
    if (failed(uses)) {
      signalPassFailure();
      continue;
    }
    ProgramProof proof(program, *uses, workers);
    if (failed(verifyChannelRules(program, *uses)) || failed(proof.verify()))
      signalPassFailure();
    else
      proofs.push_back(proof.describe());
  }
  module->setAttr(progressAttrName, ArrayAttr::get(&getContext(), proofs));
}
