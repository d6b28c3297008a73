//===- LibraryInfo.cpp - What a library says about itself -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See LibraryInfo.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/LibraryInfo.h"
#include "codegen/RuntimeCalls.h"
#include "dialect/FuscoOps.h"
#include "dialect/PipeDialect.h"
#include "passes/Passes.h"
#include "passes/ProgramBuilder.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

static LogicalResult setName(Operation *op, char (&field)[FUSCO_NAME_BYTES],
                             StringRef name) {
  if (name.size() >= FUSCO_NAME_BYTES)
    return op->emitError("expected a name of at most ")
           << FUSCO_NAME_BYTES - 1 << " characters, got '" << name << "'";
  std::copy(name.begin(), name.end(), field);
  return success();
}

static uint8_t getTypeCode(Type type) {
  if (type.isBF16())
    return kDLBfloat;
  if (isa<Float8E4M3FNType>(type))
    return FUSCO_DTYPE_FLOAT8_E4M3FN;
  if (isa<Float8E5M2Type>(type))
    return FUSCO_DTYPE_FLOAT8_E5M2;
  return isa<FloatType>(type) ? kDLFloat : kDLInt;
}

static void setType(uint8_t &code, uint8_t &bits, Type type) {
  bits = type.getIntOrFloatBitWidth();
  code = getTypeCode(type);
}

static LogicalResult describeTensor(ProgramOp program, unsigned index,
                                    fusco_tensor_spec &spec) {
  auto type = cast<MemRefType>(program.getArgumentTypes()[index]);
  if (failed(setName(program, spec.name, program.getTensorName(index))))
    return failure();
  setType(spec.dtypeCode, spec.dtypeBits, type.getElementType());
  spec.isOutput = !!program.getArgAttr(index, ProgramOp::outputAttrName);
  spec.rowsKind = FUSCO_ROWS_STATIC;
  if (type.isDynamicDim(0))
    spec.rowsKind = program.getArgAttr(index, ProgramOp::expertRowsAttrName)
                        ? FUSCO_ROWS_EXPERT
                        : FUSCO_ROWS_TOKENS;
  if (auto scaled = program.getArgAttrOfType<IntegerAttr>(
          index, ProgramOp::scaledColumnsAttrName))
    spec.scaledColumns = scaled.getInt();
  SmallVector<int64_t> shape(type.getShape());
  if (auto slots = program.getArgAttrOfType<IntegerAttr>(
          index, ProgramOp::slotsAttrName)) {
    spec.rowsKind = FUSCO_ROWS_SLOTS;
    shape = {shape[0] / slots.getInt(), slots.getInt(), shape[1]};
  }
  spec.isByColumns = !!program.getArgAttr(index, ProgramOp::byColumnsAttrName);
  if (spec.isByColumns)
    std::swap(shape[shape.size() - 2], shape[shape.size() - 1]);
  spec.ndim = shape.size();
  for (auto [i, extent] : llvm::enumerate(shape))
    spec.shape[i] = ShapedType::isDynamic(extent) ? -1 : extent;
  return success();
}

/// Other ranks use a tensor whose window they are told; where the program puts
/// rows to tensors, from other nodes too.
static void describeExposure(ProgramOp program, fusco_program_info &info) {
  uint8_t exposure = FUSCO_EXPOSURE_NODE;
  program.walk([&](PutRowsOp) { exposure = FUSCO_EXPOSURE_NETWORK; });
  program.walk([&](WindowOp window) {
    auto tensor = dyn_cast<BlockArgument>(window.getTensor());
    // What becomes an address at once is this rank's own use.
    bool isTold = llvm::any_of(window->getUsers(), [](Operation *user) {
      return !isa<RemoteOp>(user);
    });
    if (tensor && isTold)
      info.tensors[tensor.getArgNumber()].exposure = exposure;
  });
}

static LogicalResult describeChannels(ModuleOp module,
                                      fusco_library_info &info) {
  for (auto channel : module.getOps<ChannelOp>()) {
    if (info.numChannels == FUSCO_MAX_CHANNELS)
      return channel.emitOpError("expected at most ")
             << int64_t(FUSCO_MAX_CHANNELS) << " channels in a module";
    fusco_channel_info &described = info.channels[info.numChannels++];
    if (failed(setName(channel, described.name, channel.getSymName())))
      return failure();
    described.phase = static_cast<int32_t>(channel.getPhase());
  }
  return success();
}

static LogicalResult describeSpans(ModuleOp module, fusco_library_info &info) {
  for (auto span : module.getOps<SpanOp>()) {
    if (info.numSpans == FUSCO_MAX_SPANS)
      return span.emitOpError("expected at most ")
             << int64_t(FUSCO_MAX_SPANS) << " spans in a module";
    fusco_span_info &described = info.spans[info.numSpans++];
    if (failed(setName(span, described.name, span.getName())))
      return failure();
    described.kind = static_cast<int32_t>(span.getKind());
    described.channel = -1;
    auto channels = module.getOps<ChannelOp>();
    for (auto [number, channel] : llvm::enumerate(channels))
      if (channel.getSymName() == span.getChannel())
        described.channel = number;
  }
  return success();
}

static LogicalResult describeProgram(ProgramOp program,
                                     fusco_program_info &info) {
  if (failed(setName(program, info.name, program.getSymName())))
    return failure();
  info.writesPlan = program.getFillsPlan();
  info.numTensors = program.getArgumentTypes().size();
  if (info.numTensors > FUSCO_MAX_TENSORS)
    return program.emitOpError("expected at most ")
           << int64_t(FUSCO_MAX_TENSORS) << " tensors, got " << info.numTensors;
  for (int32_t i = 0; i < info.numTensors; ++i)
    if (failed(describeTensor(program, i, info.tensors[i])))
      return failure();
  describeExposure(program, info);
  return success();
}

/// What the library as a whole says of rows and ids, learnt from the tensors of
/// its programs.
static void describeRows(fusco_library_info &info,
                         const fusco_tensor_spec &spec) {
  StringRef name = spec.name;
  bool isOfSlots = spec.rowsKind == FUSCO_ROWS_SLOTS;
  if (isOfSlots)
    info.capacityRows = spec.shape[1];
  if (spec.rowsKind == FUSCO_ROWS_EXPERT || isOfSlots) {
    // Experts' outputs may be of another type than what they are sent.
    if (name == "rows" || info.dtypeBits == 0) {
      info.hidden = spec.shape[spec.ndim - 1];
      info.dtypeCode = spec.dtypeCode;
      info.dtypeBits = spec.dtypeBits;
    }
  } else if (name == "ids") {
    info.idBits = spec.dtypeBits;
  }
}

FailureOr<fusco_library_info>
fusco::getLibraryInfo(ModuleOp module, const LibraryTarget &target) {
  auto groups = module.getOps<GroupOp>();
  auto memory = [&](StringRef name) {
    return module->getAttrOfType<IntegerAttr>(name);
  };
  if (groups.empty() || !memory(symmetricBytesAttrName) ||
      !memory(networkBytesAttrName) || !memory(planBytesAttrName) ||
      !memory(alignRowsAttrName))
    return module.emitError("expected pipe programs with assigned memory; run "
                            "fusco-pipe-pipeline first");
  GroupOp group = *groups.begin();

  fusco_library_info info{};
  info.magic = FUSCO_LIBRARY_MAGIC;
  info.abiVersion = FUSCO_ABI_VERSION;
  info.size = sizeof(info);
  if (failed(setName(module, info.model, getModelName(module))) ||
      failed(setName(module, info.target, target.name)))
    return failure();
  info.cpuLevel = target.cpuLevel;
  info.maxBlocks = target.maxBlocks;
  info.numNodes = group.getTopology().getNodes();
  info.ranksPerNode = group.getTopology().getRanksPerNode();
  info.topk = group.getTopk();
  info.numExperts = group.getExperts();
  info.numRedundant = group.getPlacement().getRedundant();
  info.hasTable = group.hasTable();
  info.maxTokens = group.getMaxTokens();
  info.alignRows = memory(alignRowsAttrName).getInt();
  info.isRankMajor = module->hasAttr(rankMajorAttrName);
  info.dropsOverflow = module->hasAttr(dropsOverflowAttrName);
  if (IntegerAttr bytes = memory(scaleOutBytesAttrName))
    info.scaleOutBytesPerRow = bytes.getInt();
  info.symmetricBytes = memory(symmetricBytesAttrName).getInt();
  info.networkBytes = memory(networkBytesAttrName).getInt();
  info.planBytes = memory(planBytesAttrName).getInt();
  if (auto stats = module.lookupSymbol<BufferOp>(shared::stats))
    info.planStatsBytes = stats.getAt().value_or(0);
  if (failed(describeChannels(module, info)) ||
      failed(describeSpans(module, info)))
    return failure();

  for (auto program : module.getOps<ProgramOp>()) {
    if (info.numPrograms == FUSCO_MAX_PROGRAMS)
      return program.emitOpError("expected at most ")
             << int64_t(FUSCO_MAX_PROGRAMS)
             << " programs in a module; fusco-compile "
                "--no-baseline leaves out the unfused half";
    fusco_program_info &described = info.programs[info.numPrograms++];
    if (failed(describeProgram(program, described)))
      return failure();
    described.threadsPerBlock = target.threadsPerBlock;
    for (int32_t i = 0; i < described.numTensors; ++i)
      describeRows(info, described.tensors[i]);
    program.walk([&](ReduceRowOp reduce) {
      info.isWeighted |= reduce.getWeights() != nullptr;
      // A dispatch's backward has float32 sums beside a combine's of bf16.
      if (info.partialBits == 0 || reduce.getPartials())
        info.partialBits = reduce.getPartials()
                               ? reduce.getPartials()->getIntOrFloatBitWidth()
                               : 32;
    });
  }
  return info;
}

bool fusco::isEntryPoint(const fusco_program_info &program) {
  return !StringRef(program.name).ends_with(unfusedSuffix);
}
