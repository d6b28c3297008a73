//===- DataMovement.cpp - Registers and memory ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Moves, loads, stores, atomic operations. Memory orders and scopes are read
/// over: memory is sequentially consistent, since one thread runs all warps.
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Gpu.h"
#include "test/cuda-emulator/Handlers.h"

#include <chrono>
#include <type_traits>

using namespace fusco::emulator;

//===----------------------------------------------------------------------===//
// Moves
//===----------------------------------------------------------------------===//

namespace {

struct Copy {
  template <class T> T operator()(T a) const { return a; }
};

void movePredicate(Warp &warp, const Instruction &instruction, Mask lanes) {
  Mask &result = *warp.get<Mask>(instruction, 0);
  result = (result & ~lanes) | (*warp.get<Mask>(instruction, 1) & lanes);
}

/// Copies parts of a lane's bytes between the register of operand \p wide and
/// the narrower ones that follow from \p firstPart on.
template <bool isPack>
void moveParts(Warp &warp, const Instruction &instruction, Mask lanes) {
  const int numParts = instruction.detail & 0xFF;
  const int partBytes = instruction.detail >> 8;
  const int wideBytes = numParts * partBytes;
  // All at once: a part may be the whole's register.
  forLanes(lanes, [&](int lane) {
    char whole[16];
    char *wide =
        warp.get<char>(instruction, isPack ? 0 : numParts) + lane * wideBytes;
    if (!isPack)
      std::memcpy(whole, wide, wideBytes);
    for (int part = 0; part < numParts; ++part) {
      char *narrow =
          warp.get<char>(instruction, part + isPack) + lane * partBytes;
      if (isPack)
        std::memcpy(whole + part * partBytes, narrow, partBytes);
      else
        std::memcpy(narrow, whole + part * partBytes, partBytes);
    }
    if (isPack)
      std::memcpy(wide, whole, wideBytes);
  });
}

enum class Special {
  Tid,
  Ntid,
  Ctaid,
  Nctaid, // the four above: x, y, z follow
  LaneId,
  WarpId,
  NumWarps,
  SmId,
  NumSms,
  GridId,
  LanesEqual,
  LanesLess,
  LanesLessEqual,
  LanesGreater,
  LanesGreaterEqual,
  Time,
  DynamicSharedBytes
};

std::uint64_t getTime() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

unsigned getComponent(const Dim3 &dim, int component) {
  return component == 0 ? dim.x : component == 1 ? dim.y : dim.z;
}

template <class T>
void moveSpecial(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<T>(instruction, 0);
  const Block &block = warp.block;
  const Kernel &kernel = block.kernel;
  const int component = instruction.detail & 3;
  const Special special = Special(instruction.detail >> 2);
  const std::uint64_t now = special == Special::Time ? getTime() : 0;
  auto valueOf = [&](int lane) -> std::uint64_t {
    unsigned thread = warp.getThread(lane);
    Mask self = Mask(1) << lane;
    switch (special) {
    case Special::Tid:
      return component == 0   ? thread % kernel.block.x
             : component == 1 ? thread / kernel.block.x % kernel.block.y
                              : thread / kernel.block.x / kernel.block.y;
    case Special::Ntid:
      return getComponent(kernel.block, component);
    case Special::Ctaid:
      return getComponent(block.index, component);
    case Special::Nctaid:
      return getComponent(kernel.grid, component);
    case Special::LaneId:
      return lane;
    case Special::WarpId:
      return warp.index;
    case Special::NumWarps:
      return block.warps.size();
    case Special::SmId:
      return block.multiprocessor;
    case Special::NumSms:
      return block.gpu.getNumMultiprocessors();
    case Special::GridId:
      return 0;
    case Special::LanesEqual:
      return self;
    case Special::LanesLess:
      return self - 1;
    case Special::LanesLessEqual:
      return self | (self - 1);
    case Special::LanesGreater:
      return ~(self | (self - 1));
    case Special::LanesGreaterEqual:
      return ~(self - 1);
    case Special::Time:
      return now;
    case Special::DynamicSharedBytes:
      return kernel.dynamicSharedBytes;
    }
    return 0;
  };
  forLanes(lanes, [&](int lane) { result[lane] = valueOf(lane); });
}

/// The detail of moveSpecial for \p name, -1 if it is no special register.
int findSpecial(std::string name) {
  static const std::map<std::string, Special> specials = {
      {"%tid", Special::Tid},
      {"%ntid", Special::Ntid},
      {"%ctaid", Special::Ctaid},
      {"%nctaid", Special::Nctaid},
      {"%laneid", Special::LaneId},
      {"%warpid", Special::WarpId},
      {"%nwarpid", Special::NumWarps},
      {"%smid", Special::SmId},
      {"%nsmid", Special::NumSms},
      {"%gridid", Special::GridId},
      {"%lanemask_eq", Special::LanesEqual},
      {"%lanemask_lt", Special::LanesLess},
      {"%lanemask_le", Special::LanesLessEqual},
      {"%lanemask_gt", Special::LanesGreater},
      {"%lanemask_ge", Special::LanesGreaterEqual},
      {"%clock", Special::Time},
      {"%clock64", Special::Time},
      {"%globaltimer", Special::Time},
      {"%globaltimer_lo", Special::Time},
      {"%dynamic_smem_size", Special::DynamicSharedBytes}};
  int component = 0;
  std::size_t dot = name.find('.');
  if (dot != std::string::npos) {
    component = name.back() - 'x';
    name.resize(dot);
  }
  auto found = specials.find(name);
  if (found == specials.end() || component < 0 || component > 2)
    return -1;
  return int(found->second) << 2 | component;
}

Handler decodeMov(Decoder &d) {
  Type type = d.type();
  unsigned bytes = getBytes(type);
  if (type == Type::Pred) {
    d.predicate();
    d.predicate();
    return movePredicate;
  }
  if (d.peek().kind == Operand::Vector) {
    unsigned count = d.peek().elements.size();
    d.instruction.detail = count | bytes / count << 8;
    for (unsigned partBytes : d.vector(bytes / count))
      if (partBytes != bytes / count)
        d.fail("the parts have other sizes");
    d.value(bytes);
    return moveParts<false>;
  }
  d.value(bytes);
  if (d.peek().kind == Operand::Vector) {
    unsigned count = d.peek().elements.size();
    d.instruction.detail = count | bytes / count << 8;
    for (unsigned partBytes : d.vector(bytes / count))
      if (partBytes != bytes / count)
        d.fail("the parts have other sizes");
    return moveParts<true>;
  }
  if (d.peek().kind == Operand::Register) {
    int special = findSpecial(d.peek().name);
    if (special >= 0) {
      d.take();
      d.instruction.detail = special;
      return forBits(
          bytes, [](auto t) -> Handler { return moveSpecial<decltype(t)>; });
    }
  }
  d.value(bytes);
  return forBits(bytes, [](auto t) -> Handler {
    using T = decltype(t);
    return unary<Copy, T, T>;
  });
}

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

/// Adds the window in the detail, or takes it off again.
template <bool isToGeneric>
void convertAddress(Warp &warp, const Instruction &instruction, Mask lanes) {
  auto *result = warp.get<std::uint64_t>(instruction, 0);
  auto *a = warp.get<std::uint64_t>(instruction, 1);
  const std::uint64_t window = std::uint64_t(instruction.detail) << 56;
  forLanes(lanes, [&](int lane) {
    if (isToGeneric) {
      result[lane] = a[lane] | window;
      return;
    }
    if ((a[lane] >> 56 << 56) != window)
      throw Fault{CUDA_ERROR_ILLEGAL_ADDRESS, "address of another space", lane};
    result[lane] = a[lane] ^ window;
  });
}

Handler decodeCvta(Decoder &d) {
  bool isToSpace = d.has("to");
  switch (d.space()) {
  case Space::Shared:
    d.instruction.detail = sharedWindow >> 56;
    break;
  case Space::Local:
    d.instruction.detail = localWindow >> 56;
    break;
  case Space::KernelParam:
    d.instruction.detail = paramWindow >> 56;
    break;
  default:
    break;
  }
  d.value(8);
  d.value(8);
  return isToSpace ? convertAddress<false> : convertAddress<true>;
}

template <bool isShared>
void testSpace(Warp &warp, const Instruction &instruction, Mask lanes) {
  Mask &result = *warp.get<Mask>(instruction, 0);
  auto *a = warp.get<std::uint64_t>(instruction, 1);
  Mask holds = 0;
  forLanes(lanes, [&](int lane) {
    std::uint64_t window = a[lane] >> 56 << 56;
    holds |= Mask(window == (isShared ? sharedWindow : 0)) << lane;
  });
  result = (result & ~lanes) | holds;
}

Handler decodeIsspacep(Decoder &d) {
  Space space = d.space();
  d.predicate();
  d.value(8);
  if (space == Space::Shared)
    return testSpace<true>;
  return space == Space::Global ? testSpace<false> : Handler(nullptr);
}

//===----------------------------------------------------------------------===//
// Loads and stores
//===----------------------------------------------------------------------===//

/// Detail: the number of elements. M is the type in memory, R a register's.
template <class M, class R>
void load(Warp &warp, const Instruction &instruction, Mask lanes) {
  const int count = instruction.detail;
  forLanes(lanes, [&](int lane) {
    std::uint64_t address = warp.getAddress(instruction, count, lane);
    const unsigned bytes = sizeof(M) * count;
    const char *from =
        warp.access(instruction.space, address, bytes, lane, bytes);
    for (int i = 0; i < count; ++i) {
      M value;
      std::memcpy(&value, from + i * sizeof(M), sizeof(M));
      warp.get<R>(instruction, i)[lane] = value;
    }
  });
}

template <class M, class R>
void store(Warp &warp, const Instruction &instruction, Mask lanes) {
  const int count = instruction.detail;
  forLanes(lanes, [&](int lane) {
    std::uint64_t address = warp.getAddress(instruction, 0, lane);
    const unsigned bytes = sizeof(M) * count;
    char *to = warp.access(instruction.space, address, bytes, lane, bytes);
    for (int i = 0; i < count; ++i) {
      M value = warp.get<R>(instruction, 2 + i)[lane];
      std::memcpy(to + i * sizeof(M), &value, sizeof(M));
    }
  });
}

void takeOrder(Decoder &d) {
  d.ignore({"relaxed", "acquire", "release", "acq_rel", "sc", "volatile",
            "weak", "cta", "gpu", "sys", "cluster", "mmio"});
  d.ignore({"nc", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "L1::evict_normal",
            "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
            "L1::no_allocate", "L2::64B", "L2::128B", "L2::256B"});
}

/// \p make(M(), R()) for a type in memory and the size of registers.
template <class Fn>
Handler forAccess(Type type, const std::vector<unsigned> &sizes, Fn make) {
  for (unsigned size : sizes)
    if (size != sizes.front())
      return nullptr;
  auto forRegister = [&](auto m) {
    return forBits(sizes.front(), [&](auto r) -> Handler {
      if constexpr (sizeof(r) < sizeof(m))
        return nullptr;
      else
        return make(m, r);
    });
  };
  switch (type) {
  case Type::B8:
  case Type::U8:
    return forRegister(std::uint8_t());
  case Type::S8:
    return forRegister(std::int8_t());
  case Type::S16:
    return forRegister(std::int16_t());
  case Type::S32:
    return forRegister(std::int32_t());
  case Type::Pred:
    return nullptr;
  default:
    return forBits(getBytes(type), forRegister);
  }
}

/// Takes operands of which a vector may hold a sink only in loads, where each
/// then must have the others' size.
std::vector<unsigned> takeElements(Decoder &d, unsigned bytes) {
  unsigned count = d.has("v2") ? 2 : d.has("v4") ? 4 : 1;
  std::vector<unsigned> sizes = d.vector(bytes);
  if (sizes.size() != count)
    d.fail("the number of registers is not the instruction's");
  d.instruction.detail = count;
  return sizes;
}

Handler decodeLoad(Decoder &d) {
  takeOrder(d);
  d.instruction.space = d.space();
  std::vector<unsigned> sizes = takeElements(d, getBytes(d.type()));
  d.address();
  return forAccess(d.type(), sizes, [](auto m, auto r) -> Handler {
    return load<decltype(m), decltype(r)>;
  });
}

Handler decodeStore(Decoder &d) {
  takeOrder(d);
  d.instruction.space = d.space();
  d.address();
  std::vector<unsigned> sizes = takeElements(d, getBytes(d.type()));
  return forAccess(d.type(), sizes, [](auto m, auto r) -> Handler {
    return store<decltype(m), decltype(r)>;
  });
}

Handler ignoreInstruction(Decoder &d) {
  while (d.operandsLeft())
    d.take();
  return [](Warp &, const Instruction &, Mask) {};
}

Handler decodePrefetch(Decoder &d) {
  d.ignore({"global", "L1", "L2"});
  return ignoreInstruction(d);
}

//===----------------------------------------------------------------------===//
// Atomic operations
//===----------------------------------------------------------------------===//

struct AtomAdd {
  template <class T> T operator()(T old, T b, T) const { return old + b; }
};
struct AtomMin {
  template <class T> T operator()(T old, T b, T) const {
    return b < old ? b : old;
  }
};
struct AtomMax {
  template <class T> T operator()(T old, T b, T) const {
    return old < b ? b : old;
  }
};
struct AtomAnd {
  template <class T> T operator()(T old, T b, T) const { return old & b; }
};
struct AtomOr {
  template <class T> T operator()(T old, T b, T) const { return old | b; }
};
struct AtomXor {
  template <class T> T operator()(T old, T b, T) const { return old ^ b; }
};
struct AtomExch {
  template <class T> T operator()(T, T b, T) const { return b; }
};
struct AtomCas {
  template <class T> T operator()(T old, T b, T c) const {
    return old == b ? c : old;
  }
};
struct AtomInc {
  template <class T> T operator()(T old, T b, T) const {
    return old >= b ? T(0) : old + 1;
  }
};
struct AtomDec {
  template <class T> T operator()(T old, T b, T) const {
    return old == 0 || old > b ? b : old - 1;
  }
};

/// Atomic for the host too, which may use the same memory. Operands: old value,
/// address (two), b, c.
template <class Op, class T>
void atomic(Warp &warp, const Instruction &instruction, Mask lanes) {
  using Bits = std::conditional_t<
      sizeof(T) == 2, std::uint16_t,
      std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;
  forLanes(lanes, [&](int lane) {
    auto *place = reinterpret_cast<Bits *>(
        warp.access(instruction.space, warp.getAddress(instruction, 1, lane),
                    sizeof(T), lane, sizeof(T)));
    T b = warp.get<T>(instruction, 3)[lane];
    T c = warp.get<T>(instruction, 4)[lane];
    Bits old = __atomic_load_n(place, __ATOMIC_SEQ_CST), changed;
    do
      changed = bitsAs<Bits>(T(Op()(bitsAs<T>(old), b, c)));
    while (!__atomic_compare_exchange_n(place, &old, changed, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    warp.get<Bits>(instruction, 0)[lane] = old;
  });
}

template <class Op> Handler forAtomic(Type type) {
  if constexpr (std::is_same_v<Op, AtomAdd>) {
    if (type == Type::F32)
      return atomic<Op, float>;
    if (type == Type::F64)
      return atomic<Op, double>;
  }
  return forIntegers(type,
                     [](auto t) -> Handler { return atomic<Op, decltype(t)>; });
}

Handler decodeAtomic(Decoder &d) {
  takeOrder(d);
  d.instruction.space = d.space();
  if (d.getName() == "atom")
    d.value(d.type());
  else
    d.sink();
  d.address();
  d.value(d.type());
  int op = d.choose(
      {"add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"});
  if (op == 7)
    d.value(d.type());
  else
    d.sink();
  switch (op) {
  case 0:
    return forAtomic<AtomAdd>(d.type());
  case 1:
    return forAtomic<AtomMin>(d.type());
  case 2:
    return forAtomic<AtomMax>(d.type());
  case 3:
    return forAtomic<AtomAnd>(d.type());
  case 4:
    return forAtomic<AtomOr>(d.type());
  case 5:
    return forAtomic<AtomXor>(d.type());
  case 6:
    return forAtomic<AtomExch>(d.type());
  case 7:
    return forAtomic<AtomCas>(d.type());
  case 8:
    return d.type() == Type::U32 ? forAtomic<AtomInc>(d.type()) : nullptr;
  case 9:
    return d.type() == Type::U32 ? forAtomic<AtomDec>(d.type()) : nullptr;
  default:
    return nullptr;
  }
}

} // namespace

const DecodeTable &fusco::emulator::getDataMovement() {
  static const DecodeTable table = {
      {"mov", decodeMov},           {"cvta", decodeCvta},
      {"isspacep", decodeIsspacep}, {"ld", decodeLoad},
      {"ldu", decodeLoad},          {"st", decodeStore},
      {"atom", decodeAtomic},       {"red", decodeAtomic},
      {"prefetch", decodePrefetch}, {"prefetchu", decodePrefetch}};
  return table;
}
