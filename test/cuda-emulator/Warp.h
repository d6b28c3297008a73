//===- Warp.h - Threads that run ---------------------------------*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Kernels, thread blocks and warps while they run.
///
/// The lanes of a warp stand in fragments, each at one instruction. The lowest
/// one of the innermost call runs until it meets or passes another, so that
/// lanes that parted come together again.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TEST_CUDA_EMULATOR_WARP_H
#define FUSCO_TEST_CUDA_EMULATOR_WARP_H

#include "test/cuda-emulator/Memory.h"
#include "test/cuda-emulator/Ptx.h"

#include <climits>
#include <cstring>
#include <functional>
#include <random>

namespace fusco::emulator {

class Gpu;
using Random = std::mt19937_64;

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
  unsigned getCount() const { return x * y * z; }
};

struct Kernel {
  std::shared_ptr<const Module> module;
  const Function *function;
  Dim3 grid, block;
  std::uint32_t dynamicSharedBytes;
  std::vector<char> params;
  unsigned numBlocksStarted = 0, numBlocksEnded = 0;
  /// Bulk copies that have not written yet.
  unsigned numCopies = 0;
};

/// One activation of a function by some lanes of a warp.
struct Frame {
  const Function *function;
  Frame *caller;
  const Call *call;
  std::int32_t returnTo;
  int depth;
  Mask lanes;
  std::vector<char> registers;
  std::vector<char> params; ///< callParamBytes per lane
};

struct Fragment {
  enum State {
    Ready,
    Parked, ///< at an instruction that needs more lanes
    Waiting ///< at the barrier
  };
  Mask lanes = 0;
  Frame *frame = nullptr;
  std::int32_t pc = 0;
  State state = Ready;
  int barrier = 0;
};

/// A hardware barrier of a block.
struct Barrier {
  unsigned numArrived = 0;
  unsigned numExpected = 0; ///< 0: all threads that have not ended
  unsigned numTrue = 0;     ///< predicates of a reduction
};

struct Block;

class Warp {
public:
  Warp(Block &block, int index, Mask lanes);

  /// Runs about \p numInstructions, fewer if the warp must wait.
  void run(int numInstructions, Random &random);
  bool isReady() const;

  // For handlers.
  template <class T> T *get(const Instruction &instruction, int operand) const {
    std::int32_t place = instruction.operands[operand];
    return reinterpret_cast<T *>(place >= 0 ? registers + place
                                            : constants + ~place);
  }
  std::uint64_t getAddress(const Instruction &instruction, int operand,
                           int lane) const {
    std::uint64_t base = (instruction.narrowBases >> operand) & 1
                             ? get<std::uint32_t>(instruction, operand)[lane]
                             : get<std::uint64_t>(instruction, operand)[lane];
    return base + std::int64_t(instruction.operands[operand + 1]);
  }
  /// Checks an access and returns where the memory is.
  char *access(Space space, std::uint64_t address, unsigned bytes, int lane,
               unsigned alignment);
  /// The lane as an index in the block.
  int getThread(int lane) const { return index * warpSize + lane; }

  void branch(Mask taken, std::int32_t target);
  void call(Mask lanes, const Call &call);
  void returnFrom(Mask lanes);
  void exit(Mask lanes);
  /// Whether \p members that have not ended are all among \p lanes; if not,
  /// \p lanes wait for them at this instruction.
  bool gather(Mask lanes, Mask members);
  /// Lets \p lanes wait at this instruction, at the barrier.
  void waitAtBarrier(Mask lanes, int barrier);
  /// Lets \p lanes try this instruction again later.
  void retry(Mask lanes);
  /// Ends the warp's turn.
  void yield() { budget = 0; }

  Block &block;
  const int index;
  Mask live;
  Fragment current;
  std::vector<Fragment> others;
  /// Bulk copies of each lane go to this group.
  std::array<std::uint32_t, warpSize> bulkGroups = {};
  bool isQueued = false; ///< among the warps that the GPU may pick

private:
  void split(Mask lanes, std::int32_t pc, Fragment::State state);
  void choose(Random *random);
  void enter(const Fragment &fragment);
  Frame *makeFrame(const Function *function, Mask lanes);

  char *registers = nullptr, *constants = nullptr;
  const Instruction *code = nullptr;
  std::int32_t meetingPoint = INT_MAX; ///< where another fragment may be met
  int budget = 0;
  std::vector<std::unique_ptr<Frame>> frames, spareFrames;
  std::vector<char> local; ///< localBytes of the module per lane
};

/// An asynchronous copy between global and shared memory.
struct BulkCopy {
  Kernel *kernel = nullptr;
  const Block *issuer = nullptr;
  Block *block = nullptr; ///< whose shared memory is in use, if any still is
  char *to = nullptr;     ///< both were checked when the copy was issued
  const char *from = nullptr;
  std::uint32_t bytes = 0;
  bool isStore = false;
  std::uint64_t barrier = 0; ///< of a load: shared address of its mbarrier
  int thread = 0;            ///< of a store
  std::uint32_t group = 0;   ///< of a store
  bool hasRead = false;      ///< the source may change
  std::vector<char> data;    ///< what was read
  std::uint64_t dueTick = 0; ///< of the next step
};

struct Block {
  Block(Gpu &gpu, Kernel &kernel, Dim3 index, int multiprocessor);

  /// Ends the barrier's phase if all have arrived.
  void completeBarrier(int barrier);

  Gpu &gpu;
  Kernel &kernel;
  const Dim3 index;
  const int multiprocessor;
  std::vector<char> dynamicShared, staticShared;
  std::array<Barrier, 16> barriers;
  std::vector<std::unique_ptr<Warp>> warps;
  unsigned numLive; ///< threads that have not ended
};

/// Writes the results of \p instruction, a barrier that \p fragment waited at.
void finishBarrier(const Instruction &instruction, Fragment &fragment,
                   unsigned numTrue, unsigned numThreads);

/// Counts \p bytes that have come for the mbarrier at the shared \p address.
void completeTransaction(Block &block, std::uint64_t address,
                         std::uint32_t bytes);

/// What stops a kernel: a CUresult and a text that says what and who.
struct Fault {
  int result;
  std::string message;
  int lane = -1;
};

/// Calls \p function with each lane of \p lanes; the loop over all of them is
/// one that compilers vectorise.
template <class Fn> inline void forLanes(Mask lanes, Fn function) {
  if (lanes == allLanes) {
    for (int lane = 0; lane < warpSize; ++lane)
      function(lane);
    return;
  }
  for (; lanes; lanes &= lanes - 1)
    function(__builtin_ctz(lanes));
}

} // namespace fusco::emulator

#endif // FUSCO_TEST_CUDA_EMULATOR_WARP_H
