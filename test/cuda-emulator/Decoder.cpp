//===- Decoder.cpp - One instruction's text -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Decoder.h"

#include <algorithm>
#include <cstring>

using namespace fusco::emulator;

Decoder::Decoder(Scope &scope, Instruction &instruction,
                 std::string_view mnemonic, std::vector<Operand> operands)
    : scope(scope), instruction(instruction), operands(std::move(operands)) {
  for (std::size_t start = 0; start <= mnemonic.size();) {
    std::size_t end = std::min(mnemonic.find('.', start), mnemonic.size());
    parts.emplace_back(mnemonic.substr(start, end - start));
    Type type = parseType(parts.back());
    if (type != Type::None)
      types.push_back(type);
    isUsed.push_back(type != Type::None || start == 0);
    start = end + 1;
  }
}

void Decoder::fail(const std::string &message) const {
  std::string name;
  for (const std::string &part : parts)
    name += (name.empty() ? "" : ".") + part;
  throw ParseError("line " + std::to_string(instruction.line) + ": '" + name +
                   "': " + message);
}

bool Decoder::has(std::string_view part) {
  bool isThere = false;
  for (std::size_t i = 1; i < parts.size(); ++i)
    if (parts[i] == part)
      isUsed[i] = isThere = true;
  return isThere;
}

int Decoder::choose(std::initializer_list<std::string_view> choices) {
  int index = 0, chosen = -1;
  for (std::string_view choice : choices) {
    if (has(choice))
      chosen = index;
    ++index;
  }
  return chosen;
}

void Decoder::ignore(std::initializer_list<std::string_view> ignored) {
  choose(ignored);
}

Space Decoder::space() {
  if (has("global") || has("const"))
    return Space::Global;
  if (has("shared") || has("shared::cta") || has("shared::cluster"))
    return Space::Shared;
  if (has("local"))
    return Space::Local;
  if (has("param"))
    return Space::KernelParam;
  return Space::Generic;
}

const Operand &Decoder::peek() const {
  if (next == operands.size())
    fail("too few operands");
  return operands[next];
}

Operand Decoder::take() {
  peek();
  return operands[next++];
}

void Decoder::push(std::int32_t operand) {
  if (numPushed == instruction.operands.size())
    fail("too many operands");
  instruction.operands[numPushed++] = operand;
}

std::int32_t Decoder::resolve(const Operand &operand, unsigned bytes,
                              unsigned *registerBytes) {
  if (registerBytes)
    *registerBytes = bytes;
  switch (operand.kind) {
  case Operand::Register: {
    Scope::Register *reg = scope.findRegister(operand.name);
    if (!reg)
      fail("unknown register '" + operand.name + "'");
    unsigned has = std::max(getBytes(reg->type), 2u);
    // Only integers may be wider than what is loaded into them.
    const bool isFloat = reg->type == Type::F32 || reg->type == Type::F64;
    if (registerBytes)
      *registerBytes = has;
    if ((!registerBytes || isFloat) && has != bytes)
      fail("'" + operand.name + "' has " + std::to_string(has) +
           " bytes, expected " + std::to_string(bytes));
    return scope.getRegister(*reg);
  }
  case Operand::Integer:
    return scope.getConstant(bytes, operand.value);
  case Operand::Double: {
    double value;
    std::memcpy(&value, &operand.value, sizeof value);
    std::uint64_t bits = operand.value;
    if (bytes == sizeof(float)) {
      float narrow = value;
      bits = 0;
      std::memcpy(&bits, &narrow, sizeof narrow);
    }
    return scope.getConstant(bytes, bits);
  }
  case Operand::Name: {
    const Scope::Variable *variable = scope.findVariable(operand.name);
    if (!variable)
      fail("unknown name '" + operand.name + "'");
    return scope.getConstant(bytes, variable->address);
  }
  case Operand::Sink:
    if (registerBytes)
      *registerBytes = std::max(bytes, 2u);
    return scope.getSink();
  case Operand::Address:
  case Operand::Vector:
    break;
  }
  fail("unexpected kind of operand");
}

void Decoder::value(unsigned bytes) { push(resolve(take(), bytes, nullptr)); }

unsigned Decoder::anyValue(unsigned bytes) {
  unsigned registerBytes;
  push(resolve(take(), std::max(bytes, 2u), &registerBytes));
  return registerBytes;
}

void Decoder::constant(unsigned bytes, std::uint64_t value) {
  push(scope.getConstant(bytes, value));
}

void Decoder::sink() { push(scope.getSink()); }

void Decoder::predicate(int bit) {
  Operand operand = take();
  if (operand.isNegated)
    instruction.detail |= std::int32_t(1u << bit);
  if (operand.kind == Operand::Integer)
    operand.value = operand.value ? allLanes : 0;
  if (operand.kind == Operand::Register) {
    Scope::Register *reg = scope.findRegister(operand.name);
    if (!reg || reg->type != Type::Pred)
      fail("'" + operand.name + "' is not a predicate");
  }
  push(resolve(operand, sizeof(Mask), nullptr));
}

void Decoder::address() {
  Operand operand = take();
  if (operand.kind != Operand::Address)
    fail("expected an address");
  Operand base = operand;
  base.value = 0;
  if (operand.name.empty()) {
    base.kind = Operand::Integer;
  } else if (scope.findRegister(operand.name)) {
    base.kind = Operand::Register;
  } else {
    base.kind = Operand::Name;
    const Scope::Variable *variable = scope.findVariable(operand.name);
    if (!variable)
      fail("unknown name '" + operand.name + "'");
    if (instruction.space == Space::KernelParam)
      instruction.space = variable->space;
  }
  unsigned bytes;
  std::int32_t place = resolve(base, sizeof(std::uint64_t), &bytes);
  if (bytes != 8 && bytes != 4)
    fail("an address has 4 or 8 bytes");
  if (bytes == 4)
    instruction.narrowBases |= 1 << numPushed;
  push(place);
  push(std::int32_t(operand.value));
}

std::vector<unsigned> Decoder::vector(unsigned bytes) {
  if (peek().kind != Operand::Vector)
    return {anyValue(bytes)};
  std::vector<unsigned> all;
  for (const Operand &element : take().elements) {
    unsigned registerBytes;
    push(resolve(element, std::max(bytes, 2u), &registerBytes));
    all.push_back(registerBytes);
  }
  return all;
}

void Decoder::finish() {
  if (next != operands.size())
    fail("too many operands");
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (!isUsed[i])
      fail("'." + parts[i] + "' is not supported here");
}
