//===- Parser.cpp - PTX text to decoded functions -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Reads what LLVM's NVPTX backend writes, and inline PTX within it: one pass,
/// in which every instruction is decoded at once. Branches are resolved where
/// the braces around their labels end.
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Decoder.h"
#include "test/cuda-emulator/Memory.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <unordered_map>

using namespace fusco::emulator;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

namespace {
struct TypeInfo {
  std::string_view name;
  Type type;
  unsigned bytes;
};
} // namespace

static constexpr TypeInfo typeInfos[] = {
    {"pred", Type::Pred, 4},     {"b8", Type::B8, 1},
    {"b16", Type::B16, 2},       {"b32", Type::B32, 4},
    {"b64", Type::B64, 8},       {"u8", Type::U8, 1},
    {"u16", Type::U16, 2},       {"u32", Type::U32, 4},
    {"u64", Type::U64, 8},       {"s8", Type::S8, 1},
    {"s16", Type::S16, 2},       {"s32", Type::S32, 4},
    {"s64", Type::S64, 8},       {"f16", Type::F16, 2},
    {"bf16", Type::BF16, 2},     {"f16x2", Type::F16x2, 4},
    {"bf16x2", Type::BF16x2, 4}, {"s16x2", Type::S16x2, 4},
    {"u16x2", Type::U16x2, 4},   {"f32", Type::F32, 4},
    {"f64", Type::F64, 8}};

Type fusco::emulator::parseType(std::string_view name) {
  for (const TypeInfo &info : typeInfos)
    if (info.name == name)
      return info.type;
  return Type::None;
}

unsigned fusco::emulator::getBytes(Type type) {
  for (const TypeInfo &info : typeInfos)
    if (info.type == type)
      return info.bytes;
  return 0;
}

bool fusco::emulator::isSigned(Type type) {
  return type >= Type::S8 && type <= Type::S64;
}

static std::uint64_t alignTo(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

namespace {

struct Token {
  std::string text; ///< empty at the end
  int line;
};

class Lexer {
public:
  explicit Lexer(std::string_view text) : text(text) {}

  Token next() {
    skipBlanks();
    Token token{"", line};
    if (at == text.size() || text[at] == '\0')
      return token;
    if (text[at] == '"') {
      std::size_t end = std::min(text.find('"', at + 1), text.size() - 1);
      token.text = text.substr(at, end + 1 - at);
      at = end + 1;
      return token;
    }
    while (at < text.size() && isWordAt(at))
      token.text += text[at++];
    if (token.text.empty())
      token.text = text[at++];
    return token;
  }

private:
  /// Names, numbers, directives and instructions; "::" is part of a word.
  bool isWordAt(std::size_t i) const {
    char c = text[i];
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' ||
        c == '%' || c == '.')
      return true;
    auto isColon = [&](std::size_t j) {
      return j < text.size() && text[j] == ':';
    };
    return isColon(i) && (isColon(i + 1) || (i > 0 && isColon(i - 1)));
  }

  void skipBlanks() {
    while (at < text.size()) {
      if (text.compare(at, 2, "//") == 0) {
        at = std::min(text.find('\n', at), text.size());
      } else if (text.compare(at, 2, "/*") == 0) {
        std::size_t end = std::min(text.find("*/", at), text.size() - 2) + 2;
        line += std::count(text.begin() + at, text.begin() + end, '\n');
        at = end;
      } else if (std::isspace(static_cast<unsigned char>(text[at]))) {
        line += text[at++] == '\n';
      } else {
        return;
      }
    }
  }

  std::string_view text;
  std::size_t at = 0;
  int line = 1;
};

//===----------------------------------------------------------------------===//
// Parser
//===----------------------------------------------------------------------===//

/// Names between two braces.
struct Braces {
  std::unordered_map<std::string, Scope::Register> registers;
  std::unordered_map<std::string, Scope::Variable> variables;
  std::unordered_map<std::string, std::int32_t> labels;
  std::vector<std::pair<std::int32_t, std::string>> branches;
  struct Table {
    std::int32_t index;
    std::vector<std::string> labels;
  };
  std::unordered_map<std::string, Table> tables;
};

class Parser : Scope {
public:
  explicit Parser(std::string_view text);
  std::unique_ptr<Module> run();

private:
  // Tokens.
  const std::string &peek() const { return token.text; }
  Token take();
  bool consume(std::string_view text);
  void expect(std::string_view text);
  [[noreturn]] void fail(const std::string &message) const;

  // Declarations.
  void parseTopLevel();
  void parseFunction(bool isKernel);
  std::vector<Parameter> parseParameters();
  void parseRegisters();
  struct Declaration {
    std::string name;
    std::uint64_t bytes = 0, alignment = 1;
    std::vector<std::uint64_t> values;
    unsigned elementBytes = 0;
  };
  Declaration parseDeclaration();
  std::uint64_t parseInitialValue();
  void parseVariable(std::string_view space, bool isExtern);

  // Bodies.
  void parseBody();
  void parseStatement();
  void parseInstruction();
  void parseCall(Instruction &instruction);
  void resolveTarget(Instruction &instruction, std::vector<Operand> &operands);
  void parseBranchTargets(const std::string &name);
  std::vector<Operand> parseOperands();
  Operand parseOperand();
  Operand parseNumber(bool isNegative);
  void closeBraces();

  // Scope.
  Register *findRegister(const std::string &name) override;
  const Variable *findVariable(const std::string &name) override;
  std::int32_t getRegister(Register &reg) override;
  std::int32_t getConstant(unsigned bytes, std::uint64_t value) override;
  std::int32_t getSink() override;

  Lexer lexer;
  Token token;
  std::unique_ptr<Module> module = std::make_unique<Module>();
  Function *function = nullptr;
  std::vector<Braces> scopes; ///< the module's names first
  std::map<std::pair<unsigned, std::uint64_t>, std::int32_t> constants;
  std::int32_t sinkRegister = -1;
};

} // namespace

Parser::Parser(std::string_view text) : lexer(text), scopes(1) {
  for (std::size_t start = 0; start < text.size();) {
    std::size_t end = std::min(text.find('\n', start), text.size());
    module->lines.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  token = lexer.next();
}

void Parser::fail(const std::string &message) const {
  throw ParseError("line " + std::to_string(token.line) + ": " + message);
}

Token Parser::take() {
  if (token.text.empty())
    fail("the text ends too early");
  Token taken = std::move(token);
  token = lexer.next();
  return taken;
}

bool Parser::consume(std::string_view text) {
  if (token.text != text)
    return false;
  take();
  return true;
}

void Parser::expect(std::string_view text) {
  if (!consume(text))
    fail("expected '" + std::string(text) + "', got '" + token.text + "'");
}

std::unique_ptr<Module> Parser::run() {
  while (!peek().empty())
    parseTopLevel();
  for (const auto &[name, function] : module->functions)
    for (const Call &call : function->calls)
      if (!call.callee->isDefined)
        throw ParseError("'" + name + "' calls '" + call.callee->name +
                         "', which is not defined");
  return std::move(module);
}

void Parser::parseTopLevel() {
  bool isExtern = false;
  while (peek() == ".visible" || peek() == ".weak" || peek() == ".extern" ||
         peek() == ".common")
    isExtern |= take().text == ".extern";
  std::string word = take().text;
  if (word == ".version" || word == ".address_size" || word == ".target") {
    do
      take();
    while (consume(","));
  } else if (word == ".file") {
    take();
    take();
  } else if (word == ".section") {
    while (take().text != "}")
      ;
  } else if (word == ".entry" || word == ".func") {
    parseFunction(word == ".entry");
  } else if (word == ".global" || word == ".const" || word == ".shared") {
    parseVariable(word, isExtern);
  } else {
    fail("unknown directive '" + word + "'");
  }
}

Parser::Declaration Parser::parseDeclaration() {
  Declaration declaration;
  std::uint64_t vectorElements = 1;
  while (peek()[0] == '.') {
    std::string word = take().text.substr(1);
    if (word == "align")
      declaration.alignment = std::stoull(take().text);
    else if (word == "v2" || word == "v4")
      vectorElements = word[1] - '0';
    else if (Type type = parseType(word); type != Type::None)
      declaration.elementBytes = getBytes(type) * vectorElements;
    else if (word != "ptr" && word != "shared" && word != "global" &&
             word != "const" && word != "local")
      fail("unknown part '." + word + "' of a declaration");
  }
  declaration.alignment =
      std::max<std::uint64_t>(declaration.alignment, declaration.elementBytes);
  declaration.name = take().text;
  declaration.bytes = declaration.elementBytes;
  while (consume("[")) {
    declaration.bytes *= peek() == "]" ? 0 : std::stoull(take().text);
    expect("]");
  }
  if (consume("=")) {
    int depth = 0;
    do {
      while (consume("{"))
        ++depth;
      declaration.values.push_back(parseInitialValue());
      while (consume("}"))
        --depth;
    } while (consume(","));
  }
  return declaration;
}

std::uint64_t Parser::parseInitialValue() {
  if (consume("generic")) {
    expect("(");
    std::uint64_t value = parseInitialValue();
    expect(")");
    return value;
  }
  Operand operand = parseOperand();
  if (operand.kind == Operand::Integer)
    return operand.value;
  const Variable *variable =
      operand.kind == Operand::Name ? findVariable(operand.name) : nullptr;
  if (!variable || variable->space != Space::Global)
    fail("unsupported initial value");
  return variable->address + (consume("+") ? parseOperand().value : 0);
}

void Parser::parseVariable(std::string_view space, bool isExtern) {
  Declaration declaration = parseDeclaration();
  expect(";");
  Variable variable{Space::Global, 0};
  auto place = [&](std::uint32_t &used) {
    variable.address = alignTo(used, declaration.alignment);
    used = variable.address + declaration.bytes;
  };
  if (space == ".shared") {
    variable.space = Space::Shared;
    if (isExtern) {
      variable.address = dynamicSharedBase;
    } else {
      place(module->staticSharedBytes);
      variable.address += staticSharedBase;
    }
  } else if (space == ".local") {
    variable.space = Space::Local;
    place(module->localBytes);
  } else if (space == ".param") {
    variable.space = Space::CallParam;
    place(function->callParamBytes);
  } else {
    if (isExtern)
      fail("'" + declaration.name + "' is not defined");
    char *data = Memory::get().allocate(
        std::max<std::uint64_t>(declaration.bytes, 1), Memory::Device);
    if (!data)
      fail("no memory for '" + declaration.name + "'");
    std::memset(data, 0, declaration.bytes);
    if (declaration.values.size() * declaration.elementBytes >
        declaration.bytes)
      fail("too many initial values");
    for (std::uint64_t value : declaration.values) {
      std::memcpy(data, &value, declaration.elementBytes);
      data += declaration.elementBytes;
    }
    data -= declaration.values.size() * declaration.elementBytes;
    variable.address = reinterpret_cast<std::uint64_t>(data);
    module->globals[declaration.name] = variable.address;
  }
  scopes.back().variables[declaration.name] = variable;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

std::vector<Parameter> Parser::parseParameters() {
  std::vector<Parameter> parameters;
  expect("(");
  while (!consume(")")) {
    expect(".param");
    Declaration declaration = parseDeclaration();
    std::uint32_t &used = function->isKernel ? function->kernelParamBytes
                                             : function->callParamBytes;
    Parameter parameter{declaration.name,
                        std::uint32_t(alignTo(used, declaration.alignment)),
                        std::uint32_t(declaration.bytes)};
    used = parameter.offset + parameter.bytes;
    parameters.push_back(parameter);
    consume(",");
  }
  return parameters;
}

void Parser::parseFunction(bool isKernel) {
  Function described;
  function = &described;
  described.isKernel = isKernel;
  if (!isKernel && peek() == "(")
    described.results = parseParameters();
  described.name = take().text;
  if (peek() == "(")
    described.parameters = parseParameters();
  while (peek() != ";" && peek() != "{") {
    std::string word = take().text;
    if (word == ".maxntid" || word == ".reqntid") {
      described.maxThreads = 1;
      do
        described.maxThreads *= std::stoi(take().text);
      while (consume(","));
    } else if (word == ".minnctapersm" || word == ".maxnreg") {
      take();
    } else if (word == ".pragma") {
      take();
      consume(";");
    } else if (word != ".noreturn") {
      fail("unknown directive '" + word + "'");
    }
  }
  std::unique_ptr<Function> &entry = module->functions[described.name];
  if (!entry)
    entry = std::make_unique<Function>();
  if (consume(";")) {
    if (!entry->isDefined)
      *entry = described;
    return;
  }
  if (entry->isDefined)
    fail("'" + described.name + "' is defined twice");
  *entry = std::move(described);
  function = entry.get();
  function->isDefined = true;

  constants.clear();
  sinkRegister = -1;
  scopes.emplace_back();
  Space space = isKernel ? Space::KernelParam : Space::CallParam;
  for (const auto *list : {&function->parameters, &function->results})
    for (const Parameter &parameter : *list)
      scopes.back().variables[parameter.name] = {space, parameter.offset};
  parseBody();
  // A body may end in an instruction that does not return.
  function->code.emplace_back();
  Decoder decoder(*this, function->code.back(), isKernel ? "exit" : "ret", {});
  function->code.back().handler =
      getControl().find(decoder.getName())->second(decoder);
  function->code.back().line =
      std::min<std::size_t>(token.line, module->lines.size());
}

void Parser::parseBody() {
  expect("{");
  while (!consume("}"))
    parseStatement();
  closeBraces();
}

void Parser::closeBraces() {
  Braces closed = std::move(scopes.back());
  scopes.pop_back();
  bool isBody = scopes.size() == 1;
  for (auto &[name, table] : closed.tables)
    for (const std::string &label : table.labels) {
      auto found = closed.labels.find(label);
      if (found == closed.labels.end())
        fail("unknown label '" + label + "'");
      function->branchTables[table.index].push_back(found->second);
    }
  for (auto &[index, label] : closed.branches) {
    auto found = closed.labels.find(label);
    if (found != closed.labels.end())
      function->code[index].target = found->second;
    else if (isBody)
      fail("unknown label '" + label + "'");
    else
      scopes.back().branches.emplace_back(index, label);
  }
}

void Parser::parseRegisters() {
  std::string word = take().text;
  Type type = parseType(word.substr(1));
  if (type == Type::None)
    fail("unknown type '" + word + "'");
  do {
    std::string name = take().text;
    if (consume("<")) {
      int count = std::stoi(take().text);
      expect(">");
      for (int i = 0; i < count; ++i)
        scopes.back().registers[name + std::to_string(i)] = {type};
    } else {
      scopes.back().registers[name] = {type};
    }
  } while (consume(","));
  expect(";");
}

void Parser::parseStatement() {
  if (peek() == "{") {
    scopes.emplace_back();
    parseBody();
  } else if (consume(";")) {
  } else if (consume(".reg")) {
    parseRegisters();
  } else if (peek() == ".shared" || peek() == ".local" || peek() == ".param") {
    parseVariable(take().text, false);
  } else if (consume(".extern")) {
    expect(".shared");
    parseVariable(".shared", true);
  } else if (consume(".pragma")) {
    take();
    expect(";");
  } else if (consume(".loc")) {
    // File, line, column; what follows them belongs to the same source line.
    for (int line = token.line; token.line == line;)
      take();
  } else {
    parseInstruction();
  }
}

void Parser::parseBranchTargets(const std::string &name) {
  Braces::Table &table = scopes.back().tables[name];
  table.index = function->branchTables.size();
  function->branchTables.emplace_back();
  do
    table.labels.push_back(take().text);
  while (consume(","));
  expect(";");
}

void Parser::parseInstruction() {
  Instruction instruction;
  instruction.line = token.line;
  if (consume("@")) {
    instruction.isGuardNegated = consume("!");
    Register *guard = findRegister(take().text);
    if (!guard || guard->type != Type::Pred)
      fail("expected a predicate");
    instruction.guard = getRegister(*guard);
  }
  std::string mnemonic = take().text;
  if (consume(":")) {
    if (consume(".branchtargets"))
      return parseBranchTargets(mnemonic);
    if (!scopes.back().labels.emplace(mnemonic, function->code.size()).second)
      fail("label '" + mnemonic + "' stands twice");
    return;
  }

  std::string name = mnemonic.substr(0, mnemonic.find('.'));
  std::vector<Operand> operands;
  if (name == "call")
    parseCall(instruction);
  else
    operands = parseOperands();
  if (name == "bra" || name == "brx")
    resolveTarget(instruction, operands);
  expect(";");

  static const DecodeTable *const tables[] = {
      &getArithmetic(), &getConversions(),     &getDataMovement(),
      &getControl(),    &getWarpCollectives(), &getBarriers(),
      &getBulkCopies()};
  Decoder decoder(*this, instruction, mnemonic, std::move(operands));
  for (const DecodeTable *table : tables) {
    auto entry = table->find(name);
    if (entry == table->end())
      continue;
    instruction.handler = entry->second(decoder);
    if (!instruction.handler)
      break;
    decoder.finish();
    function->code.push_back(instruction);
    return;
  }
  decoder.fail("unsupported");
}

/// Takes the label of a branch, or of the table of brx.idx, off \p operands.
void Parser::resolveTarget(Instruction &instruction,
                           std::vector<Operand> &operands) {
  if (operands.empty())
    fail("a branch needs a target");
  std::string label = operands.back().name;
  operands.pop_back();
  if (operands.empty()) {
    scopes.back().branches.emplace_back(function->code.size(), label);
    return;
  }
  for (const Braces &scope : scopes) {
    auto found = scope.tables.find(label);
    if (found != scope.tables.end())
      instruction.target = found->second.index;
  }
  if (instruction.target < 0)
    fail("no .branchtargets '" + label + "' before their use");
}

void Parser::parseCall(Instruction &instruction) {
  Call call;
  auto parseList = [&] {
    std::vector<std::uint32_t> offsets;
    expect("(");
    while (!consume(")")) {
      std::string name = take().text;
      const Variable *variable = findVariable(name);
      if (!variable || variable->space != Space::CallParam)
        fail("'" + name + "' is not a parameter");
      offsets.push_back(variable->address);
      consume(",");
    }
    return offsets;
  };
  if (peek() == "(") {
    call.results = parseList();
    expect(",");
  }
  std::string name = take().text;
  auto found = module->functions.find(name);
  if (found == module->functions.end())
    fail("call of '" + name + "', which is not declared");
  call.callee = found->second.get();
  if (consume(","))
    call.arguments = parseList();
  if (call.arguments.size() != call.callee->parameters.size() ||
      call.results.size() != call.callee->results.size())
    fail("call of '" + name + "' with other parameters than it has");
  instruction.target = function->calls.size();
  function->calls.push_back(std::move(call));
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

std::vector<Operand> Parser::parseOperands() {
  std::vector<Operand> operands;
  if (peek() == ";")
    return operands;
  do {
    operands.push_back(parseOperand());
    // d|p: two results.
    if (consume("|"))
      operands.push_back(parseOperand());
  } while (consume(","));
  return operands;
}

Operand Parser::parseNumber(bool isNegative) {
  std::string text = take().text;
  Operand operand{Operand::Integer, text};
  if (text[0] == '0' && text.size() > 1 &&
      std::strchr("fFdD", text[1]) != nullptr) {
    operand.value = std::stoull(text.substr(2), nullptr, 16);
    return operand;
  }
  if (text.find('.') != std::string::npos) {
    double value = isNegative ? -std::stod(text) : std::stod(text);
    operand.kind = Operand::Double;
    std::memcpy(&operand.value, &value, sizeof value);
    return operand;
  }
  operand.value = std::stoull(text, nullptr, 0);
  if (isNegative)
    operand.value = -operand.value;
  return operand;
}

Operand Parser::parseOperand() {
  if (consume("!")) {
    Operand operand = parseOperand();
    operand.isNegated = true;
    return operand;
  }
  if (consume("{")) {
    Operand operand{Operand::Vector, ""};
    do
      operand.elements.push_back(parseOperand());
    while (consume(","));
    expect("}");
    return operand;
  }
  if (consume("[")) {
    Operand operand = parseOperand();
    if (operand.kind == Operand::Register || operand.kind == Operand::Name)
      operand.value = 0;
    else
      operand.name.clear();
    operand.kind = Operand::Address;
    while (peek() == "+" || peek() == "-") {
      bool isNegative = take().text == "-";
      isNegative ^= consume("-");
      operand.value += parseNumber(isNegative).value;
    }
    expect("]");
    return operand;
  }
  bool isNegative = consume("-");
  if (std::isdigit(static_cast<unsigned char>(peek()[0])))
    return parseNumber(isNegative);
  std::string name = take().text;
  if (name == "_")
    return {Operand::Sink, name};
  return {findRegister(name) || name[0] == '%' ? Operand::Register
                                               : Operand::Name,
          name};
}

Scope::Register *Parser::findRegister(const std::string &name) {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
    auto found = scope->registers.find(name);
    if (found != scope->registers.end())
      return &found->second;
  }
  return nullptr;
}

const Scope::Variable *Parser::findVariable(const std::string &name) {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
    auto found = scope->variables.find(name);
    if (found != scope->variables.end())
      return &found->second;
  }
  return nullptr;
}

std::int32_t Parser::getRegister(Register &reg) {
  if (reg.offset < 0) {
    reg.offset = function->registerBytes;
    unsigned bytes = getBytes(reg.type);
    // Of a predicate there is one bit per lane.
    function->registerBytes +=
        reg.type == Type::Pred ? 8 : std::max(bytes, 2u) * warpSize;
  }
  return reg.offset;
}

std::int32_t Parser::getConstant(unsigned bytes, std::uint64_t value) {
  auto [entry, isNew] = constants.try_emplace({bytes, value}, 0);
  if (isNew) {
    std::vector<std::uint64_t> &all = function->constants;
    entry->second = ~std::int32_t(all.size() * sizeof(std::uint64_t));
    std::size_t first = all.size();
    all.resize(first + bytes * warpSize / sizeof(std::uint64_t));
    char *to = reinterpret_cast<char *>(&all[first]);
    for (int lane = 0; lane < warpSize; ++lane)
      std::memcpy(to + lane * bytes, &value, bytes);
  }
  return entry->second;
}

std::int32_t Parser::getSink() {
  if (sinkRegister < 0) {
    Register wide{Type::B64};
    sinkRegister = getRegister(wide);
  }
  return sinkRegister;
}

std::unique_ptr<Module> fusco::emulator::parseModule(std::string_view text) {
  try {
    return Parser(text).run();
  } catch (const std::logic_error &) { // of std::stoi and the like
    throw ParseError("malformed number");
  }
}
