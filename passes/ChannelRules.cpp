//===- ChannelRules.cpp - How channels must be used -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the order of a program must make sure of, since no wait does:
///   1. each channel has both ends, and its slots are used in order: claimed,
///      sent, received, held, released;
///   2. slots are free again when they are claimed: what the channel's
///      `freed_by` asks for;
///   3. what is put fits into a row of the buffer.
///
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "passes/ChannelUses.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Uses = ArrayRef<ChannelUse>;

namespace {
class ChannelRules {
public:
  ChannelRules(ProgramOp program, const ProgramUses &uses)
      : program(program), uses(uses) {}

  LogicalResult verify();

private:
  // 1.
  LogicalResult verifyEnds(const UsesOfChannel &of);
  LogicalResult verifyPart(const UsesOfChannel &of);
  LogicalResult verifyLanes(const UsesOfChannel &of);
  LogicalResult verifySlots(const UsesOfChannel &of);
  /// Refuses \p use, whose order to \p other is not as \p expected.
  LogicalResult refuseOrder(const ChannelUse &use, const Twine &expected,
                            const ChannelUse &other);
  // 2.
  LogicalResult verifyFreeing(const UsesOfChannel &of);
  LogicalResult verifyRounds(const UsesOfChannel &of);
  LogicalResult verifyStart(const UsesOfChannel &of);
  LogicalResult verifyQuestion(const UsesOfChannel &question);
  LogicalResult verifyAnswer(const UsesOfChannel &answer);
  // 3.
  LogicalResult verifyPut(PutOp op);

  ProgramOp program;
  const ProgramUses &uses;
};
} // namespace

//===----------------------------------------------------------------------===//
// 1. The two ends
//===----------------------------------------------------------------------===//

LogicalResult ChannelRules::verifyEnds(const UsesOfChannel &of) {
  auto refuse = [&](StringRef what, StringRef expected) {
    return of.all().front().op->emitOpError(what)
           << ' ' << of.getName() << " in @" << program.getSymName()
           << "; expected a " << expected;
  };
  if (of.sends.empty())
    return refuse("nobody sends on",
                  "'pipe.signal', a 'pipe.put' or a 'pipe.put_rows'");
  if (of.receives.empty())
    return refuse("nobody receives on", "'pipe.receive'");
  if (of.getFreeing() != Freeing::Rounds && of.releases.empty())
    return refuse("missing credit: nobody releases",
                  "'pipe.release' after the 'pipe.receive'");
  return success();
}

LogicalResult ChannelRules::verifyPart(const UsesOfChannel &of) {
  SmallVector<ChannelUse> all = of.all();
  std::optional<StringRef> answerName = of.getChannel().getAnswer();
  if (const UsesOfChannel *answer = uses.lookup(answerName.value_or("")))
    llvm::append_range(all, answer->all());
  auto pipelineOf = [&](const ChannelUse &use) {
    return uses.getPlaces()[use.place].pipeline;
  };
  for (const ChannelUse &use : all) {
    if (pipelineOf(use) == pipelineOf(all.front()))
      continue;
    InFlightDiagnostic diagnostic = use.op->emitOpError("expected all uses of ")
                                    << of.getName()
                                    << (answerName ? " and of its answers" : "")
                                    << " in one pipeline, or all outside";
    diagnostic.attachNote(all.front().op->getLoc()) << "another one is here";
    return diagnostic;
  }
  return success();
}

/// Chunks are counted per lane: \p uses, of one kind, must be of different
/// ones.
static LogicalResult verifyLanesOf(Uses uses) {
  for (const ChannelUse &use : uses) {
    for (auto loop = use.op->getParentOfType<LoopLikeOpInterface>(); loop;
         loop = loop->getParentOfType<LoopLikeOpInterface>())
      if (loop.isDefinedOutsideOfLoop(use.lane)) {
        InFlightDiagnostic diagnostic = use.op->emitOpError(
            "expected a lane once per chunk, got the same one in a loop");
        diagnostic.attachNote(loop.getLoc()) << "the loop is here";
        return diagnostic;
      }
    for (const ChannelUse &other : uses) {
      if (&other == &use)
        break;
      if (other.lane != use.lane || other.place != use.place ||
          insideMutuallyExclusiveRegions(other.op, use.op))
        continue;
      InFlightDiagnostic diagnostic =
          use.op->emitOpError("expected a lane once per chunk, got it twice");
      diagnostic.attachNote(other.op->getLoc()) << "the first time is here";
      return diagnostic;
    }
  }
  return success();
}

LogicalResult ChannelRules::verifyLanes(const UsesOfChannel &of) {
  for (Uses ofOneKind :
       {Uses(of.claims), Uses(of.sends), Uses(of.receives), Uses(of.releases)})
    if (failed(verifyLanesOf(ofOneKind)))
      return failure();
  return success();
}

LogicalResult ChannelRules::refuseOrder(const ChannelUse &use,
                                        const Twine &expected,
                                        const ChannelUse &other) {
  InFlightDiagnostic diagnostic = use.op->emitOpError("expected ") << expected;
  diagnostic.attachNote(other.op->getLoc())
      << (uses.leastDistance(other, use) ? "which is here"
                                         : "which another worker does, here");
  return diagnostic;
}

LogicalResult ChannelRules::verifySlots(const UsesOfChannel &of) {
  // A meeting needs no slots.
  bool isClaimed = of.getFreeing() != Freeing::Rounds || !of.claims.empty();
  for (const ChannelUse &send : of.sends)
    if (isClaimed && llvm::none_of(of.claims, [&](const ChannelUse &claim) {
          return claim.place == send.place && claim.order < send.order;
        }))
      return send.op->emitOpError("expected a 'pipe.claim' of ")
             << of.getName() << " before it in the same stage";
  for (const ChannelUse &held : of.helds) {
    if (const ChannelUse *receive = uses.findLate(of.receives, held, 0))
      return refuseOrder(held, "after the chunk's 'pipe.receive'", *receive);
    if (const ChannelUse *release = uses.findLate(of.releases, held, 1))
      return refuseOrder(held, "after the 'pipe.release' of the chunk before",
                         *release);
  }
  for (const ChannelUse &release : of.releases) {
    if (const ChannelUse *receive = uses.findLate(of.receives, release, 0))
      return refuseOrder(release, "after the chunk's 'pipe.receive'", *receive);
    if (const ChannelUse *held = uses.findLate(of.helds, release, 0))
      return refuseOrder(release, "after the chunk's 'pipe.held'", *held);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// 2. Slots that are free without a wait
//===----------------------------------------------------------------------===//

LogicalResult ChannelRules::verifyFreeing(const UsesOfChannel &of) {
  switch (of.getFreeing()) {
  case Freeing::Rounds:
    return verifyRounds(of);
  case Freeing::Start:
    return verifyStart(of);
  case Freeing::Credit:
    return success(); // a wait
  case Freeing::Answer:
    return verifyQuestion(of);
  case Freeing::Question:
    return verifyAnswer(of);
  }
  llvm_unreachable("all cases return");
}

LogicalResult ChannelRules::verifyRounds(const UsesOfChannel &of) {
  const ChannelUse &send = of.sends.front();
  if (uses.getPlaces()[send.place].pipeline)
    return send.op->emitOpError("expected ")
           << of.getName()
           << " outside of pipelines, since rounds free its slots";
  if (!of.claims.empty() && of.getDepth() < 2)
    return of.claims.front().op->emitOpError("expected at least 2 slots of ")
           << of.getName() << ", since a peer may be a round ahead, got 1";
  return success();
}

LogicalResult ChannelRules::verifyStart(const UsesOfChannel &of) {
  const ChannelUse &claim = of.claims.front();
  auto isMeeting = [&](const UsesOfChannel &other) {
    ChannelOp channel = other.getChannel();
    return channel.getFreedBy() == Freeing::Rounds &&
           (channel.getLink() == Link::ScaleOut ||
            of.getChannel().getLink() == Link::ScaleUp) &&
           llvm::all_of(other.receives, [&](const ChannelUse &receive) {
             return receive.order < claim.order;
           });
  };
  if (llvm::any_of(uses.getChannels(), isMeeting))
    return success();
  return claim.op->emitOpError("expected all ranks to meet before, since the "
                               "start frees the slots of ")
         << of.getName() << ": a 'pipe.receive' on a channel that rounds free";
}

/// The slot of chunk c is filled again by chunk c + depth, so that its answer
/// must be taken by then.
LogicalResult ChannelRules::verifyQuestion(const UsesOfChannel &question) {
  StringRef answerName = *question.getChannel().getAnswer();
  const UsesOfChannel *answer = uses.lookup(answerName);
  if (!answer)
    return question.claims.front().op->emitOpError("nobody answers on @")
           << answerName << " in @" << program.getSymName();
  int64_t depth = question.getDepth();
  std::optional<int64_t> needed = depth;
  const ChannelUse *early = nullptr, *taken = nullptr;
  for (const ChannelUse &claim : question.claims)
    if (const ChannelUse *late =
            needed ? uses.findLate(answer->releases, claim, *needed)
                   : nullptr) {
      early = &claim;
      taken = late;
      needed = uses.leastDistance(*late, claim);
    }
  if (early) {
    InFlightDiagnostic diagnostic = early->op->emitOpError();
    if (needed)
      diagnostic << "ring too small: expected at least " << *needed
                 << " slots of " << question.getName() << ", got " << depth
                 << "; the question of chunk c would overwrite that of chunk "
                    "c - "
                 << depth << ", whose answer is taken later";
    else
      diagnostic << "missing credit: nothing says when a slot of "
                 << question.getName()
                 << " is free, since another worker takes the answers";
    diagnostic.attachNote(taken->op->getLoc()) << "the answer is taken here";
    return diagnostic;
  }
  for (const ChannelUse &receive : question.receives)
    if (const ChannelUse *release =
            uses.findLate(question.releases, receive, depth))
      return refuseOrder(receive,
                         "at most " + Twine(depth) +
                             " to be received and not released",
                         *release);
  return success();
}

/// The asker has room for the answer to what it asked.
LogicalResult ChannelRules::verifyAnswer(const UsesOfChannel &answer) {
  auto channels = program->getParentOfType<ModuleOp>().getOps<ChannelOp>();
  SmallVector<ChannelOp> questions(
      llvm::make_filter_range(channels, [&](ChannelOp channel) {
        return channel.getAnswer() == answer.getChannel().getSymName();
      }));
  if (questions.size() != 1)
    return answer.getChannel().emitOpError(
               "expected one channel whose answers it carries, got ")
           << questions.size();
  const UsesOfChannel *question = uses.lookup(questions.front().getSymName());
  if (!question)
    return answer.claims.front().op->emitOpError("nobody asks on ")
           << FlatSymbolRefAttr::get(questions.front()) << " in @"
           << program.getSymName();
  for (const ChannelUse &claim : answer.claims)
    if (const ChannelUse *receive = uses.findLate(question->receives, claim, 0))
      return refuseOrder(claim, "after the 'pipe.receive' of the question",
                         *receive);
  for (const ChannelUse &send : answer.sends)
    if (const ChannelUse *held = uses.findLate(question->helds, send, 0))
      return refuseOrder(
          send, "after the last look at the question, whose slot it frees",
          *held);
  return success();
}

//===----------------------------------------------------------------------===//
// 3. Memory
//===----------------------------------------------------------------------===//

LogicalResult ChannelRules::verifyPut(PutOp op) {
  auto buffer = SymbolTable::lookupNearestSymbolFrom<BufferOp>(
      program, op.getDestinationAttr());
  MemRefType type = buffer.getMemRefType();
  int64_t room = type.getShape().back() * type.getElementTypeBitWidth() / 8;
  auto head = static_cast<int64_t>(op.getHeadBytes());
  auto bytesPerUnit = static_cast<int64_t>(op.getBytesPerUnit());
  // A count that is not constant is the program's business.
  int64_t count = getConstantIntValue(op.getCount()).value_or(0);
  if (head >= 0 && bytesPerUnit >= 0 && count >= 0 && head <= room &&
      (bytesPerUnit == 0 || count <= (room - head) / bytesPerUnit))
    return success();
  return op.emitOpError("expected at most ")
         << room << " bytes, a row of @" << op.getDestination() << ", got "
         << head << " and " << count << " times " << bytesPerUnit;
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

LogicalResult ChannelRules::verify() {
  // Each round of checks assumes what those before it have found.
  auto verifyEach = [&](auto... checks) {
    bool isRefused = false;
    for (const UsesOfChannel &of : uses.getChannels())
      isRefused |= (failed((this->*checks)(of)) || ...);
    return failure(isRefused);
  };
  if (failed(verifyEach(&ChannelRules::verifyEnds)) ||
      failed(verifyEach(&ChannelRules::verifyPart)) ||
      failed(
          verifyEach(&ChannelRules::verifyLanes, &ChannelRules::verifySlots)) ||
      failed(verifyEach(&ChannelRules::verifyFreeing)))
    return failure();
  return failure(
      program.walk([&](PutOp put) { return WalkResult(verifyPut(put)); })
          .wasInterrupted());
}

LogicalResult fusco::verifyChannelRules(ProgramOp program,
                                        const ProgramUses &uses) {
  return ChannelRules(program, uses).verify();
}
