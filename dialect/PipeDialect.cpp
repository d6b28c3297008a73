//===- PipeDialect.cpp - The pipe dialect ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Registration and verifiers. Each check cites its label in PipeOps.td.
///
//===----------------------------------------------------------------------===//

#include "dialect/PipeDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

#include "dialect/PipeDialect.cpp.inc"
#include "dialect/PipeEnums.cpp.inc"

#define GET_OP_CLASSES
#include "dialect/PipeOps.cpp.inc"

void PipeDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialect/PipeOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

LogicalResult BufferOp::verify() {
  if (!getMemRefType().hasStaticShape()) // buffer_c1
    return emitOpError("expected a static shape, got ") << getMemRefType();
  return success();
}

int64_t BufferOp::getBytes() {
  MemRefType type = getMemRefType();
  return type.getNumElements() * type.getElementTypeBitWidth() / 8;
}

LogicalResult CounterOp::verify() {
  if (static_cast<int64_t>(getPeers()) < 1) // counter_c1
    return emitOpError("expected at least 1 peer, got ")
           << static_cast<int64_t>(getPeers());
  return success();
}

/// The buffer that \p symbol names, of the type of \p view.
static FailureOr<BufferOp> lookupBuffer(Operation *op, FlatSymbolRefAttr symbol,
                                        Type view,
                                        SymbolTableCollection &symbolTable) {
  auto buffer = symbolTable.lookupNearestSymbolFrom<BufferOp>(op, symbol);
  if (!buffer)
    return op->emitOpError("expected ") << symbol << " to name a 'pipe.buffer'";
  if (buffer.getType() != view) {
    InFlightDiagnostic diagnostic = op->emitOpError("expected the type ")
                                    << buffer.getType() << " of " << symbol
                                    << ", got " << view;
    diagnostic.attachNote(buffer.getLoc()) << "the buffer is declared here";
    return diagnostic;
  }
  return buffer;
}

LogicalResult LocalOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return lookupBuffer(*this, getBufferAttr(), getView().getType(),
                      symbolTable); // local_c1
}

LogicalResult PeerOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  FailureOr<BufferOp> buffer = lookupBuffer(
      *this, getBufferAttr(), getView().getType(), symbolTable); // peer_c1
  if (failed(buffer))
    return failure();
  if (buffer->getScope() != Scope::Symmetric) // peer_c2
    return emitOpError("expected ")
           << getBufferAttr() << " to be symmetric, since a peer's is wanted";
  return success();
}

//===----------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------===//

ParseResult ProgramOp::parse(OpAsmParser &parser, OperationState &result) {
  auto buildType = [](Builder &builder, ArrayRef<Type> arguments,
                      ArrayRef<Type> results,
                      function_interface_impl::VariadicFlag, std::string &) {
    return builder.getFunctionType(arguments, results);
  };
  return function_interface_impl::parseFunctionOp(
      parser, result, /*allowVariadic=*/false,
      getFunctionTypeAttrName(result.name), buildType,
      getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void ProgramOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(
      printer, *this, /*isVariadic=*/false, getFunctionTypeAttrName(),
      getArgAttrsAttrName(), getResAttrsAttrName());
}

LogicalResult ProgramOp::verify() {
  if (!getResultTypes().empty()) // program_c1
    return emitOpError("expected no results, got ") << getResultTypes().size();
  for (auto [index, type] : llvm::enumerate(getArgumentTypes())) {
    if (!isa<MemRefType>(type)) // program_c1
      return emitOpError("expected argument #")
             << index << " to be a memref, got " << type;
    if (!getArgAttrOfType<StringAttr>(index, nameAttrName)) // program_c2
      return emitOpError("expected argument #")
             << index << " to have the attribute '" << nameAttrName << "'";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Time
//===----------------------------------------------------------------------===//

static LogicalResult verifyCounter(Operation *op, FlatSymbolRefAttr symbol,
                                   SymbolTableCollection &symbolTable) {
  if (symbolTable.lookupNearestSymbolFrom<CounterOp>(op, symbol))
    return success();
  return op->emitOpError("expected ") << symbol << " to name a 'pipe.counter'";
}

LogicalResult TurnOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return verifyCounter(*this, getCounterAttr(), symbolTable); // turn_c1
}

LogicalResult SignalOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return verifyCounter(*this, getCounterAttr(), symbolTable); // signal_c1
}

LogicalResult WaitOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return verifyCounter(*this, getCounterAttr(), symbolTable); // wait_c1
}

//===----------------------------------------------------------------------===//
// Planning and rows
//===----------------------------------------------------------------------===//

LogicalResult HistogramOp::verify() {
  MemRefType type = getHistogram().getType();
  if (!type.hasStaticShape() || type.getDimSize(0) < 2) // histogram_c1
    return emitOpError("expected a histogram of experts + 1 entries, got ")
           << type;
  return success();
}

LogicalResult PlaceOp::verify() {
  MemRefType counts = getCounts().getType();
  int64_t ranks = counts.getDimSize(0), experts = counts.getDimSize(1);
  for (Value table : {getTotals(), getStarts(), getBases()})
    if (cast<MemRefType>(table.getType()).getDimSize(0) != experts) // place_c1
      return emitOpError("expected tables of ")
             << experts << " experts, got " << table.getType();
  if (getRows().getType().getDimSize(0) != ranks) // place_c1
    return emitOpError("expected 'rows' of ")
           << ranks << " ranks, got " << getRows().getType();
  if (static_cast<int64_t>(getAlign()) < 1) // place_c2
    return emitOpError("expected 'align' of at least 1, got ")
           << static_cast<int64_t>(getAlign());
  return success();
}

LogicalResult AssignOp::verify() {
  int64_t topk = getIds().getType().getDimSize(1);
  for (Value table : {getRanks(), getSlots(), getWeights()})
    if (cast<MemRefType>(table.getType()).getDimSize(1) != topk) // assign_c1
      return emitOpError("expected tables of ")
             << topk << " columns, got " << table.getType();
  if (!getBases().getType().hasStaticShape()) // assign_c1
    return emitOpError("expected 'bases' of a static size, got ")
           << getBases().getType();
  int64_t ranks = getNumRanks(), perNode = getRanksPerNode();
  if (perNode < 1 || ranks < 1 || ranks % perNode != 0) // assign_c2
    return emitOpError("expected ranks in whole nodes, got ")
           << ranks << " ranks, " << perNode << " per node";
  return success();
}

/// The frame of the program is where a row's addresses are kept.
static LogicalResult verifyInProgram(Operation *op) {
  if (!op->getParentOfType<ProgramOp>())
    return op->emitOpError("expected in a 'pipe.program'");
  return success();
}

LogicalResult CopyRowOp::verify() {
  return verifyInProgram(*this); // copy_row_c1
}

LogicalResult ReduceRowOp::verify() {
  if (failed(verifyInProgram(*this))) // reduce_row_c2
    return failure();
  if (static_cast<int64_t>(getRanksPerNode()) < 1) // reduce_row_c1
    return emitOpError("expected at least 1 rank per node, got ")
           << static_cast<int64_t>(getRanksPerNode());
  return success();
}
