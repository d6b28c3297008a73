//===- ChannelUses.cpp - Where a program uses its channels ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See ChannelUses.h.
///
//===----------------------------------------------------------------------===//

#include "passes/ChannelUses.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

SmallVector<ChannelUse> UsesOfChannel::all() const {
  return llvm::to_vector(
      llvm::concat<const ChannelUse>(claims, sends, receives, helds, releases));
}

//===----------------------------------------------------------------------===//
// Collecting
//===----------------------------------------------------------------------===//

size_t ProgramUses::getPlace(Operation *op) {
  auto stage = op->getParentOfType<StageOp>();
  for (auto [number, place] : llvm::enumerate(places))
    if (place.stage == stage)
      return number;
  // Stages come in the order in which they stand; what is outside, first.
  places.push_back({stage,
                    cast<PipelineOp>(stage->getParentOp()),
                    static_cast<int64_t>(stage.getLag()),
                    {}});
  return places.size() - 1;
}

size_t ProgramUses::getEvent(Operation *op, size_t place) {
  Operation *root = op;
  for (Operation *parent = op->getParentOp(); !isa<StageOp, ProgramOp>(parent);
       parent = parent->getParentOp())
    if (isa<LoopLikeOpInterface>(parent))
      root = parent;
  if (events.empty() || events.back().op != root) {
    places[place].events.push_back(events.size());
    events.push_back({root, place});
  }
  return events.size() - 1;
}

void ProgramUses::add(Operation *op, Value lane,
                      SmallVectorImpl<ChannelUse> &uses) {
  size_t place = getPlace(op);
  uses.push_back({op, lane, place, getEvent(op, place), numUses++});
}

FailureOr<ProgramUses> ProgramUses::collect(ProgramOp program,
                                            Workers workers) {
  SymbolTable symbols(program->getParentOp());
  ProgramUses uses;
  uses.workers = workers;
  uses.places.push_back({StageOp(), PipelineOp(), /*lag=*/0, {}});
  auto add = [&](auto op, SmallVector<ChannelUse, 2> UsesOfChannel::*kind) {
    auto channel = symbols.lookup<ChannelOp>(op.getChannel());
    UsesOfChannel &entry = uses.channels[channel.getSymName()];
    entry.channel = channel;
    uses.add(op, op.getLane(), entry.*kind);
  };
  WalkResult result = program.walk<WalkOrder::PreOrder>([&](Operation *op) {
    for (Region &region : op->getRegions())
      if (!region.hasOneBlock() && !region.empty()) {
        op->emitOpError("expected structured control flow, got ")
            << region.getBlocks().size() << " blocks";
        return WalkResult::interrupt();
      }
    llvm::TypeSwitch<Operation *>(op)
        .Case([&](ClaimOp o) { add(o, &UsesOfChannel::claims); })
        .Case<SignalOp, PutOp, PutRowsOp>(
            [&](auto o) { add(o, &UsesOfChannel::sends); })
        .Case([&](ReceiveOp o) { add(o, &UsesOfChannel::receives); })
        .Case([&](HeldOp o) { add(o, &UsesOfChannel::helds); })
        .Case([&](ReleaseOp o) { add(o, &UsesOfChannel::releases); });
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  return uses;
}

const UsesOfChannel *ProgramUses::lookup(StringRef name) const {
  auto found = channels.find(name);
  return found == channels.end() ? nullptr : &found->second;
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

std::optional<int64_t>
ProgramUses::leastDistance(const ChannelUse &first,
                           const ChannelUse &second) const {
  if (first.place != second.place && workers == Workers::Stages)
    return std::nullopt;
  // A worker does chunk s - lag of a stage in step s, the stages in turn.
  return places[first.place].lag - places[second.place].lag +
         (first.order < second.order ? 0 : 1);
}

const ChannelUse *ProgramUses::findLate(ArrayRef<ChannelUse> firsts,
                                        const ChannelUse &second,
                                        int64_t distance) const {
  bool isPaired = llvm::any_of(firsts, [&](const ChannelUse &first) {
    return first.place == second.place;
  });
  const ChannelUse *latest = nullptr;
  for (const ChannelUse &first : firsts) {
    if (isPaired && first.place != second.place)
      continue;
    std::optional<int64_t> least = leastDistance(first, second);
    if (!least)
      return &first;
    if (*least > distance) {
      latest = &first;
      distance = *least;
    }
  }
  return latest;
}
