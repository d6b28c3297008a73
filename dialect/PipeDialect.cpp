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
#include "dialect/Layout.h"
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

LogicalResult RowsAtOp::verify() {
  if (!getRows().getType().hasStaticShape()) // rows_at_c1
    return emitOpError("expected a static shape, got ") << getRows().getType();
  return success();
}

LogicalResult ChannelOp::verify() {
  auto lanes = static_cast<int64_t>(getLanes());
  auto depth = static_cast<int64_t>(getDepth());
  if (lanes < 1 || depth < 1) // channel_c1
    return emitOpError("expected at least 1 lane and 1 slot, got ")
           << lanes << " and " << depth;
  if (getFreedBy() == Freeing::Start && !getChunks()) // channel_c3
    return emitOpError("expected 'chunks', the most that a program sends on a "
                       "lane, since slots are freed by its start");
  if (getChunks() && static_cast<int64_t>(*getChunks()) > depth) // channel_c3
    return emitOpError("expected a slot for each of ")
           << *getChunks() << " chunks, got " << depth;
  return success();
}

LogicalResult ChannelOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  if ((getFreedBy() == Freeing::Answer) != !!getAnswer()) // channel_c2
    return emitOpError("expected 'answer' where slots are freed by answers, "
                       "and only there");
  if (!getAnswer())
    return success();
  auto answer =
      symbolTable.lookupNearestSymbolFrom<ChannelOp>(*this, getAnswerAttr());
  if (!answer) // channel_c2
    return emitOpError("expected ")
           << getAnswerAttr() << " to name a 'pipe.channel'";
  if (answer.getLanes() != getLanes() ||
      answer.getDepth() < getDepth()) // channel_c2
    return emitOpError("expected as many lanes as ")
           << getAnswerAttr() << " has and no more slots, got " << getLanes()
           << " lanes of " << getDepth() << ", there " << answer.getLanes()
           << " of " << answer.getDepth();
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

LogicalResult ViewOp::verify() {
  MemRefType from = getBuffer().getType(),
             to = cast<MemRefType>(getView().getType());
  if (from.getRank() != static_cast<int64_t>(getIndices().size()) + 1 ||
      from.isDynamicDim(from.getRank() - 1)) // view_c1
    return emitOpError("expected indices for all dimensions but the last, of "
                       "bytes, got ")
           << getIndices().size() << " for " << from;
  SmallVector<int64_t> strides;
  int64_t start = 0;
  if (!to.hasStaticShape() || failed(getStridesAndOffset(to, strides, start)) ||
      start != 0 || llvm::is_contained(strides, ShapedType::kDynamic) ||
      strides.back() != 1) // view_c2
    return emitOpError("expected a result of a static shape, of contiguous "
                       "rows, got ")
           << to;
  int64_t elementBytes = to.getElementTypeBitWidth() / 8;
  int64_t bytes = elementBytes;
  for (auto [extent, stride] : llvm::zip_equal(to.getShape(), strides))
    bytes += (extent - 1) * stride * elementBytes;
  int64_t offset = getOffset(), room = from.getShape().back();
  if (offset < 0 || offset % elementBytes != 0 ||
      offset + bytes > room) // view_c2
    return emitOpError("expected ")
           << to << " at a multiple of " << elementBytes << " within " << room
           << " bytes, got " << bytes << " bytes at " << offset;
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

static LogicalResult verifyChannel(Operation *op, FlatSymbolRefAttr symbol,
                                   SymbolTableCollection &symbolTable) {
  if (symbolTable.lookupNearestSymbolFrom<ChannelOp>(op, symbol))
    return success();
  return op->emitOpError("expected ") << symbol << " to name a 'pipe.channel'";
}

LogicalResult ClaimOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return verifyChannel(*this, getChannelAttr(), symbolTable); // claim_c1
}

LogicalResult SignalOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return verifyChannel(*this, getChannelAttr(), symbolTable); // signal_c1
}

LogicalResult ReceiveOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return verifyChannel(*this, getChannelAttr(), symbolTable); // receive_c1
}

LogicalResult HeldOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return verifyChannel(*this, getChannelAttr(), symbolTable); // held_c1
}

LogicalResult ReleaseOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return verifyChannel(*this, getChannelAttr(), symbolTable); // release_c1
}

LogicalResult PutRowsOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return verifyChannel(*this, getChannelAttr(), symbolTable); // put_rows_c1
}

/// The bytes of a row of the symmetric buffer that \p symbol names, which
/// \p numIndices choose.
static FailureOr<int64_t> lookupPutRow(PutOp op, FlatSymbolRefAttr symbol,
                                       size_t numIndices,
                                       SymbolTableCollection &symbolTable) {
  auto buffer = symbolTable.lookupNearestSymbolFrom<BufferOp>(op, symbol);
  if (!buffer || buffer.getScope() != Scope::Symmetric) // put_c2
    return op.emitOpError("expected ")
           << symbol << " to name a symmetric 'pipe.buffer'";
  MemRefType type = buffer.getMemRefType();
  if (type.getRank() != static_cast<int64_t>(numIndices) + 1) // put_c2
    return op.emitOpError("expected indices for all dimensions of ")
           << symbol << " but the last, got " << numIndices << " for " << type;
  return type.getShape().back() * type.getElementTypeBitWidth() / 8;
}

LogicalResult PutOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  if (failed(verifyChannel(*this, getChannelAttr(), symbolTable))) // put_c1
    return failure();
  FailureOr<int64_t> from = lookupPutRow(
      *this, getSourceAttr(), getSourceIndices().size(), symbolTable);
  if (failed(from))
    return failure();
  FailureOr<int64_t> to = lookupPutRow(
      *this, getDestinationAttr(), getDestinationIndices().size(), symbolTable);
  if (failed(to))
    return failure();
  if (*from != *to) // put_c2
    return emitOpError("expected rows of one size, got ")
           << *from << " and " << *to << " bytes";
  return success();
}

//===----------------------------------------------------------------------===//
// Workers
//===----------------------------------------------------------------------===//

LogicalResult ForEachOp::verify() {
  Block &block = getBody().front();
  if (block.getNumArguments() != 1 ||
      !block.getArgument(0).getType().isIndex()) // for_each_c1
    return emitOpError("expected an index as the one argument of its body");
  WalkResult result = getBody().walk([](Operation *op) {
    return isa<ClaimOp, SignalOp, ReceiveOp, ReleaseOp, PutOp, PutRowsOp,
               FailIfOp, ForkOp, MeetOp>(op)
               ? WalkResult(op->emitOpError(
                     "expected nothing in a 'pipe.for_each' that waits, "
                     "signals or leaves the program")) // for_each_c2
               : WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

bool ForEachOp::hasRows() {
  return getBody()
      .walk([](Operation *op) {
        return isa<CopyRowOp, StoreRowOp, CopyRowsOp, ZeroRowsOp, ReduceRowOp,
                   MergeRowOp, DotRowOp, QuantizeRowOp, ArriveOp>(op)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

LogicalResult TeamOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto program =
      symbolTable.lookupNearestSymbolFrom<ProgramOp>(*this, getProgramAttr());
  if (!program) // team_c1
    return emitOpError("expected ")
           << getProgramAttr() << " to name a 'pipe.program'";
  TypeRange tensors = program.getArgumentTypes();
  TypeRange taken = getBody().getArgumentTypes();
  if (taken.size() < tensors.size() ||
      taken.take_front(tensors.size()) != tensors) // team_c1
    return emitOpError("expected the arguments of ")
           << getProgramAttr() << " first";
  return success();
}

LogicalResult ForkOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto team = symbolTable.lookupNearestSymbolFrom<TeamOp>(*this, getTeamAttr());
  if (!team) // fork_c1
    return emitOpError("expected ")
           << getTeamAttr() << " to name a 'pipe.team'";
  auto program = symbolTable.lookupNearestSymbolFrom<ProgramOp>(
      team, team.getProgramAttr());
  size_t numTensors = program ? program.getArgumentTypes().size() : 0;
  TypeRange taken = team.getBody().getArgumentTypes();
  TypeRange given = getValues().getTypes();
  if (taken.size() != numTensors + given.size() ||
      taken.drop_front(numTensors) != given) // fork_c1
    return emitOpError("expected the values that ")
           << getTeamAttr() << " takes after the tensors, got " << given;
  return success();
}

LogicalResult MeetOp::verify() {
  if (!(*this)->getParentOfType<TeamOp>()) // meet_c1
    return emitOpError("expected in a 'pipe.team'");
  return success();
}

//===----------------------------------------------------------------------===//
// Timeline
//===----------------------------------------------------------------------===//

LogicalResult SpanOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  bool isOfChannel = getKind() == SpanKind::Wait || getKind() == SpanKind::Put;
  if (isOfChannel != !!getChannelAttr()) // span_c1
    return emitOpError(
        "expected a channel for a wait or a put, and only there");
  if (!isOfChannel)
    return success();
  return verifyChannel(*this, getChannelAttr(), symbolTable); // span_c1
}

LogicalResult MarkOp::verify() {
  if ((*this)->getParentOfType<ForEachOp>()) // mark_c3
    return emitOpError("expected outside of a 'pipe.for_each'");
  return success();
}

LogicalResult MarkOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto span = symbolTable.lookupNearestSymbolFrom<SpanOp>(*this, getSpanAttr());
  if (!span || span.getChannel()) // mark_c1
    return emitOpError("expected ")
           << getSpanAttr()
           << " to name a 'pipe.span' of a call, a step or a stage";
  bool beginsStage =
      span.getKind() == SpanKind::Stage && getEdge() == Edge::Begin;
  if (beginsStage != !!getChunk()) // mark_c2
    return emitOpError("expected a chunk where a stage begins, and only there");
  return success();
}

//===----------------------------------------------------------------------===//
// Pipelines
//===----------------------------------------------------------------------===//

LogicalResult PipelineOp::verify() {
  if (!isa<ProgramOp, TeamOp>((*this)->getParentOp())) // pipeline_c2
    return emitOpError("expected straight in a 'pipe.program' or 'pipe.team'");
  auto lag = std::numeric_limits<int64_t>::min();
  for (Operation &op : getBody().front()) {
    auto stage = dyn_cast<StageOp>(op);
    if (!stage) // pipeline_c1
      return op.emitOpError("expected only 'pipe.stage' in a 'pipe.pipeline'");
    if (static_cast<int64_t>(stage.getLag()) < lag) // pipeline_c1
      return stage.emitOpError("expected a lag of at least ")
             << lag << ", that of the stage before it, got "
             << static_cast<int64_t>(stage.getLag());
    lag = stage.getLag();
  }
  if (getBody().front().empty()) // pipeline_c1
    return emitOpError("expected at least 1 stage");
  return success();
}

LogicalResult StageOp::verify() {
  Block &block = getBody().front();
  if (block.getNumArguments() != 1 ||
      !block.getArgument(0).getType().isIndex()) // stage_c1
    return emitOpError("expected the number of a chunk, an index, as the one "
                       "argument of its body");
  if (static_cast<int64_t>(getLag()) < 0) // stage_c2
    return emitOpError("expected a lag of at least 0, got ")
           << static_cast<int64_t>(getLag());
  return success();
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
  if (getCapacity() && static_cast<int64_t>(*getCapacity()) < 1) // place_c2
    return emitOpError("expected 'capacity' of at least 1, got ")
           << static_cast<int64_t>(*getCapacity());
  return success();
}

LogicalResult AssignOp::verify() {
  int64_t topk = getIds().getType().getDimSize(1);
  for (Value table : {getRanks(), getSlots(), getWeights(), getOrder()})
    if (table &&
        cast<MemRefType>(table.getType()).getDimSize(1) != topk) // assign_c1
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
  if (!op->getParentOfType<ProgramOp>() && !op->getParentOfType<TeamOp>())
    return op->emitOpError("expected in a 'pipe.program' or 'pipe.team'");
  return success();
}

/// \p type is one of rows of the hidden size of \p rows.
static LogicalResult verifyRowType(Operation *op, Type type, Value rows) {
  int64_t hidden = cast<MemRefType>(rows.getType()).getDimSize(1);
  if (cast<MemRefType>(type).getDimSize(1) == hidden)
    return success();
  return op->emitOpError("expected rows of ") << hidden << ", got " << type;
}

LogicalResult CopyRowOp::verify() {
  if (failed(verifyInProgram(*this))) // copy_row_c1
    return failure();
  return verifyRowType(*this, getRowType(), getSource()); // copy_row_c2
}

LogicalResult StoreRowOp::verify() {
  return verifyRowType(*this, getDestination().getType(),
                       getSource()); // store_row_c1
}

/// \p scales are those of rows of \p hidden elements.
static LogicalResult verifyScaleColumns(Operation *op, MemRefType scales,
                                        int64_t hidden, int64_t block) {
  int64_t columns =
      fusco::scaleColumns(hidden, block, scales.getElementType().isInteger(32));
  if (scales.getDimSize(1) == columns)
    return success();
  return op->emitOpError("expected ")
         << columns << " scales in a row, got " << scales;
}

LogicalResult QuantizeRowOp::verify() {
  if (failed(verifyRowType(*this, getData().getType(), getSource())))
    return failure(); // quantize_row_c1
  return verifyScaleColumns(*this, getScales().getType(),
                            getSource().getType().getDimSize(1),
                            getBlock()); // quantize_row_c1
}

/// Each of \p plus can be added to rows of \p out.
static LogicalResult verifyPlus(Operation *op, OperandRange plus, Value out) {
  return success(llvm::all_of(plus.getTypes(), [&](Type type) {
    return succeeded(verifyRowType(op, type, out));
  }));
}

LogicalResult ReduceRowOp::verify() {
  if (failed(verifyInProgram(*this))) // reduce_row_c2
    return failure();
  if (static_cast<int64_t>(getRanksPerNode()) < 1) // reduce_row_c1
    return emitOpError("expected at least 1 rank per node, got ")
           << static_cast<int64_t>(getRanksPerNode());
  if (failed(verifyRowType(*this, getRowType(), getOut())) ||
      failed(verifyPlus(*this, getPlus(), getOut()))) // reduce_row_c3
    return failure();
  auto rows = cast<MemRefType>(getRowType());
  bool isFloat8 = rows.getElementTypeBitWidth() == 8;
  if (isFloat8 != !!getScaleAddresses()) // reduce_row_c4
    return emitOpError("expected ")
           << (isFloat8 ? "scales of" : "no scales of") << " rows of " << rows;
  if (!isFloat8)
    return success();
  return verifyScaleColumns(*this, cast<MemRefType>(*getScaleType()),
                            rows.getDimSize(1), *getBlock()); // reduce_row_c4
}

LogicalResult MergeRowOp::verify() {
  Type partials = getPartials().value_or(Type());
  if (partials && !partials.isF32() && !partials.isBF16()) // merge_row_c2
    return emitOpError("expected 'partials' of f32 or bf16, got ") << partials;
  return verifyPlus(*this, getPlus(), getOut()); // merge_row_c1
}

LogicalResult DotRowOp::verify() {
  return verifyRowType(*this, getRowType(), getRows()); // dot_row_c1
}
