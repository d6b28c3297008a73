//===- FuscoOps.cpp - Operations of the fusco dialect ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The verifiers of operations. Each check cites its label in FuscoOps.td.
///
//===----------------------------------------------------------------------===//

#include "dialect/FuscoOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace fusco;

/// One type as it is, several in parentheses.
static ParseResult parsePayloadTypes(OpAsmParser &parser,
                                     SmallVectorImpl<Type> &types) {
  if (failed(parser.parseOptionalLParen()))
    return parser.parseType(types.emplace_back());
  return failure(failed(parser.parseTypeList(types)) ||
                 failed(parser.parseRParen()));
}

static void printPayloadTypes(OpAsmPrinter &printer, Operation *,
                              TypeRange types) {
  if (types.size() == 1)
    printer << types.front();
  else
    printer << '(' << types << ')';
}

#define GET_OP_CLASSES
#include "dialect/FuscoOps.cpp.inc"

Attribute fusco::getLayout(RankedTensorType type) {
  if (Attribute encoding = type.getEncoding())
    return encoding;
  return TokenMajorLayoutAttr::get(type.getContext());
}

RankedTensorType fusco::withoutLayout(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape());
  if (isa<ExpertSlotsLayoutAttr>(getLayout(tensor)))
    shape = {ShapedType::kDynamic, shape.back()};
  return RankedTensorType::get(shape, tensor.getElementType());
}

BlockPlacement fusco::getPlacement(GroupOp group) {
  return {group.getPhysicalExperts(), group.getTopology().getNumRanks()};
}

//===----------------------------------------------------------------------===//
// Shared checks
//===----------------------------------------------------------------------===//

/// Every tensor of rows has a legal shape, with or without an encoding.
static LogicalResult verifyRows(Operation *op, ArrayRef<Type> types) {
  for (Type type : types) {
    auto tensor = cast<RankedTensorType>(type);
    if (isa<ExpertSlotsLayoutAttr>(getLayout(tensor)))
      continue; // its own verifier has seen it
    if (failed(verifyRowsShape([&] { return op->emitOpError(); },
                               tensor.getShape()))) // layout_c1
      return failure();
  }
  return success();
}

/// The hidden size is kept from \p from to \p to.
static LogicalResult verifySameHidden(Operation *op, RankedTensorType from,
                                      RankedTensorType to) {
  if (from.getShape().back() != to.getShape().back())
    return op->emitOpError("expected a result of hidden size ")
           << from.getShape().back() << ", got " << to.getShape().back();
  return success();
}

/// Hidden size and element type are kept from \p from to \p to.
static LogicalResult verifySameRows(Operation *op, RankedTensorType from,
                                    RankedTensorType to) {
  if (failed(verifySameHidden(op, from, to)))
    return failure();
  if (from.getElementType() != to.getElementType())
    return op->emitOpError("expected a result of element type ")
           << from.getElementType() << ", got " << to.getElementType();
  return success();
}

/// The pair of layouts is one of \p pairs.
static LogicalResult
verifyLayoutPair(Operation *op, Type from, Type to,
                 function_ref<bool(Attribute, Attribute)> isLegal,
                 StringRef expected) {
  Attribute fromLayout = getLayout(cast<RankedTensorType>(from));
  Attribute toLayout = getLayout(cast<RankedTensorType>(to));
  if (isLegal(fromLayout, toLayout))
    return success();
  return op->emitOpError("expected the layouts ")
         << expected << ", got '" << fromLayout << "' to '" << toLayout << "'";
}

static bool isDeviceMajor(Attribute layout, DeviceOrder order) {
  auto device = dyn_cast<DeviceMajorLayoutAttr>(layout);
  return device && device.getOrder() == order;
}

static bool isExpertSide(Attribute layout) {
  return isa<ExpertMajorLayoutAttr, RankMajorLayoutAttr, ExpertSlotsLayoutAttr>(
      layout);
}

/// Expert slots of \p rows are for \p localExperts experts.
static LogicalResult verifySlots(Operation *op, Type rows,
                                 int64_t localExperts) {
  auto type = cast<RankedTensorType>(rows);
  if (!isa<ExpertSlotsLayoutAttr>(getLayout(type)) ||
      type.getDimSize(0) == localExperts)
    return success();
  return op->emitOpError("expected slots of ")
         << localExperts << " experts, as many as a rank has at most, got "
         << type;
}

/// The scales of \p rows, one for each \p block elements.
static LogicalResult verifyScales(Operation *op, RankedTensorType rows,
                                  RankedTensorType scales, int64_t block) {
  int64_t hidden = rows.getShape().back();
  if (block < 1 || block > hidden) // quantize_c1, dequantize_c1
    return op->emitOpError("expected 'block' from 1 to ")
           << hidden << ", the hidden size, got " << block;
  bool isPacked = scales.getElementType().isInteger(32);
  if (!isPacked &&
      !scales.getElementType().isF32()) // quantize_c3, dequantize_c3
    return op->emitOpError("expected scales of f32, or of i32 for four powers "
                           "of two each, got ")
           << scales.getElementType();
  SmallVector<int64_t> shape(rows.getShape());
  shape.back() = scaleColumns(hidden, block, isPacked);
  if (scales.getShape() != ArrayRef(shape) ||
      getLayout(scales) != getLayout(rows)) // quantize_c3, dequantize_c3
    return op->emitOpError("expected a row of ")
           << shape.back() << " scales for each row of the input, got "
           << scales;
  return success();
}

static bool isFloat8(Type element) {
  return isa<Float8E4M3FNType, Float8E5M2Type>(element);
}

/// The group that \p symbol names, or a diagnostic on \p op.
static GroupOp lookupGroup(Operation *op, FlatSymbolRefAttr symbol,
                           SymbolTableCollection &symbolTable) {
  auto group = symbolTable.lookupNearestSymbolFrom<GroupOp>(op, symbol);
  if (!group)
    op->emitOpError("expected ") << symbol << " to name a 'fusco.group'";
  return group;
}

/// As lookupGroup, for an operation that takes a plan.
static GroupOp lookupGroupOfPlan(Operation *op, Value plan,
                                 SymbolTableCollection &symbolTable) {
  return lookupGroup(op, cast<PlanType>(plan.getType()).getGroup(),
                     symbolTable);
}

//===----------------------------------------------------------------------===//
// group, plan
//===----------------------------------------------------------------------===//

LogicalResult GroupOp::verify() {
  int64_t experts = getExperts(), topk = getTopk(), maxTokens = getMaxTokens();
  if (experts < 1) // group_c1
    return emitOpError("expected at least 1 expert, got ") << experts;
  if (topk < 1 || topk > experts) // group_c2
    return emitOpError("expected 'topk' from 1 to ")
           << experts << " (the experts), got " << topk;
  if (maxTokens < 0) // group_c3
    return emitOpError("expected 'max_tokens' of at least 0, got ")
           << maxTokens;
  constexpr int64_t maxRows = std::numeric_limits<int32_t>::max();
  int64_t ranks = getTopology().getNumRanks();
  // group_c4; divisions, since the product may overflow.
  if (maxTokens > maxRows / ranks / topk)
    return emitOpError("expected at most ")
           << maxRows << " rows on a rank, got " << ranks << " ranks of "
           << maxTokens << " tokens times " << topk;
  if (experts > maxRows ||
      getPlacement().getRedundant() > maxRows - experts) // group_c4
    return emitOpError("expected at most ")
           << maxRows << " physical experts, got " << experts << " and "
           << getPlacement().getRedundant() << " redundant ones";
  return success();
}

LogicalResult PlanOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  GroupOp group = lookupGroup(*this, getGroupAttr(), symbolTable); // plan_c1
  if (!group)
    return failure();
  if (getPlan().getType().getGroup() != getGroupAttr()) // plan_c1
    return emitOpError("expected a plan of ")
           << getGroupAttr() << ", got " << getPlan().getType();
  auto ids = cast<RankedTensorType>(getIds().getType());
  int64_t topk = group.getTopk();
  if (!ids.isDynamicDim(0) || ids.getDimSize(1) != topk) // plan_c2
    return emitOpError("expected ids of shape [?, ")
           << topk << "], got " << ids;
  if (getWeights()) {
    auto weights = cast<RankedTensorType>(getWeights().getType());
    if (weights.getShape() != ids.getShape()) // plan_c3
      return emitOpError("expected weights of the shape of the ids, ")
             << ids << ", got " << weights;
  }
  if (!!getPlacement() != group.hasTable()) // plan_c4
    return emitOpError("expected a placement ")
           << (group.hasTable()
                   ? "of the group's physical experts, got none"
                   : "only where the group's is a 'table', got one");
  if (!getPlacement())
    return success();
  auto placement = cast<RankedTensorType>(getPlacement().getType());
  if (placement.getDimSize(0) != group.getPhysicalExperts()) // plan_c4
    return emitOpError("expected a placement of ")
           << group.getPhysicalExperts() << " physical experts, got "
           << placement;
  return success();
}

//===----------------------------------------------------------------------===//
// dispatch, combine
//===----------------------------------------------------------------------===//

void DispatchOp::build(OpBuilder &b, OperationState &state, Type rows,
                       Type counts, Type offsets, Value x, Value plan,
                       bool weighted) {
  build(b, state, TypeRange(rows), counts, offsets, /*kept_ids=*/Type(),
        /*row_weights=*/Type(), /*ready=*/Type(), ValueRange(x), plan, weighted,
        /*local_ids=*/IntegerAttr(),
        /*by_columns=*/DenseI64ArrayAttr(), /*hops=*/ArrayAttr());
}

Value DispatchOp::getSource(unsigned i) {
  if (!hasTransform())
    return getXs()[i];
  auto yield = cast<YieldOp>(getTransform().front().getTerminator());
  return yield.getRows()[i];
}

QuantizeOp DispatchOp::getQuantize(unsigned i) {
  return hasTransform() ? getSource(i).getDefiningOp<QuantizeOp>()
                        : QuantizeOp();
}

bool DispatchOp::isScales(unsigned i) {
  QuantizeOp quantize = getQuantize(i);
  return quantize && getSource(i) == quantize.getScales();
}

unsigned DispatchOp::getRowsNumber() {
  unsigned i = 0;
  while (i + 1 < getPayloads().size() && isScales(i))
    ++i;
  return i;
}

DispatchOp::Payload DispatchOp::getRows() {
  return cast<Payload>(getPayloads()[getRowsNumber()]);
}

Type DispatchOp::getWire(unsigned i) {
  auto elementOf = [](Value rows) {
    return cast<RankedTensorType>(rows.getType()).getElementType();
  };
  Type from = elementOf(getSource(i)), to = elementOf(getPayloads()[i]);
  bool isWidened = to.getIntOrFloatBitWidth() > from.getIntOrFloatBitWidth();
  return isWidened || getWeighted() ? from : to;
}

static bool isCastable(Type element) {
  return element.isBF16() || element.isF16() || element.isF32();
}

/// Each result of rows belongs to one of `xs`.
static LogicalResult verifyPairs(DispatchOp op) {
  if (op.getXs().size() != op.getPayloads().size()) // dispatch_c3
    return op.emitOpError("expected as many results of rows as tensors to "
                          "dispatch, ")
           << op.getXs().size() << ", got " << op.getPayloads().size();
  for (auto [x, rows] : llvm::zip_equal(op.getXs(), op.getPayloads())) {
    auto from = cast<RankedTensorType>(x.getType());
    auto to = cast<RankedTensorType>(rows.getType());
    if (failed(verifySameHidden(op, from, to))) // dispatch_c3
      return failure();
    Type fromElement = from.getElementType(), toElement = to.getElementType();
    if (fromElement != toElement &&
        (!isCastable(fromElement) || !isCastable(toElement))) // dispatch_c6
      return op.emitOpError("expected a cast among bf16, f16 and f32, got ")
             << fromElement << " to " << toElement
             << "; to quantise rows, take a 'transform' with a "
                "'fusco.quantize'";
  }
  return success();
}

static LogicalResult verifyTransform(DispatchOp op) {
  Block &body = op.getTransform().front();
  auto plainTypes = [](TypeRange types) {
    return llvm::map_to_vector(
        types, [](Type type) -> Type { return withoutLayout(type); });
  };
  auto yield = body.empty() ? YieldOp() : dyn_cast<YieldOp>(body.back());
  SmallVector<Type> taken = plainTypes(op.getXs().getTypes());
  SmallVector<Type> made = plainTypes(op.getPayloads().getTypes());
  if (TypeRange(taken) != TypeRange(body.getArgumentTypes())) // dispatch_c7
    return op.emitOpError("expected a transform of (")
           << taken << "), got one of (" << body.getArgumentTypes() << ")";
  if (!yield || TypeRange(made) != TypeRange(yield.getOperandTypes()))
    return op.emitOpError("expected a transform that yields (")
           << made << "), the rows without their layout"; // dispatch_c7
  for (Operation &inner : body.without_terminator()) {
    auto quantize = dyn_cast<QuantizeOp>(inner);
    if (!quantize) // dispatch_c8
      return inner.emitOpError("expected an operation that makes a row of a "
                               "row, 'fusco.quantize', in a transform");
    if (!llvm::is_contained(body.getArguments(), quantize.getInput()) ||
        !quantize.getOutput().hasOneUse() ||
        !quantize.getScales().hasOneUse()) // dispatch_c8
      return quantize.emitOpError(
          "expected a row of the transform's arguments, "
          "and both results to be yielded, once");
  }
  return success();
}

LogicalResult DispatchOp::verify() {
  if (getPayloads().empty() || getPayloads().size() > maxPayloads ||
      getXs().empty()) // dispatch_c10
    return emitOpError("expected from 1 to ")
           << maxPayloads << " results of rows, got " << getPayloads().size();
  if (failed(verifyRows(*this, llvm::to_vector(getXs().getTypes()))) ||
      failed(verifyRows(*this, llvm::to_vector(getPayloads().getTypes()))))
    return failure();
  for (Type x : getXs().getTypes())
    if (!isa<TokenMajorLayoutAttr>(
            getLayout(cast<RankedTensorType>(x)))) // dispatch_c1
      return emitOpError("expected 'x' to be token-major, got ") << x;
  for (Type rows : getPayloads().getTypes()) {
    Attribute layout = getLayout(cast<RankedTensorType>(rows));
    if (!isExpertSide(layout)) // dispatch_c2
      return emitOpError("expected 'rows' in the layout expert_major, "
                         "rank_major or expert_slots, got ")
             << rows;
    Attribute first =
        getLayout(cast<RankedTensorType>(getPayloads().front().getType()));
    if (layout != first) // dispatch_c2
      return emitOpError("expected all rows in one layout, got '")
             << layout << "' beside '" << first << "'";
  }
  if (getWeighted() &&
      (!isPlain() ||
       !isCastable(getRows().getType().getElementType()))) // dispatch_c9
    return emitOpError(
        "expected a 'weighted' dispatch of one x of bf16, f16 or "
        "f32, without a 'transform'");
  return hasTransform() ? verifyTransform(*this) : verifyPairs(*this);
}

static LogicalResult verifyLocalIds(DispatchOp op, int64_t topk) {
  std::optional<uint64_t> number = op.getLocalIds();
  if (!number)
    return success();
  auto refuse = [&] { // dispatch_c12
    return op.emitOpError("expected 'local_ids' to be the number of a tensor "
                          "of integers with ")
           << topk << " columns, moved to rank_major as it is, got ";
  };
  if (*number >= op.getPayloads().size())
    return refuse() << *number << " of " << op.getPayloads().size();
  auto type = cast<RankedTensorType>(op.getPayloads()[*number].getType());
  if (!type.getElementType().isInteger() || type.getShape().back() != topk ||
      !isa<RankMajorLayoutAttr>(getLayout(type)) || op.isScales(*number))
    return refuse() << type;
  return success();
}

static LogicalResult verifyKeptIds(DispatchOp op, int64_t topk) {
  if (!op.getKeptIds())
    return success();
  auto slots =
      dyn_cast<ExpertSlotsLayoutAttr>(getLayout(op.getRows().getType()));
  if (!slots || slots.getOverflow() != Overflow::Drop) // dispatch_c13
    return op.emitOpError("expected 'kept' ids beside rows in expert_slots "
                          "with 'overflow = drop', got ")
           << op.getRows().getType();
  RankedTensorType type = op.getKeptIds().getType();
  if (!type.isDynamicDim(0) || type.getDimSize(1) != topk) // dispatch_c13
    return op.emitOpError("expected 'kept' ids of shape [?, ")
           << topk << "], got " << type;
  return success();
}

static LogicalResult verifyByColumns(DispatchOp op) {
  if (!op.getByColumns())
    return success();
  ArrayRef<int64_t> numbers = *op.getByColumns();
  auto refuse = [&] { // dispatch_c16
    return op.emitOpError(
        "expected 'by_columns' to be ascending numbers of results of rows of "
        "f32 or i32, in expert_major or expert_slots, beside others, got ");
  };
  int64_t numPayloads = op.getPayloads().size();
  for (auto [i, number] : llvm::enumerate(numbers)) {
    if (number < 0 || number >= numPayloads ||
        (i > 0 && number <= numbers[i - 1]))
      return refuse() << '[' << numbers << ']';
    auto type = cast<RankedTensorType>(op.getPayloads()[number].getType());
    if (type.getElementTypeBitWidth() != 32 ||
        isa<RankMajorLayoutAttr>(getLayout(type)))
      return refuse() << type;
  }
  if (static_cast<int64_t>(numbers.size()) >= numPayloads)
    return refuse() << '[' << numbers << ']';
  return success();
}

static LogicalResult verifyRowWeights(DispatchOp op) {
  if (!op.getRowWeights())
    return success();
  RankedTensorType type = op.getRowWeights().getType();
  Attribute layout = getLayout(op.getRows().getType());
  if (!type.getElementType().isF32() || type.getShape().back() != 1 ||
      isa<RankMajorLayoutAttr>(layout) ||
      getLayout(type) != layout) // dispatch_c14
    return op.emitOpError("expected 'row_weights' of f32 with one column, in "
                          "the layout of the rows, expert_major or "
                          "expert_slots, got ")
           << type;
  return success();
}

static LogicalResult verifyReady(DispatchOp op, GroupOp group) {
  if (!op.getReady())
    return success();
  Attribute layout = getLayout(op.getRows().getType());
  if (isa<RankMajorLayoutAttr>(layout)) // dispatch_c15
    return op.emitOpError("expected 'ready' beside rows in expert_major or "
                          "expert_slots, got ")
           << op.getRows().getType();
  auto expertMajor = dyn_cast<ExpertMajorLayoutAttr>(layout);
  auto slots = dyn_cast<ExpertSlotsLayoutAttr>(layout);
  int64_t entries =
      1 + maxTiles(getPlacement(group), group.getMaxTokens(), group.getTopk(),
                   expertMajor ? expertMajor.getAlign() : 1,
                   slots ? slots.getCapacity() : 0);
  if (op.getReady().getType().getDimSize(0) != entries) // dispatch_c15
    return op.emitOpError("expected 'ready' of ")
           << entries << " entries, one more than a rank has tiles, got "
           << op.getReady().getType();
  return success();
}

LogicalResult DispatchOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  GroupOp group =
      lookupGroupOfPlan(*this, getPlan(), symbolTable); // dispatch_c4
  if (!group)
    return failure();
  bool isRankMajor = isa<RankMajorLayoutAttr>(getLayout(getRows().getType()));
  int64_t localExperts =
      isRankMajor ? 1 : getPlacement(group).maxLocalExperts();
  auto counts = cast<RankedTensorType>(getCounts().getType());
  auto offsets = cast<RankedTensorType>(getOffsets().getType());
  if (counts.getDimSize(0) != localExperts ||
      offsets.getDimSize(0) != localExperts + 1) // dispatch_c5
    return emitOpError("expected 'counts' of ")
           << localExperts << " entries and 'offsets' of " << localExperts + 1
           << ", got " << counts << " and " << offsets;
  SmallVector<Type> expertTables(getPayloads().getTypes());
  if (getRowWeights())
    expertTables.push_back(getRowWeights().getType());
  for (Type rows : expertTables)
    if (failed(verifySlots(*this, rows, localExperts))) // dispatch_c11
      return failure();
  return failure(failed(verifyLocalIds(*this, group.getTopk())) ||
                 failed(verifyKeptIds(*this, group.getTopk())) ||
                 failed(verifyRowWeights(*this)) ||
                 failed(verifyByColumns(*this)) ||
                 failed(verifyReady(*this, group)));
}

void CombineOp::build(OpBuilder &b, OperationState &state, Type out, Value y,
                      Value plan, bool weighted) {
  build(b, state, out, y, /*scales=*/Value(), plan, /*summands=*/ValueRange(),
        /*block=*/IntegerAttr(), weighted, /*partials=*/TypeAttr(),
        /*hops=*/ArrayAttr());
}

int64_t CombineOp::getBytesPerRow() {
  auto bytesOf = [](RankedTensorType type) {
    return type.getShape().back() * (type.getElementTypeBitWidth() / 8);
  };
  return bytesOf(getY().getType()) +
         (getScales() ? bytesOf(getScales().getType()) : 0);
}

/// What \p combine adds up: numbers, or float8 with its scales.
static LogicalResult verifyExpertRows(CombineOp combine) {
  RankedTensorType y = combine.getY().getType();
  Type element = y.getElementType();
  if (!combine.getScales()) {
    if (isCastable(element)) // combine_c8
      return success();
    return combine.emitOpError("expected 'y' of bf16, f16 or f32, or of "
                               "float8 and 'scaled', got ")
           << y;
  }
  if (!isFloat8(element)) // combine_c8
    return combine.emitOpError("expected 'y' that is 'scaled' to be of "
                               "f8E4M3FN or f8E5M2, got ")
           << y;
  return verifyScales(combine, y, combine.getScales().getType(),
                      *combine.getBlock()); // combine_c8
}

static LogicalResult verifySummands(CombineOp combine) {
  constexpr size_t most = 2;
  int64_t hidden = combine.getY().getType().getShape().back();
  if (combine.getSummands().size() > most) // combine_c6
    return combine.emitOpError("expected at most ")
           << int64_t(most) << " summands, got "
           << combine.getSummands().size();
  for (Type type : combine.getSummands().getTypes()) {
    auto summand = cast<RankedTensorType>(type);
    if (failed(verifyRows(combine, summand)))
      return failure();
    if (!isa<TokenMajorLayoutAttr>(getLayout(summand)) ||
        summand.getShape().back() != hidden) // combine_c6
      return combine.emitOpError("expected a token-major summand of hidden "
                                 "size ")
             << hidden << ", got " << summand;
  }
  return success();
}

LogicalResult CombineOp::verify() {
  if (failed(verifyRows(*this, {getY().getType(), getOut().getType()})))
    return failure();
  if (!isExpertSide(getLayout(getY().getType()))) // combine_c1
    return emitOpError("expected 'y' in the layout expert_major, rank_major or "
                       "expert_slots, got ")
           << getY().getType();
  if (!isa<TokenMajorLayoutAttr>(getLayout(getOut().getType()))) // combine_c2
    return emitOpError("expected a token-major result, got ")
           << getOut().getType();
  if (failed(verifySameHidden(*this, getY().getType(),
                              getOut().getType()))) // combine_c3
    return failure();
  if (getWeighted() &&
      isa<RankMajorLayoutAttr>(getLayout(getY().getType()))) // combine_c7
    return emitOpError("expected rank-major rows, which several experts may "
                       "have made, to be weighted already; got 'weighted'");
  if (!getPartialType().isF32() && !getPartialType().isBF16()) // combine_c9
    return emitOpError("expected 'partials' to be f32 or bf16, got ")
           << getPartialType();
  return success(succeeded(verifyExpertRows(*this)) &&
                 succeeded(verifySummands(*this)));
}

LogicalResult CombineOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  GroupOp group =
      lookupGroupOfPlan(*this, getPlan(), symbolTable); // combine_c4
  return success(group &&
                 succeeded(verifySlots(
                     *this, getY().getType(),
                     getPlacement(group).maxLocalExperts()))); // combine_c5
}

//===----------------------------------------------------------------------===//
// cast
//===----------------------------------------------------------------------===//

LogicalResult CastOp::verify() {
  RankedTensorType from = getInput().getType(), to = getOutput().getType();
  if (failed(verifyRows(*this, {from, to})))
    return failure();
  if (from.getShape() != to.getShape() ||
      getLayout(from) != getLayout(to)) // cast_c1
    return emitOpError("expected shape and layout to be kept, got ")
           << from << " to " << to;
  if (from.getElementType() == to.getElementType()) // cast_c2
    return emitOpError("expected another element type than that of the input, "
                       "got ")
           << to.getElementType();
  return success();
}

LogicalResult QuantizeOp::verify() {
  RankedTensorType from = getInput().getType(), to = getOutput().getType(),
                   scales = getScales().getType();
  if (failed(verifyRows(*this, {from, to, scales})))
    return failure();
  if (from.getShape() != to.getShape() || getLayout(from) != getLayout(to) ||
      !isFloat8(to.getElementType())) // quantize_c2
    return emitOpError(
               "expected rows of f8E4M3FN or f8E5M2 in the input's shape "
               "and layout, got ")
           << from << " to " << to;
  return verifyScales(*this, from, scales, getBlock());
}

LogicalResult DequantizeOp::verify() {
  RankedTensorType from = getInput().getType(), to = getOutput().getType(),
                   scales = getScales().getType();
  if (failed(verifyRows(*this, {from, to, scales})))
    return failure();
  if (!isFloat8(from.getElementType())) // dequantize_c2
    return emitOpError("expected rows of f8E4M3FN or f8E5M2, got ") << from;
  if (from.getShape() != to.getShape() || getLayout(from) != getLayout(to) ||
      !to.getElementType().isF32()) // dequantize_c4
    return emitOpError(
               "expected rows of f32 in the input's shape and layout, got ")
           << from << " to " << to;
  return verifyScales(*this, from, scales, getBlock());
}

//===----------------------------------------------------------------------===//
// permute, all_to_all, unpermute
//===----------------------------------------------------------------------===//

LogicalResult PermuteOp::verify() {
  RankedTensorType from = getInput().getType(), to = getOutput().getType();
  auto isLegal = [](Attribute a, Attribute b) {
    return (isa<TokenMajorLayoutAttr>(a) &&
            isDeviceMajor(b, DeviceOrder::Destination)) ||
           (isDeviceMajor(a, DeviceOrder::Source) &&
            isa<ExpertMajorLayoutAttr>(b));
  };
  if (failed(verifyRows(*this, {from, to})) ||
      failed(verifyLayoutPair(*this, from, to, isLegal,
                              "token-major to device_major<destination> or "
                              "device_major<source> to expert_major")))
    return failure();                     // permute_c1
  return verifySameRows(*this, from, to); // permute_c2
}

LogicalResult PermuteOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return success(
      lookupGroupOfPlan(*this, getPlan(), symbolTable)); // permute_c3
}

LogicalResult AllToAllOp::verify() {
  RankedTensorType from = getInput().getType(), to = getOutput().getType();
  auto isLegal = [](Attribute a, Attribute b) {
    return (isDeviceMajor(a, DeviceOrder::Destination) &&
            isDeviceMajor(b, DeviceOrder::Source)) ||
           (isDeviceMajor(a, DeviceOrder::Source) &&
            isDeviceMajor(b, DeviceOrder::Destination));
  };
  if (failed(verifyRows(*this, {from, to})) ||
      failed(verifyLayoutPair(
          *this, from, to, isLegal,
          "device_major<destination> to device_major<source> or back")))
    return failure();                     // all_to_all_c1
  return verifySameRows(*this, from, to); // all_to_all_c2
}

LogicalResult AllToAllOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return success(
      lookupGroupOfPlan(*this, getPlan(), symbolTable)); // all_to_all_c3
}

LogicalResult UnpermuteOp::verify() {
  RankedTensorType from = getInput().getType(), to = getOutput().getType();
  auto isLegal = [](Attribute a, Attribute b) {
    return (isa<ExpertMajorLayoutAttr>(a) &&
            isDeviceMajor(b, DeviceOrder::Source)) ||
           (isDeviceMajor(a, DeviceOrder::Destination) &&
            isa<TokenMajorLayoutAttr>(b));
  };
  if (failed(verifyRows(*this, {from, to})) ||
      failed(verifyLayoutPair(*this, from, to, isLegal,
                              "expert_major to device_major<source> or "
                              "device_major<destination> to token-major")))
    return failure(); // unpermute_c1
  bool isSum = isa<TokenMajorLayoutAttr>(getLayout(to));
  if (failed(isSum ? verifySameHidden(*this, from, to)
                   : verifySameRows(*this, from, to))) // unpermute_c2
    return failure();
  if (getWeighted() && !isSum)
    return emitOpError("expected 'weighted' only on the sum into token-major, "
                       "got it on '")
           << getLayout(to) << "'"; // unpermute_c4
  return success();
}

LogicalResult
UnpermuteOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  return success(
      lookupGroupOfPlan(*this, getPlan(), symbolTable)); // unpermute_c3
}

//===----------------------------------------------------------------------===//
// weight_gradient
//===----------------------------------------------------------------------===//

LogicalResult WeightGradientOp::verify() {
  RankedTensorType dout = getDout().getType(), y = getY().getType();
  if (failed(verifyRows(*this, {dout, y})))
    return failure();
  if (!isa<TokenMajorLayoutAttr>(getLayout(dout))) // weight_gradient_c1
    return emitOpError("expected 'dout' to be token-major, got ") << dout;
  if (!isa<ExpertMajorLayoutAttr>(getLayout(y))) // weight_gradient_c2
    return emitOpError("expected 'y' to be expert-major, got ") << y;
  if (dout.getDimSize(1) != y.getDimSize(1)) // weight_gradient_c3
    return emitOpError("expected 'y' of the hidden size of 'dout', ")
           << dout.getDimSize(1) << ", got " << y.getDimSize(1);
  return success();
}

LogicalResult
WeightGradientOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  GroupOp group =
      lookupGroupOfPlan(*this, getPlan(), symbolTable); // weight_gradient_c4
  if (!group)
    return failure();
  auto dweights = cast<RankedTensorType>(getDweights().getType());
  int64_t topk = group.getTopk();
  if (!dweights.isDynamicDim(0) ||
      dweights.getDimSize(1) != topk) // weight_gradient_c4
    return emitOpError("expected a result of shape [?, ")
           << topk << "], got " << dweights;
  return success();
}
