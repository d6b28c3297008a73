//===- Ptx.h - Decoded PTX --------------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What the parser makes of a module's text: functions whose instructions name
/// a handler and the places of their operands, so that nothing is looked up
/// while they run.
///
/// A register is an array of one value per lane. An immediate is such an array
/// too, in the constants of its function: handlers need not tell them apart.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TEST_CUDA_EMULATOR_PTX_H
#define FUSCO_TEST_CUDA_EMULATOR_PTX_H

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fusco::emulator {

constexpr int warpSize = 32;

/// One bit per lane of a warp; the form of predicates as well.
using Mask = std::uint32_t;
constexpr Mask allLanes = ~Mask(0);

enum class Type : std::uint8_t {
  None,
  Pred,
  B8,
  B16,
  B32,
  B64,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  F16,
  BF16,
  F16x2,
  BF16x2,
  S16x2,
  U16x2,
  F32,
  F64
};

/// The type that \p name spells, e.g. "u32"; None if it is no type.
Type parseType(std::string_view name);
unsigned getBytes(Type type);
bool isSigned(Type type);

enum class Space : std::uint8_t {
  Generic,
  Global,
  Shared,
  Local,
  KernelParam, ///< of the launch, the same for all threads
  CallParam    ///< of a frame: parameters of calls, each thread's own
};

/// Generic addresses of what is not in memory that the host sees: one of these
/// windows plus the address in the space.
constexpr std::uint64_t sharedWindow = std::uint64_t(1) << 56;
constexpr std::uint64_t localWindow = std::uint64_t(2) << 56;
constexpr std::uint64_t paramWindow = std::uint64_t(3) << 56;

/// Addresses in shared memory. The first bytes are the system's on sm_90.
/// Static variables have a place of their own, for the parser meets them at any
/// time.
constexpr std::uint32_t dynamicSharedBase = 1024;
constexpr std::uint32_t staticSharedBase = 1 << 20;

class Warp;
struct Instruction;
using Handler = void (*)(Warp &, const Instruction &, Mask);

struct Instruction {
  Handler handler = nullptr;
  /// >= 0: offset in the frame's registers, < 0: ~offset in the constants. An
  /// address takes two: the base, and a number to add.
  std::array<std::int32_t, 12> operands = {};
  std::uint16_t narrowBases = 0; ///< bit i: operand i is a 32-bit address
  Space space = Space::Generic;
  bool isGuardNegated = false;
  std::int32_t guard = -1;  ///< offset of the predicate, -1: none
  std::int32_t target = -1; ///< of a branch; index of a call or branch table
  std::int32_t detail = 0;  ///< whatever else the handler needs to know
  std::int32_t line = 0;
};

/// A parameter or a result, in the memory where the calls find it.
struct Parameter {
  std::string name;
  std::uint32_t offset = 0, bytes = 0;
};

struct Function;

/// A call: where its operands are in the caller's parameter memory.
struct Call {
  const Function *callee = nullptr;
  std::vector<std::uint32_t> arguments, results;
};

struct Function {
  std::string name;
  bool isKernel = false, isDefined = false;
  std::vector<Instruction> code;
  std::vector<std::uint64_t> constants;
  std::uint32_t registerBytes = 0;
  std::uint32_t callParamBytes = 0; ///< of each thread
  std::uint32_t kernelParamBytes = 0;
  std::vector<Parameter> parameters, results;
  std::vector<Call> calls;
  std::vector<std::vector<std::int32_t>> branchTables;
  int maxThreads = 1024;
};

/// An error in a module's text.
struct ParseError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Module {
  std::vector<std::string> lines; ///< of the text, for messages
  std::map<std::string, std::unique_ptr<Function>, std::less<>> functions;
  std::map<std::string, std::uint64_t, std::less<>> globals; ///< addresses
  std::uint32_t staticSharedBytes = 0;
  std::uint32_t localBytes = 0; ///< of each thread
};

/// Parses \p text; module variables are allocated in the GPU's memory. Throws
/// ParseError.
std::unique_ptr<Module> parseModule(std::string_view text);

} // namespace fusco::emulator

#endif // FUSCO_TEST_CUDA_EMULATOR_PTX_H
