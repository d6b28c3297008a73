//===- FakeLibrary.cpp - A hand-written generated library -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The programs of the fake library. Their protocol: every rank puts a message
/// for every peer into the peer's heap and counts up a counter there.
//
//===----------------------------------------------------------------------===//

#include "FakeLibrary.h"

#include <cstdio>
#include <cstring>
#include <xmmintrin.h>

using namespace fusco::test;

FakeControl fusco::test::fakeControl;

namespace {
/// What a rank tells each peer at the start of a call.
struct Message {
  std::int64_t status;
  std::int64_t tokens;
  std::int64_t room;
  char *rows;
};

struct Heap {
  std::uint64_t call; ///< calls so far, the current one included; the owner's
  std::uint64_t arrived[FUSCO_NUM_PHASES][maxRanks];
  std::uint64_t numPhaseUses[FUSCO_NUM_PHASES]; ///< the owner's
  /// By parity of the call: a rank can be one call ahead of a peer, not two.
  Message inbox[2][maxRanks];
};

/// One rank's view of one call.
class Call {
public:
  explicit Call(const fusco_program_args &args)
      : args(args), own(heap(args.rank)),
        numRanks(fusco_context_num_ranks(args.context)) {
    ++own.call;
    fakeControl.floatMode = _mm_getcsr();
    if (args.status == FUSCO_OK)
      return;
    ++fakeControl.numRefusedRuns;
    bool seesSomething = args.plan != nullptr;
    for (const fusco_program_tensor &tensor : args.tensors)
      seesSomething |= tensor.data || tensor.rows;
    if (seesSomething)
      ++fakeControl.numRefusedLeaks;
  }

  bool vanishes(fusco_phase phase) const {
    return fakeControl.vanishingRank == args.rank &&
           fakeControl.vanishingPhase == phase;
  }

  /// Signals all ranks in \p phase and waits for all of them.
  std::int32_t meet(fusco_phase phase) {
    std::uint64_t expected = ++own.numPhaseUses[phase];
    for (std::int32_t peer = 0; peer < numRanks; ++peer)
      __atomic_fetch_add(&heap(peer).arrived[phase][args.rank], 1,
                         __ATOMIC_RELEASE);
    for (std::int32_t peer = 0; peer < numRanks; ++peer)
      if (std::int32_t status =
              fusco_program_wait(&args, &own.arrived[phase][peer], expected,
                                 peer, channelOf(phase)))
        return status;
    return FUSCO_OK;
  }

  /// Tells all ranks \p message, then fails if one of them, this one with
  /// values \p a and \p b included, has an error.
  std::int32_t exchange(fusco_phase phase, const Message &message,
                        std::int64_t a, std::int64_t b) {
    for (std::int32_t peer = 0; peer < numRanks; ++peer)
      heap(peer).inbox[own.call % 2][args.rank] = message;
    if (std::int32_t status = meet(phase))
      return status;
    if (message.status != FUSCO_OK)
      return fusco_program_fail(&args, message.status, a, b, 0);
    for (std::int32_t peer = 0; peer < numRanks; ++peer)
      if (from(peer).status != FUSCO_OK)
        return fusco_program_fail(&args, FUSCO_PEER_FAILED, peer,
                                  from(peer).status, 0);
    return FUSCO_OK;
  }

  const Message &from(std::int32_t peer) const {
    return own.inbox[own.call % 2][peer];
  }
  std::int32_t getNext(std::int32_t rank) const {
    return (rank + 1) % numRanks;
  }
  std::int32_t getPrevious(std::int32_t rank) const {
    return (rank + numRanks - 1) % numRanks;
  }
  std::int32_t getNumRanks() const { return numRanks; }

private:
  Heap &heap(std::int64_t rank) const {
    return *reinterpret_cast<Heap *>(args.peers[rank]);
  }

  const fusco_program_args &args;
  Heap &own;
  std::int32_t numRanks;
};
} // namespace

static constexpr std::int64_t bytesPerRow = hidden * 2;

/// The flat index of the first id that is no expert, -1 if all are.
static std::int64_t findBadId(const std::int32_t *ids, std::int64_t numIds) {
  for (std::int64_t i = 0; i < numIds; ++i)
    if (ids[i] < -1 || ids[i] >= numExperts)
      return i;
  return -1;
}

static std::int32_t runDispatch(const fusco_program_args *args) {
  Call call(*args);
  Message message = {};
  message.status = args->status;
  std::int64_t badIndex = -1, badId = 0;
  if (args->status == FUSCO_OK) {
    const fusco_program_tensor &ids = args->tensors[Ids];
    auto *idValues = static_cast<const std::int32_t *>(ids.data);
    badIndex = findBadId(idValues, ids.rows * topk);
    if (badIndex >= 0) {
      badId = idValues[badIndex];
      message.status = FUSCO_INVALID_ROUTING;
    }
    message.tokens = ids.rows;
    message.room = args->tensors[RowsOut].rows;
    message.rows = static_cast<char *>(args->tensors[RowsOut].data);
  }
  if (call.vanishes(FUSCO_PHASE_PLAN))
    return FUSCO_OK;
  if (std::int32_t status =
          call.exchange(FUSCO_PHASE_PLAN, message, badIndex, badId))
    return status;
  for (std::int32_t rank = 0; rank < call.getNumRanks(); ++rank) {
    std::int64_t needed = call.from(call.getPrevious(rank)).tokens;
    if (needed > call.from(rank).room)
      return fusco_program_fail(args, FUSCO_CAPACITY, rank, needed,
                                call.from(rank).room);
  }
  if (message.tokens > 0)
    std::memcpy(call.from(call.getNext(args->rank)).rows, args->tensors[X].data,
                message.tokens * bytesPerRow);
  if (call.vanishes(FUSCO_PHASE_ROWS))
    return FUSCO_OK;
  if (std::int32_t status = call.meet(FUSCO_PHASE_ROWS))
    return status;

  std::int64_t received = call.from(call.getPrevious(args->rank)).tokens;
  fusco_plan_stats stats = {message.tokens, 2, 3, 4, 5, 6, received, received};
  std::memcpy(args->plan + 64, &stats, sizeof(stats));
  return FUSCO_OK;
}

static std::int32_t runCombine(const fusco_program_args *args) {
  Call call(*args);
  Message message = {};
  message.status = args->status;
  message.rows = static_cast<char *>(args->tensors[RowsIn].data);
  if (call.vanishes(FUSCO_PHASE_READY))
    return FUSCO_OK;
  if (std::int32_t status = call.exchange(FUSCO_PHASE_READY, message, 0, 0))
    return status;
  const fusco_program_tensor &y = args->tensors[Y];
  if (y.rows > 0)
    std::memcpy(y.data, call.from(call.getNext(args->rank)).rows,
                y.rows * bytesPerRow);
  if (call.vanishes(FUSCO_PHASE_COMBINE))
    return FUSCO_OK;
  return call.meet(FUSCO_PHASE_COMBINE);
}

static fusco_tensor_spec makeSpec(const char *name, DLDataType dtype,
                                  fusco_rows_kind rowsKind, std::int64_t rows,
                                  std::int64_t columns) {
  fusco_tensor_spec spec = {};
  std::snprintf(spec.name, sizeof(spec.name), "%s", name);
  spec.dtypeCode = dtype.code;
  spec.dtypeBits = dtype.bits;
  spec.rowsKind = rowsKind;
  spec.ndim = columns == 0 ? 1 : 2;
  spec.shape[0] = rows;
  spec.shape[1] = columns;
  return spec;
}

FakeLibrary::FakeLibrary(std::int32_t numRanks) : info(), library() {
  info.magic = FUSCO_LIBRARY_MAGIC;
  info.abiVersion = FUSCO_ABI_VERSION;
  info.size = sizeof(info);
  std::strcpy(info.model, "m");
  std::strcpy(info.target, "cpu");
  info.cpuLevel = FUSCO_CPU_AVX2;
  info.numNodes = 1;
  info.ranksPerNode = numRanks;
  info.topk = topk;
  info.numExperts = numExperts;
  info.maxTokens = maxTokens;
  info.hidden = hidden;
  info.alignRows = 1;
  info.numPrograms = 2;
  info.symmetricBytes = sizeof(Heap);
  info.planBytes = 64 + sizeof(fusco_plan_stats);
  info.planStatsBytes = 64;
  const char *channels[] = {"c_plan", "c_rows", "c_ready", "c_combine"};
  for (int phase = 0; phase < FUSCO_NUM_PHASES; ++phase) {
    fusco_channel_info &channel = info.channels[channelOf(phase)];
    std::strcpy(channel.name, channels[phase]);
    channel.phase = phase;
  }
  info.numChannels = channelOf(FUSCO_NUM_PHASES);

  const DLDataType bf16 = {kDLBfloat, 16, 1};
  const DLDataType i32 = {kDLInt, 32, 1};
  fusco_program_info &dispatch = info.programs[Dispatch];
  std::strcpy(dispatch.name, "dispatch");
  dispatch.writesPlan = 1;
  dispatch.numTensors = 4;
  dispatch.tensors[X] = makeSpec("x", bf16, FUSCO_ROWS_TOKENS, -1, hidden);
  dispatch.tensors[Ids] = makeSpec("ids", i32, FUSCO_ROWS_TOKENS, -1, topk);
  dispatch.tensors[RowsOut] =
      makeSpec("rows", bf16, FUSCO_ROWS_EXPERT, -1, hidden);
  dispatch.tensors[Counts] = makeSpec("counts", i32, FUSCO_ROWS_STATIC, 4, 0);
  fusco_program_info &combine = info.programs[Combine];
  std::strcpy(combine.name, "combine");
  combine.numTensors = 2;
  combine.tensors[RowsIn] =
      makeSpec("rows", bf16, FUSCO_ROWS_EXPERT, -1, hidden);
  combine.tensors[Y] = makeSpec("y", bf16, FUSCO_ROWS_TOKENS, -1, hidden);

  library.info = &info;
  library.programs[Dispatch] = runDispatch;
  library.programs[Combine] = runCombine;
}
