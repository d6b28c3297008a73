//===- WarpCollectives.cpp - Lanes that exchange values -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Instructions with a mask of members: they wait until all members that have
/// not ended stand at the same instruction.
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Handlers.h"

#include <algorithm>

using namespace fusco::emulator;

namespace {

/// Calls \p function(group) for each set of lanes with the same mask in
/// \p members; or lets all wait.
template <class Fn>
void forGroups(Warp &warp, Mask lanes, const std::uint32_t *members,
               Fn function) {
  for (bool isDryRun : {true, false}) {
    for (Mask left = lanes; left;) {
      int first = __builtin_ctz(left);
      Mask group = 0;
      forLanes(left, [&](int lane) {
        group |= Mask(members[lane] == members[first]) << lane;
      });
      left &= ~group;
      if (!isDryRun) {
        function(group);
        continue;
      }
      if (group & ~members[first])
        throw Fault{CUDA_ERROR_LAUNCH_FAILED,
                    "a thread is not among the members that it names",
                    __builtin_ctz(group & ~members[first])};
      if ((members[first] & warp.live & ~group) != 0) {
        warp.gather(lanes, members[first]);
        return;
      }
    }
  }
}

void setBits(Mask &predicate, Mask lanes, Mask value) {
  predicate = (predicate & ~lanes) | (value & lanes);
}

//===----------------------------------------------------------------------===//
// shfl
//===----------------------------------------------------------------------===//

enum { Up, Down, Butterfly, Index };

/// Operands: result, whether the source is in range, value, b, c, members.
void shuffle(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<std::uint32_t>(instruction, 0);
  Mask &inRange = *warp.get<Mask>(instruction, 1);
  auto *value = warp.get<std::uint32_t>(instruction, 2);
  auto *b = warp.get<std::uint32_t>(instruction, 3);
  auto *c = warp.get<std::uint32_t>(instruction, 4);
  auto *members = warp.get<std::uint32_t>(instruction, 5);
  forGroups(warp, lanes, members, [&](Mask group) {
    std::uint32_t taken[warpSize] = {};
    Mask isInRange = 0;
    forLanes(group, [&](int lane) {
      int segment = (c[lane] >> 8) & 31, clamp = c[lane] & 31;
      int last = (lane & segment) | (clamp & ~segment);
      int amount = b[lane] & 31, source = lane;
      bool isValid = false;
      switch (instruction.detail) {
      case Up:
        source = lane - amount;
        isValid = source >= last;
        break;
      case Down:
        source = lane + amount;
        isValid = source <= last;
        break;
      case Butterfly:
        source = lane ^ amount;
        isValid = source <= last;
        break;
      case Index:
        source = (lane & segment) | (amount & ~segment);
        isValid = source <= last;
        break;
      }
      if (!isValid)
        source = lane;
      // The value of a lane that does not take part is undefined.
      taken[lane] = (group >> source) & 1 ? value[source] : 0xCDCDCDCD;
      isInRange |= Mask(isValid) << lane;
    });
    forLanes(group, [&](int lane) { result[lane] = taken[lane]; });
    setBits(inRange, group, isInRange);
  });
}

Handler decodeShfl(Decoder &d) {
  if (!d.has("sync"))
    return nullptr;
  d.instruction.detail = d.choose({"up", "down", "bfly", "idx"});
  d.value(4);
  if (d.operandsLeft() == 5)
    d.predicate();
  else
    d.sink();
  for (int i = 0; i < 4; ++i)
    d.value(4);
  return d.instruction.detail >= 0 ? shuffle : Handler(nullptr);
}

//===----------------------------------------------------------------------===//
// vote, match, redux, elect
//===----------------------------------------------------------------------===//

enum { All, Any, Uniform, Ballot };

/// Operands: result, predicate, members.
void vote(Warp &warp, const Instruction &instruction, Mask lanes) {
  Mask predicate = *warp.get<Mask>(instruction, 1);
  if (instruction.detail < 0)
    predicate = ~predicate;
  const int mode = instruction.detail & 3;
  forGroups(
      warp, lanes, warp.get<std::uint32_t>(instruction, 2), [&](Mask group) {
        Mask yes = predicate & group;
        if (mode == Ballot) {
          auto *result = warp.get<std::uint32_t>(instruction, 0);
          forLanes(group, [&](int lane) { result[lane] = yes; });
          return;
        }
        bool holds = mode == All   ? yes == group
                     : mode == Any ? yes != 0
                                   : yes == 0 || yes == group;
        setBits(*warp.get<Mask>(instruction, 0), group, holds ? allLanes : 0);
      });
}

Handler decodeVote(Decoder &d) {
  int mode = d.choose({"all", "any", "uni", "ballot"});
  if (!d.has("sync") || mode < 0)
    return nullptr;
  d.instruction.detail = mode;
  if (mode == Ballot)
    d.value(4);
  else
    d.predicate();
  d.predicate();
  d.value(4);
  return vote;
}

/// Operands: result, predicate, value, members.
template <class T, bool isAll>
void match(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<std::uint32_t>(instruction, 0);
  auto *value = warp.get<T>(instruction, 2);
  forGroups(warp, lanes, warp.get<std::uint32_t>(instruction, 3),
            [&](Mask group) {
              Mask equal[warpSize];
              bool areAllEqual = true;
              forLanes(group, [&](int lane) {
                equal[lane] = 0;
                forLanes(group, [&](int other) {
                  equal[lane] |= Mask(value[lane] == value[other]) << other;
                });
                areAllEqual &= equal[lane] == group;
              });
              forLanes(group, [&](int lane) {
                result[lane] = isAll ? (areAllEqual ? group : 0) : equal[lane];
              });
              setBits(*warp.get<Mask>(instruction, 1), group,
                      areAllEqual ? allLanes : 0);
            });
}

Handler decodeMatch(Decoder &d) {
  bool isAll = d.has("all");
  if (!d.has("sync") || (!isAll && !d.has("any")))
    return nullptr;
  d.value(4);
  if (d.operandsLeft() == 3)
    d.predicate();
  else
    d.sink();
  d.value(d.type());
  d.value(4);
  if (d.type() == Type::B32)
    return isAll ? match<std::uint32_t, true> : match<std::uint32_t, false>;
  return isAll ? match<std::uint64_t, true> : match<std::uint64_t, false>;
}

/// Operands: result, value, members.
template <class T>
void reduce(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<T>(instruction, 0),
       *value = warp.get<T>(instruction, 1);
  forGroups(warp, lanes, warp.get<std::uint32_t>(instruction, 2),
            [&](Mask group) {
              T sum = value[__builtin_ctz(group)];
              forLanes(group & (group - 1), [&](int lane) {
                T next = value[lane];
                switch (instruction.detail) {
                case 0:
                  sum += next;
                  break;
                case 1:
                  sum = std::min(sum, next);
                  break;
                case 2:
                  sum = std::max(sum, next);
                  break;
                case 3:
                  sum &= next;
                  break;
                case 4:
                  sum |= next;
                  break;
                case 5:
                  sum ^= next;
                  break;
                }
              });
              forLanes(group, [&](int lane) { result[lane] = sum; });
            });
}

Handler decodeRedux(Decoder &d) {
  d.instruction.detail = d.choose({"add", "min", "max", "and", "or", "xor"});
  if (!d.has("sync") || d.instruction.detail < 0 || getBytes(d.type()) != 4)
    return nullptr;
  for (int i = 0; i < 3; ++i)
    d.value(4);
  return isSigned(d.type()) ? reduce<std::int32_t> : reduce<std::uint32_t>;
}

/// Operands: leader, whether this lane is it, members.
void elect(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *leader = warp.get<std::uint32_t>(instruction, 0);
  forGroups(warp, lanes, warp.get<std::uint32_t>(instruction, 2),
            [&](Mask group) {
              int first = __builtin_ctz(group);
              forLanes(group, [&](int lane) { leader[lane] = first; });
              setBits(*warp.get<Mask>(instruction, 1), group, Mask(1) << first);
            });
}

Handler decodeElect(Decoder &d) {
  if (!d.has("sync"))
    return nullptr;
  d.value(4);
  d.predicate();
  d.value(4);
  return elect;
}

void getActive(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<std::uint32_t>(instruction, 0);
  forLanes(lanes, [=](int lane) { result[lane] = lanes; });
}

Handler decodeActivemask(Decoder &d) {
  d.value(4);
  return getActive;
}

} // namespace

const DecodeTable &fusco::emulator::getWarpCollectives() {
  static const DecodeTable table = {
      {"shfl", decodeShfl},   {"vote", decodeVote},
      {"match", decodeMatch}, {"redux", decodeRedux},
      {"elect", decodeElect}, {"activemask", decodeActivemask}};
  return table;
}
