//===- Decoder.h - One instruction's text ------------------------*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// How the tables of instructions see an instruction: the parts of its name,
/// each of which must be asked for, and its operands, taken in order.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TEST_CUDA_EMULATOR_DECODER_H
#define FUSCO_TEST_CUDA_EMULATOR_DECODER_H

#include "test/cuda-emulator/Ptx.h"

#include <initializer_list>

namespace fusco::emulator {

/// An operand as it is written.
struct Operand {
  enum Kind { Register, Integer, Double, Address, Name, Vector, Sink } kind;
  std::string name;        ///< of a register, variable or label; Address: base
  bool isNegated = false;  ///< !%p
  std::uint64_t value = 0; ///< bits of a number; Address: what is added
  std::vector<Operand> elements = {};
};

/// What the function at hand knows about names.
class Scope {
public:
  struct Register {
    Type type;
    std::int32_t offset = -1; ///< -1: nothing has used it yet
  };
  struct Variable {
    Space space;
    std::uint64_t address;
  };
  virtual ~Scope() = default;
  virtual Register *findRegister(const std::string &name) = 0;
  virtual const Variable *findVariable(const std::string &name) = 0;
  /// Operands that stand for values, as in Instruction::operands.
  virtual std::int32_t getRegister(Register &reg) = 0;
  virtual std::int32_t getConstant(unsigned bytes, std::uint64_t value) = 0;
  virtual std::int32_t getSink() = 0;
};

class Decoder {
public:
  Decoder(Scope &scope, Instruction &instruction, std::string_view mnemonic,
          std::vector<Operand> operands);

  const std::string &getName() const { return parts.front(); }

  /// Whether \p part is in the name.
  bool has(std::string_view part);
  /// The index in \p choices of the one that is in the name, or -1.
  int choose(std::initializer_list<std::string_view> choices);
  /// Parts that change nothing here.
  void ignore(std::initializer_list<std::string_view> ignored);
  /// The types in the name, in order; None behind the last.
  Type type(unsigned index = 0) const {
    return index < types.size() ? types[index] : Type::None;
  }
  /// The state space in the name, Generic without one.
  Space space();

  unsigned operandsLeft() const { return operands.size() - next; }
  const Operand &peek() const;
  /// Takes the next operand as one of \p bytes bytes.
  void value(unsigned bytes);
  void value(Type type) { value(getBytes(type)); }
  /// As value, and it may be a register of another size: returns the size.
  unsigned anyValue(unsigned bytes);
  /// An operand that is not written.
  void constant(unsigned bytes, std::uint64_t value);
  void sink();
  /// A predicate; sets \p bit of the detail if it is negated.
  void predicate(int bit = 31);
  /// [base+offset]; a variable's space must be the instruction's.
  void address();
  /// A braced list of at most \p count operands or a single one, each as
  /// anyValue.
  std::vector<unsigned> vector(unsigned bytes);
  Operand take();

  Scope &scope;
  Instruction &instruction;

  /// Throws ParseError if something is left over.
  void finish();
  [[noreturn]] void fail(const std::string &message) const;

private:
  void push(std::int32_t operand);
  std::int32_t resolve(const Operand &operand, unsigned bytes,
                       unsigned *registerBytes);

  std::vector<std::string> parts;
  std::vector<bool> isUsed;
  std::vector<Type> types;
  std::vector<Operand> operands;
  unsigned next = 0, numPushed = 0;
};

/// Finds the handler of an instruction, taking its operands; nullptr if there
/// is none.
using DecodeFn = Handler (*)(Decoder &);
using DecodeTable = std::map<std::string, DecodeFn, std::less<>>;

const DecodeTable &getArithmetic();
const DecodeTable &getConversions();
const DecodeTable &getDataMovement();
const DecodeTable &getControl();
const DecodeTable &getWarpCollectives();
const DecodeTable &getBarriers();
const DecodeTable &getBulkCopies();

} // namespace fusco::emulator

#endif // FUSCO_TEST_CUDA_EMULATOR_DECODER_H
