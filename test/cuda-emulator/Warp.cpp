//===- Warp.cpp - Threads that run ----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Warp.h"

#include "test/cuda-emulator/Cuda.h"
#include "test/cuda-emulator/Gpu.h"

#include <algorithm>

using namespace fusco::emulator;

//===----------------------------------------------------------------------===//
// Fragments
//===----------------------------------------------------------------------===//

Warp::Warp(Block &block, int index, Mask lanes)
    : block(block), index(index), live(lanes),
      local(std::size_t(block.kernel.module->localBytes) * warpSize) {
  current.lanes = lanes;
  current.frame = makeFrame(block.kernel.function, lanes);
  enter(current);
}

Frame *Warp::makeFrame(const Function *function, Mask lanes) {
  auto spare = std::find_if(
      spareFrames.begin(), spareFrames.end(),
      [&](const auto &frame) { return frame->function == function; });
  if (spare != spareFrames.end()) {
    frames.push_back(std::move(*spare));
    spareFrames.erase(spare);
  } else {
    frames.push_back(std::make_unique<Frame>());
  }
  Frame *frame = frames.back().get();
  frame->function = function;
  frame->caller = nullptr;
  frame->depth = 0;
  frame->lanes = lanes;
  // What nobody has written must not look like something useful.
  frame->registers.assign(function->registerBytes, char(0xA5));
  frame->params.assign(std::size_t(function->callParamBytes) * warpSize,
                       char(0xA5));
  return frame;
}

void Warp::enter(const Fragment &fragment) {
  current = fragment;
  const Function *function = current.frame->function;
  code = function->code.data();
  registers = current.frame->registers.data();
  constants = const_cast<char *>(
      reinterpret_cast<const char *>(function->constants.data()));
}

/// Joins fragments that have met and picks one: the lowest of the innermost
/// call, or sometimes, with \p random, any: lanes may wait for each other.
void Warp::choose(Random *random) {
  if (current.lanes)
    others.push_back(current);
  current.lanes = 0;
  for (std::size_t i = 0; i < others.size(); ++i)
    for (std::size_t j = others.size() - 1; j > i; --j) {
      Fragment &a = others[i], &b = others[j];
      if (a.frame != b.frame || a.pc != b.pc || a.state == Fragment::Waiting ||
          b.state == Fragment::Waiting)
        continue;
      a.lanes |= b.lanes;
      a.state = Fragment::Ready;
      others.erase(others.begin() + j);
    }

  std::size_t best = others.size(), numReady = 0;
  for (std::size_t i = 0; i < others.size(); ++i) {
    const Fragment &fragment = others[i];
    if (fragment.state != Fragment::Ready)
      continue;
    ++numReady;
    if (best == others.size() ||
        std::pair(-fragment.frame->depth, fragment.pc) <
            std::pair(-others[best].frame->depth, others[best].pc))
      best = i;
  }
  if (best == others.size())
    return;
  if (random && numReady > 1 && (*random)() % 8 == 0) {
    std::size_t skip = (*random)() % numReady;
    for (std::size_t i = 0; i < others.size(); ++i)
      if (others[i].state == Fragment::Ready && skip-- == 0)
        best = i;
  }
  Fragment chosen = others[best];
  others.erase(others.begin() + best);
  enter(chosen);
  meetingPoint = INT_MAX;
  for (const Fragment &fragment : others)
    if (fragment.frame == current.frame && fragment.pc > current.pc &&
        fragment.state != Fragment::Waiting)
      meetingPoint = std::min(meetingPoint, fragment.pc);
}

bool Warp::isReady() const {
  auto isReady = [](const Fragment &fragment) {
    return fragment.lanes && fragment.state == Fragment::Ready;
  };
  return isReady(current) || std::any_of(others.begin(), others.end(), isReady);
}

void Warp::run(int numInstructions, Random &random) {
  budget = numInstructions;
  if (!others.empty())
    choose(&random);
  while (budget-- > 0) {
    if (current.pc >= meetingPoint)
      choose(nullptr);
    if (!current.lanes)
      return;
    const Instruction &instruction = code[current.pc++];
    Mask lanes = current.lanes;
    if (instruction.guard >= 0) {
      Mask guard;
      std::memcpy(&guard, registers + instruction.guard, sizeof guard);
      lanes &= instruction.isGuardNegated ? ~guard : guard;
      if (!lanes)
        continue;
    }
    instruction.handler(*this, instruction, lanes);
  }
  // Lanes that the last instruction parked may be whole now.
  if (!current.lanes)
    choose(nullptr);
}

/// Takes \p lanes out of the current fragment and leaves them at \p pc.
void Warp::split(Mask lanes, std::int32_t pc, Fragment::State state) {
  Fragment fragment = current;
  fragment.lanes = lanes;
  fragment.pc = pc;
  fragment.state = state;
  current.lanes &= ~lanes;
  others.push_back(fragment);
  meetingPoint = -1; // choose again
}

void Warp::branch(Mask taken, std::int32_t target) {
  if (taken == current.lanes) {
    current.pc = target;
    return;
  }
  split(taken, target, Fragment::Ready);
}

void Warp::call(Mask lanes, const Call &call) {
  for (Frame *frame = current.frame; frame; frame = frame->caller)
    if (frame->function == call.callee && block.kernel.module->localBytes)
      throw Fault{CUDA_ERROR_LAUNCH_FAILED, "recursion is not modelled"};
  Frame *frame = makeFrame(call.callee, lanes);
  frame->caller = current.frame;
  frame->call = &call;
  frame->returnTo = current.pc;
  frame->depth = current.frame->depth + 1;
  const Function &caller = *current.frame->function;
  for (std::size_t i = 0; i < call.arguments.size(); ++i) {
    const Parameter &parameter = call.callee->parameters[i];
    forLanes(lanes, [&](int lane) {
      std::memcpy(
          &frame->params[lane * call.callee->callParamBytes + parameter.offset],
          &current.frame
               ->params[lane * caller.callParamBytes + call.arguments[i]],
          parameter.bytes);
    });
  }
  split(lanes, 0, Fragment::Ready);
  others.back().frame = frame;
}

void Warp::returnFrom(Mask lanes) {
  Frame *frame = current.frame;
  if (!frame->caller)
    return exit(lanes);
  const Function &callee = *frame->function;
  for (std::size_t i = 0; i < frame->call->results.size(); ++i) {
    const Parameter &result = callee.results[i];
    forLanes(lanes, [&](int lane) {
      std::memcpy(&frame->caller
                       ->params[lane * frame->caller->function->callParamBytes +
                                frame->call->results[i]],
                  &frame->params[lane * callee.callParamBytes + result.offset],
                  result.bytes);
    });
  }
  split(lanes, frame->returnTo, Fragment::Ready);
  others.back().frame = frame->caller;
  frame->lanes &= ~lanes;
  if (frame->lanes)
    return;
  auto ended = std::find_if(frames.begin(), frames.end(),
                            [&](const auto &f) { return f.get() == frame; });
  spareFrames.push_back(std::move(*ended));
  frames.erase(ended);
}

void Warp::exit(Mask lanes) {
  current.lanes &= ~lanes;
  live &= ~lanes;
  meetingPoint = -1;
  // Lanes that gather for an instruction do not wait for those that ended.
  for (Fragment &fragment : others)
    if (fragment.state == Fragment::Parked)
      fragment.state = Fragment::Ready;
  block.numLive -= __builtin_popcount(lanes);
  for (std::size_t i = 0; i < block.barriers.size(); ++i)
    block.completeBarrier(i);
  if (block.numLive == 0)
    yield();
}

bool Warp::gather(Mask lanes, Mask members) {
  if ((members & live & ~lanes) == 0)
    return true;
  split(lanes, current.pc - 1, Fragment::Parked);
  return false;
}

void Warp::retry(Mask lanes) {
  split(lanes, current.pc - 1, Fragment::Ready);
  yield();
}

void Warp::waitAtBarrier(Mask lanes, int barrier) {
  split(lanes, current.pc - 1, Fragment::Waiting);
  others.back().barrier = barrier;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static std::string describe(const char *what, unsigned bytes,
                            std::uint64_t address) {
  char text[128];
  std::snprintf(text, sizeof text, "%s of %u bytes at 0x%llx", what, bytes,
                static_cast<unsigned long long>(address));
  return text;
}

char *Warp::access(Space space, std::uint64_t address, unsigned bytes, int lane,
                   unsigned alignment) {
  std::uint64_t original = address;
  if (address & (alignment - 1))
    throw Fault{CUDA_ERROR_MISALIGNED_ADDRESS,
                describe("misaligned access", bytes, original), lane};
  if (space == Space::Generic) {
    const std::uint64_t offsetBits = sharedWindow - 1;
    switch (address & ~offsetBits) {
    case sharedWindow:
      space = Space::Shared;
      break;
    case localWindow:
      space = Space::Local;
      break;
    case paramWindow:
      space = Space::KernelParam;
      break;
    default:
      space = Space::Global;
    }
    if (space != Space::Global)
      address &= offsetBits;
  }
  auto find = [&](char *data, std::uint64_t size) -> char * {
    return address <= size && bytes <= size - address ? data + address
                                                      : nullptr;
  };
  char *found = nullptr;
  switch (space) {
  case Space::Generic:
  case Space::Global:
    if (Memory::get().containsWithinGranule(address, bytes) ||
        (bytes > 16 && Memory::get().contains(address, bytes)))
      found = reinterpret_cast<char *>(address);
    break;
  case Space::Shared: {
    bool isStatic = address >= staticSharedBase;
    std::vector<char> &data =
        isStatic ? block.staticShared : block.dynamicShared;
    address -= isStatic ? staticSharedBase : dynamicSharedBase;
    found = find(data.data(), data.size());
    break;
  }
  case Space::Local: {
    std::uint64_t each = block.kernel.module->localBytes;
    found = find(local.data() + lane * each, each);
    break;
  }
  case Space::KernelParam:
    found = find(block.kernel.params.data(), block.kernel.params.size());
    break;
  case Space::CallParam: {
    std::uint64_t each = current.frame->function->callParamBytes;
    found = find(current.frame->params.data() + lane * each, each);
    break;
  }
  }
  if (!found)
    throw Fault{CUDA_ERROR_ILLEGAL_ADDRESS,
                describe("illegal access", bytes, original), lane};
  return found;
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

Block::Block(Gpu &gpu, Kernel &kernel, Dim3 index, int multiprocessor)
    : gpu(gpu), kernel(kernel), index(index), multiprocessor(multiprocessor),
      dynamicShared(kernel.dynamicSharedBytes, char(0xCD)),
      staticShared(kernel.module->staticSharedBytes, char(0xCD)),
      numLive(kernel.block.getCount()) {
  for (unsigned first = 0; first < numLive; first += warpSize) {
    unsigned count = std::min(numLive - first, unsigned(warpSize));
    Mask lanes = count == warpSize ? allLanes : (Mask(1) << count) - 1;
    warps.push_back(std::make_unique<Warp>(*this, first / warpSize, lanes));
  }
}

void Block::completeBarrier(int number) {
  Barrier &barrier = barriers[number];
  if (barrier.numArrived == 0)
    return;
  unsigned numExpected = barrier.numExpected ? barrier.numExpected : numLive;
  if (barrier.numArrived < numExpected)
    return;
  for (const auto &warp : warps)
    for (Fragment &fragment : warp->others) {
      if (fragment.state != Fragment::Waiting || fragment.barrier != number)
        continue;
      const Instruction &instruction =
          fragment.frame->function->code[fragment.pc];
      finishBarrier(instruction, fragment, barrier.numTrue, numExpected);
      ++fragment.pc;
      fragment.state = Fragment::Ready;
      gpu.makeReady(*warp);
    }
  barrier = Barrier();
}
