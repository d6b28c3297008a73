//===- Control.cpp - Branches, calls, fences ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Handlers.h"

using namespace fusco::emulator;

namespace {

void branch(Warp &warp, const Instruction &instruction, Mask lanes) {
  warp.branch(lanes, instruction.target);
}

void branchIndexed(Warp &warp, const Instruction &instruction, Mask lanes) {
  const auto &table =
      warp.current.frame->function->branchTables[instruction.target];
  auto *index = warp.get<std::uint32_t>(instruction, 0);
  while (lanes) {
    std::uint32_t choice = index[__builtin_ctz(lanes)];
    Mask taken = 0;
    forLanes(lanes,
             [&](int lane) { taken |= Mask(index[lane] == choice) << lane; });
    if (choice >= table.size())
      throw Fault{CUDA_ERROR_LAUNCH_FAILED, "branch outside its table"};
    lanes &= ~taken;
    warp.branch(taken, table[choice]);
  }
}

void call(Warp &warp, const Instruction &instruction, Mask lanes) {
  warp.call(lanes, warp.current.frame->function->calls[instruction.target]);
}

void returnFrom(Warp &warp, const Instruction &, Mask lanes) {
  warp.returnFrom(lanes);
}

void exitThreads(Warp &warp, const Instruction &, Mask lanes) {
  warp.exit(lanes);
}

void trap(Warp &, const Instruction &, Mask lanes) {
  throw Fault{CUDA_ERROR_LAUNCH_FAILED, "trap", __builtin_ctz(lanes)};
}

void yield(Warp &warp, const Instruction &, Mask) { warp.yield(); }

void nothing(Warp &, const Instruction &, Mask) {}

template <Handler handler> Handler decodeWord(Decoder &d) {
  d.ignore({"uni"});
  return handler;
}

Handler decodeBrx(Decoder &d) {
  d.ignore({"uni", "idx"});
  d.value(4);
  return branchIndexed;
}

Handler decodeNanosleep(Decoder &d) {
  d.value(4);
  return yield;
}

/// Nothing to order: see the README.
Handler decodeFence(Decoder &d) {
  d.ignore({"acq_rel", "sc", "acquire", "release", "relaxed", "cta", "cluster",
            "gpu", "sys", "gl", "proxy", "async", "alias", "global", "shared",
            "shared::cta", "shared::cluster", "mbarrier_init"});
  return nothing;
}

} // namespace

const DecodeTable &fusco::emulator::getControl() {
  static const DecodeTable table = {{"bra", decodeWord<branch>},
                                    {"brx", decodeBrx},
                                    {"call", decodeWord<call>},
                                    {"ret", decodeWord<returnFrom>},
                                    {"exit", decodeWord<exitThreads>},
                                    {"trap", decodeWord<trap>},
                                    {"nanosleep", decodeNanosleep},
                                    {"fence", decodeFence},
                                    {"membar", decodeFence}};
  return table;
}
