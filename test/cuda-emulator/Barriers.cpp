//===- Barriers.cpp - Threads that wait for each other --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Barriers of a block and of a warp.
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Handlers.h"

using namespace fusco::emulator;

namespace {

enum Mode { Sync, Arrive, Popc, And, Or };
enum { IsAligned = 1 << 3, NegatePredicate = 31 };

/// Operands: result, barrier, number of threads (0: all), predicate.
void barrier(Warp &warp, const Instruction &instruction, Mask lanes) {
  // Whole warps come to an aligned one: strictly so, as on hardware.
  if ((instruction.detail & IsAligned) && !warp.gather(lanes, warp.live))
    return;
  int first = __builtin_ctz(lanes);
  std::uint32_t number = warp.get<std::uint32_t>(instruction, 1)[first];
  std::uint32_t count = warp.get<std::uint32_t>(instruction, 2)[first];
  Block &block = warp.block;
  if (number >= block.barriers.size() || count % warpSize != 0)
    throw Fault{CUDA_ERROR_LAUNCH_FAILED,
                "no such barrier, or not a count of whole warps", first};
  Barrier &barrier = block.barriers[number];
  if (barrier.numArrived && barrier.numExpected != count)
    throw Fault{CUDA_ERROR_LAUNCH_FAILED,
                "threads expect different counts at a barrier", first};
  Mode mode = Mode(instruction.detail & 7);
  Mask predicate = *warp.get<Mask>(instruction, 3);
  if (instruction.detail < 0)
    predicate = ~predicate;
  barrier.numExpected = count;
  barrier.numArrived += __builtin_popcount(lanes);
  barrier.numTrue += __builtin_popcount(predicate & lanes);
  if (mode != Arrive)
    warp.waitAtBarrier(lanes, number);
  block.completeBarrier(number);
}

Handler decodeBarrier(Decoder &d) {
  int mode = d.choose({"sync", "arrive", "popc", "and", "or"});
  bool isReduction = d.has("red");
  if (isReduction != (mode >= Popc))
    return nullptr;
  if (d.has("warp")) {
    d.value(4);
    return [](Warp &warp, const Instruction &instruction, Mask lanes) {
      int first = __builtin_ctz(lanes);
      warp.gather(lanes, warp.get<std::uint32_t>(instruction, 0)[first]);
    };
  }
  d.ignore({"cta"});
  // "bar" is short for an aligned "barrier".
  d.instruction.detail = mode;
  if (d.has("aligned") || d.getName() == "bar")
    d.instruction.detail |= IsAligned;
  if (!isReduction)
    d.sink();
  else if (mode == Popc)
    d.value(4);
  else
    d.predicate();
  d.value(4);
  if (d.operandsLeft() > (isReduction ? 1u : 0u))
    d.value(4);
  else
    d.constant(4, 0);
  if (isReduction)
    d.predicate(NegatePredicate);
  else
    d.sink();
  return barrier;
}

} // namespace

void fusco::emulator::finishBarrier(const Instruction &instruction,
                                    Fragment &fragment, unsigned numTrue,
                                    unsigned numThreads) {
  char *result = fragment.frame->registers.data() + instruction.operands[0];
  auto setPredicate = [&](bool value) {
    Mask &all = *reinterpret_cast<Mask *>(result);
    all = value ? all | fragment.lanes : all & ~fragment.lanes;
  };
  switch (Mode(instruction.detail & 7)) {
  case Popc:
    forLanes(fragment.lanes, [&](int lane) {
      reinterpret_cast<std::uint32_t *>(result)[lane] = numTrue;
    });
    break;
  case And:
    setPredicate(numTrue == numThreads);
    break;
  case Or:
    setPredicate(numTrue != 0);
    break;
  default:
    break;
  }
}

const DecodeTable &fusco::emulator::getBarriers() {
  static const DecodeTable table = {{"bar", decodeBarrier},
                                    {"barrier", decodeBarrier}};
  return table;
}
