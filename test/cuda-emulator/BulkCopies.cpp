//===- BulkCopies.cpp - Asynchronous copies and mbarriers -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// cp.async.bulk between global and shared memory, and the barriers in shared
/// memory that count its bytes.
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Gpu.h"
#include "test/cuda-emulator/Handlers.h"

using namespace fusco::emulator;

//===----------------------------------------------------------------------===//
// mbarrier
//===----------------------------------------------------------------------===//

namespace {

constexpr std::uint32_t maxCount = (1 << 20) - 1;

/// The 64 bits of an mbarrier: what is expected of each phase, what this phase
/// still lacks, and the phase's parity.
struct MBarrier {
  std::uint64_t expected : 20;
  std::uint64_t pending : 20;
  std::int64_t pendingBytes : 22;
  std::uint64_t isInitialised : 1;
  std::uint64_t phase : 1;

  void complete() {
    if (pending != 0 || pendingBytes != 0)
      return;
    phase ^= 1;
    pending = expected;
  }
};
static_assert(sizeof(MBarrier) == sizeof(std::uint64_t));

MBarrier *getBarrier(Warp &warp, const Instruction &instruction, int operand,
                     int lane) {
  auto *barrier = reinterpret_cast<MBarrier *>(warp.access(
      instruction.space, warp.getAddress(instruction, operand, lane),
      sizeof(MBarrier), lane, sizeof(MBarrier)));
  return barrier;
}

[[noreturn]] void failAt(int lane, const char *message) {
  throw Fault{CUDA_ERROR_LAUNCH_FAILED, message, lane};
}

/// Operands: address (two), count.
void initialise(Warp &warp, const Instruction &instruction, Mask lanes) {
  forLanes(lanes, [&](int lane) {
    std::uint32_t count = warp.get<std::uint32_t>(instruction, 2)[lane];
    if (count == 0 || count > maxCount)
      failAt(lane, "mbarrier.init with a count out of range");
    *getBarrier(warp, instruction, 0, lane) = {count, count, 0, 1, 0};
  });
}

void invalidate(Warp &warp, const Instruction &instruction, Mask lanes) {
  forLanes(lanes, [&](int lane) {
    *getBarrier(warp, instruction, 0, lane) = MBarrier();
  });
}

enum { AddsBytes = 1, Arrives = 2 };

/// Operands: state before, address (two), bytes, count.
void arrive(Warp &warp, const Instruction &instruction, Mask lanes) {
  forLanes(lanes, [&](int lane) {
    MBarrier &barrier = *getBarrier(warp, instruction, 1, lane);
    if (!barrier.isInitialised)
      failAt(lane, "the mbarrier is not initialised");
    warp.get<std::uint64_t>(instruction, 0)[lane] =
        bitsAs<std::uint64_t>(barrier);
    if (instruction.detail & AddsBytes) {
      std::uint32_t bytes = warp.get<std::uint32_t>(instruction, 3)[lane];
      if (bytes > maxCount || barrier.pendingBytes + bytes > maxCount)
        failAt(lane, "the mbarrier expects too many bytes");
      barrier.pendingBytes += bytes;
    }
    if (instruction.detail & Arrives) {
      std::uint32_t count = warp.get<std::uint32_t>(instruction, 4)[lane];
      if (count > barrier.pending)
        failAt(lane, "more arrivals at the mbarrier than it expects");
      barrier.pending -= count;
    }
    barrier.complete();
  });
}

/// Operands: result, address (two), state or parity.
template <bool isParity, bool isTry>
void test(Warp &warp, const Instruction &instruction, Mask lanes) {
  Mask isComplete = 0;
  forLanes(lanes, [&](int lane) {
    const MBarrier &barrier = *getBarrier(warp, instruction, 1, lane);
    if (!barrier.isInitialised)
      failAt(lane, "the mbarrier is not initialised");
    unsigned phase =
        isParity
            ? warp.get<std::uint32_t>(instruction, 3)[lane] & 1
            : bitsAs<MBarrier>(warp.get<std::uint64_t>(instruction, 3)[lane])
                  .phase;
    isComplete |= Mask(barrier.phase != phase) << lane;
  });
  Mask &result = *warp.get<Mask>(instruction, 0);
  result = (result & ~lanes) | isComplete;
  if (isTry && isComplete != lanes)
    warp.yield();
}

Handler decodeMbarrier(Decoder &d) {
  d.instruction.space = d.space();
  d.ignore({"b64", "release", "acquire", "relaxed", "cta", "cluster"});
  if (d.has("init") || d.has("inval")) {
    d.address();
    if (d.operandsLeft() == 0)
      return invalidate;
    d.value(4);
    return initialise;
  }
  bool isTry = d.has("try_wait");
  if (isTry || d.has("test_wait")) {
    bool isParity = d.has("parity");
    d.predicate();
    d.address();
    d.value(isParity ? 4 : 8);
    if (isTry && d.operandsLeft())
      d.take(); // how long it may suspend the thread
    if (isParity)
      return isTry ? test<true, true> : test<true, false>;
    return isTry ? test<false, true> : test<false, false>;
  }
  // expect_tx, arrive, arrive.expect_tx
  bool addsBytes = d.has("expect_tx"), arrives = d.has("arrive");
  if (!addsBytes && !arrives)
    return nullptr;
  d.instruction.detail = (addsBytes ? AddsBytes : 0) | (arrives ? Arrives : 0);
  if (d.peek().kind == Operand::Address)
    d.sink();
  else
    d.value(8);
  d.address();
  if (addsBytes)
    d.value(4);
  else
    d.constant(4, 0);
  if (!addsBytes && d.operandsLeft())
    d.value(4);
  else
    d.constant(4, 1);
  return arrive;
}

//===----------------------------------------------------------------------===//
// cp.async.bulk
//===----------------------------------------------------------------------===//

void checkShape(std::uint64_t to, std::uint64_t from, std::uint32_t bytes,
                int lane) {
  if (to % 16 || from % 16)
    throw Fault{CUDA_ERROR_MISALIGNED_ADDRESS,
                "bulk copy of addresses that are not multiples of 16", lane};
  if (bytes == 0 || bytes % 16)
    failAt(lane, "bulk copy of a size that is not a multiple of 16");
}

BulkCopy makeCopy(Block &block) {
  BulkCopy copy;
  copy.kernel = &block.kernel;
  copy.issuer = copy.block = &block;
  return copy;
}

/// Operands: to (two), from (two), bytes, mbarrier (two).
void loadBulk(Warp &warp, const Instruction &instruction, Mask lanes) {
  Random &random = warp.block.gpu.getRandom();
  forLanes(lanes, [&](int lane) {
    std::uint64_t to = warp.getAddress(instruction, 0, lane);
    std::uint64_t from = warp.getAddress(instruction, 2, lane);
    std::uint32_t bytes = warp.get<std::uint32_t>(instruction, 4)[lane];
    checkShape(to, from, bytes, lane);
    BulkCopy copy = makeCopy(warp.block);
    copy.to = warp.access(Space::Shared, to, bytes, lane, 16);
    copy.from = warp.access(Space::Global, from, bytes, lane, 16);
    copy.bytes = bytes;
    copy.barrier = warp.getAddress(instruction, 5, lane);
    if (!reinterpret_cast<MBarrier *>(
             warp.access(Space::Shared, copy.barrier, 8, lane, 8))
             ->isInitialised)
      failAt(lane, "the mbarrier is not initialised");
    // The source is read now or at the end, and meanwhile the target holds
    // nothing useful: whoever changes or reads them too early finds out.
    if (random() % 2) {
      copy.data.assign(copy.from, copy.from + bytes);
      copy.hasRead = true;
    }
    std::memset(copy.to, 0xCD, bytes);
    warp.block.gpu.start(std::move(copy));
  });
}

/// Operands: to (two), from (two), bytes.
void storeBulk(Warp &warp, const Instruction &instruction, Mask lanes) {
  forLanes(lanes, [&](int lane) {
    std::uint64_t to = warp.getAddress(instruction, 0, lane);
    std::uint64_t from = warp.getAddress(instruction, 2, lane);
    std::uint32_t bytes = warp.get<std::uint32_t>(instruction, 4)[lane];
    checkShape(to, from, bytes, lane);
    BulkCopy copy = makeCopy(warp.block);
    copy.to = warp.access(Space::Global, to, bytes, lane, 16);
    copy.from = warp.access(Space::Shared, from, bytes, lane, 16);
    copy.bytes = bytes;
    copy.isStore = true;
    copy.thread = warp.getThread(lane);
    copy.group = warp.bulkGroups[lane];
    warp.block.gpu.start(std::move(copy));
  });
}

void commitGroup(Warp &warp, const Instruction &, Mask lanes) {
  forLanes(lanes, [&](int lane) { ++warp.bulkGroups[lane]; });
}

/// Detail: how many of the latest groups may be under way still.
template <bool isRead>
void waitGroup(Warp &warp, const Instruction &instruction, Mask lanes) {
  Mask waiting = 0;
  const std::uint32_t allowed = instruction.detail;
  forLanes(lanes, [&](int lane) {
    std::uint32_t group = warp.bulkGroups[lane];
    if (group > allowed &&
        !warp.block.gpu.areStoresDone(warp.block, warp.getThread(lane),
                                      group - allowed, !isRead))
      waiting |= Mask(1) << lane;
  });
  if (waiting)
    warp.retry(waiting);
}

/// The policy of a cache, which is nothing here.
void takePolicy(Decoder &d) {
  if (d.has("L2::cache_hint"))
    d.take();
}

Handler decodeCp(Decoder &d) {
  if (!d.has("async") || !d.has("bulk"))
    return nullptr;
  if (d.has("commit_group"))
    return commitGroup;
  if (d.has("wait_group")) {
    bool isRead = d.has("read");
    d.instruction.detail = d.take().value;
    return isRead ? waitGroup<true> : waitGroup<false>;
  }
  // A block is a cluster of its own.
  bool isLoad = d.has("mbarrier::complete_tx::bytes");
  if (!d.has("global") || (!isLoad && !d.has("bulk_group")) ||
      !(isLoad ? d.has("shared::cluster") || d.has("shared::cta")
               : d.has("shared::cta")))
    return nullptr;
  d.instruction.space = Space::Shared;
  d.address();
  d.address();
  d.value(4);
  if (isLoad)
    d.address();
  takePolicy(d);
  return isLoad ? loadBulk : storeBulk;
}

Handler decodeCreatepolicy(Decoder &d) {
  d.ignore({"fractional", "L2::evict_last", "L2::evict_normal",
            "L2::evict_first", "L2::evict_unchanged"});
  while (d.operandsLeft())
    d.take();
  return [](Warp &, const Instruction &, Mask) {};
}

} // namespace

void fusco::emulator::completeTransaction(Block &block, std::uint64_t address,
                                          std::uint32_t bytes) {
  // Was checked when the copy was issued.
  bool isStatic = address >= staticSharedBase;
  char *data = isStatic
                   ? block.staticShared.data() + (address - staticSharedBase)
                   : block.dynamicShared.data() + (address - dynamicSharedBase);
  MBarrier &barrier = *reinterpret_cast<MBarrier *>(data);
  barrier.pendingBytes -= bytes;
  barrier.complete();
}

const DecodeTable &fusco::emulator::getBulkCopies() {
  static const DecodeTable table = {{"mbarrier", decodeMbarrier},
                                    {"cp", decodeCp},
                                    {"createpolicy", decodeCreatepolicy}};
  return table;
}
