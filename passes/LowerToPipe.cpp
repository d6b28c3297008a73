//===- LowerToPipe.cpp - From intent to programs --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// fusco-lower-to-pipe:
///   1. learn the one shape of the module (LearnShape.cpp), and decide how
///      tokens are cut for pipelines;
///   2. declare the memory that programs share (SharedMemory.cpp);
///   3. for each function, recognise what it does (FunctionContents.cpp), make
///      a program with its tensors as arguments, and have DispatchProgram.cpp,
///      CombineProgram.cpp or UnfusedPrograms.cpp fill it.
///
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Lowering.h"
#include "passes/Passes.h"
#include "passes/ProgramBuilder.h"
#include "llvm/ADT/MapVector.h"

namespace fusco {
#define GEN_PASS_DEF_LOWERTOPIPEPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

namespace {
struct LowerToPipePass : fusco::impl::LowerToPipePassBase<LowerToPipePass> {
  using LowerToPipePassBase::LowerToPipePassBase;
  void runOnOperation() override;

private:
  void chooseChunking(ShuffleShape &shape);
  LogicalResult lower(func::FuncOp function, const ShuffleShape &shape);
  void fill(ProgramBuilder &p, const FunctionContents &contents,
            function_ref<Value(StringRef)> find);
  /// Whether rows of \p tensor, of which each token writes \p rowsPerToken, are
  /// stored past the caches: an i1 that a call with as many tokens as \p tokens
  /// has rows decides, null if none is large enough; says so, as a decision on
  /// \p subject.
  Value buildStreaming(ProgramBuilder &p, StringRef subject, Value tensor,
                       int64_t rowsPerToken, Value tokens);
};
} // namespace

//===----------------------------------------------------------------------===//
// Chunks
//===----------------------------------------------------------------------===//

/// The most stages that a pipeline has.
static int64_t countStages(const ShuffleShape &shape) {
  const ProgramNeeds &needs = shape.needs;
  bool hasOtherNodes = shape.nodes > 1;
  int64_t dispatch = 1 + hasOtherNodes + needs.dispatchesByRank +
                     needs.dispatchesDealt +
                     (hasOtherNodes && needs.hasWeightGradient);
  int64_t combine = 2 + needs.combinesByRank + hasOtherNodes +
                    (hasOtherNodes && needs.combinesByRank) +
                    2 * needs.combinesDealt;
  return std::max(needs.dispatches ? dispatch : 0,
                  needs.combines ? combine : 0);
}

/// A chunk is as many rows as stay in a core's cache on their way; a ring has
/// room for every stage to be at work and one slot in reserve.
void LowerToPipePass::chooseChunking(ShuffleShape &shape) {
  constexpr int64_t chunkBytes = 64 << 10, mostTokens = 64;
  int64_t bytesPerRow = std::max(shape.wireBytesPerRow, 2 * shape.hidden);
  Chunking &chunking = shape.chunking;
  chunking.stageLag = stageLag;
  chunking.chunkTokens = chunkTokens != 0 ? chunkTokens
                                          : std::clamp(chunkBytes / bytesPerRow,
                                                       int64_t(1), mostTokens);
  // No chunk is larger than what a rank has.
  chunking.chunkTokens = std::clamp(chunking.chunkTokens, int64_t(1),
                                    std::max(int64_t(1), shape.maxTokens));
  // What is dealt is dealt in whole rounds.
  if (shape.needs.dispatchesDealt || shape.needs.combinesDealt)
    chunking.chunkTokens = alignUp(chunking.chunkTokens, shape.ranksPerNode);
  chunking.ringChunks = ringChunks;
  if (chunking.ringChunks == 0)
    chunking.ringChunks = (countStages(shape) - 1) * stageLag + 2;
  bool hasPipeline = shape.nodes > 1 || shape.needs.dispatchesByRank ||
                     shape.needs.combinesByRank;
  if (hasPipeline)
    recordDecision(getOperation(), "pipeline",
                   (Twine(chunking.chunkTokens) + " tokens a chunk, " +
                    Twine(chunking.ringChunks) + " chunks a ring")
                       .str(),
                   "a chunk's rows shall stay in a cache until the next stage, "
                   "which is " +
                       Twine(chunking.stageLag) +
                       " behind, takes them; a ring has a slot for every chunk "
                       "that is under way and one more");
}

//===----------------------------------------------------------------------===//
// Functions to programs
//===----------------------------------------------------------------------===//

Value LowerToPipePass::buildStreaming(ProgramBuilder &p, StringRef subject,
                                      Value tensor, int64_t rowsPerToken,
                                      Value tokens) {
  auto type = cast<MemRefType>(tensor.getType());
  int64_t bytesPerToken =
      rowsPerToken * type.getDimSize(1) * type.getElementTypeBitWidth() / 8;
  int64_t most = cacheBytes / bytesPerToken;
  bool mayBe = p.shape.maxTokens > most;
  recordDecision(getOperation(), subject, mayBe ? "streaming" : "cached",
                 "a rank writes " + Twine(bytesPerToken) +
                     " bytes for a token, for at most " +
                     Twine(p.shape.maxTokens) + " in a call; for more than " +
                     Twine(most) +
                     " they would only push other data out of the caches");
  if (!mayBe)
    return {};
  return p.compare(arith::CmpIPredicate::ugt, p.rowsOf(tokens), p.index(most));
}

/// What \p dispatch moves: its tensors as they are, or what they are quantised
/// to.
static void bindPayloads(DispatchTensors &tensors, DispatchOp dispatch,
                         function_ref<Value(StringRef)> find) {
  auto findTaken = [&](Value row) { // an argument of the transform
    return find(roleOfX(cast<BlockArgument>(row).getArgNumber()));
  };
  SmallVector<WireRows, 2> wires = getWireRows(dispatch);
  llvm::MapVector<Operation *, Quantization> made;
  for (unsigned i = 0; i < dispatch.getPayloads().size(); ++i) {
    Payload payload{
        {}, find(roleOfRows(dispatch, i)), wires[i], dispatch.isByColumns(i)};
    if (QuantizeOp quantize = dispatch.getQuantize(i)) {
      Quantization &quantization = made[quantize];
      quantization.x = findTaken(quantize.getInput());
      quantization.block = quantize.getBlock();
      (dispatch.isScales(i) ? quantization.scales : quantization.data) = i;
    } else if (dispatch.hasTransform()) {
      payload.x = findTaken(dispatch.getSource(i));
    } else {
      payload.x = find(roleOfX(i));
    }
    tensors.payloads.push_back(payload);
  }
  for (auto &[op, quantization] : made)
    tensors.quantizations.push_back(quantization);
}

void LowerToPipePass::fill(ProgramBuilder &p, const FunctionContents &contents,
                           function_ref<Value(StringRef)> find) {
  const int64_t topk = p.shape.topk;
  DispatchTensors dispatched;
  dispatched.ids = find("ids");
  dispatched.weights = find("weights");
  dispatched.placement = find("placement");
  dispatched.counts = find("counts");
  dispatched.offsets = find("offsets");
  dispatched.keptIds = find("kept_ids");
  dispatched.rowWeights = find("row_weights");
  dispatched.ready = find("ready");
  CombineTensors combined{find("y"), find("out")};
  combined.partials = p.b.getF32Type();
  Workspace workspace{find("send"), find("recv")};
  if (auto dispatch = contents.dispatch) {
    if (contents.weightGradient) {
      dispatched.outputs = find("y");
      dispatched.weightGradient = find("dweights");
    }
    Route route = getRoute(DispatchOp(dispatch).getHopsAttr());
    if (contents.plan && route.scaleOutWire)
      getOperation()->setAttr(
          scaleOutBytesAttrName,
          p.b.getI64IntegerAttr(PackedRow(getWireRows(dispatch)).bytes));
    bindPayloads(dispatched, dispatch, find);
    if (std::optional<uint64_t> number = DispatchOp(dispatch).getLocalIds())
      dispatched.localIds = dispatched.payloads[*number].rows;
    Value rows = dispatched.payloads[DispatchOp(dispatch).getRowsNumber()].rows;
    Value tokens = dispatched.allTokens().front();
    buildDispatch(p, dispatched, route, DispatchOp(dispatch).getWeighted(),
                  buildStreaming(p, "dispatch.stores", rows, topk, tokens));
  } else if (CombineOp combine = contents.combine) {
    combined.partials = combine.getPartialType();
    if (combine.getScales()) {
      combined.scales = find("scales");
      combined.block = *combine.getBlock();
    }
    for (unsigned i = 0; i < combine.getSummands().size(); ++i)
      combined.summands.push_back(find(roleOfSummand(combine, i)));
    buildCombine(p, combined, getRoute(combine.getHopsAttr()),
                 combine.getWeighted(),
                 buildStreaming(p, "combine.stores", combined.out,
                                /*rowsPerToken=*/1, combined.out));
  } else if (contents.toExperts) {
    dispatched.payloads.push_back({find("x"), find("rows"), {}});
    buildUnfusedDispatch(p, dispatched, workspace,
                         buildStreaming(p, "unfused.stores", workspace.send,
                                        topk, dispatched.ids));
  } else {
    buildUnfusedCombine(p, combined, workspace,
                        UnpermuteOp(contents.toTokens).getWeighted(),
                        buildStreaming(p, "unfused.stores", workspace.send,
                                       topk, combined.out));
  }
}

LogicalResult LowerToPipePass::lower(func::FuncOp function,
                                     const ShuffleShape &shape) {
  FailureOr<FunctionContents> contents = recognise(function);
  if (failed(contents))
    return failure();
  FailureOr<TensorArguments> tensors =
      TensorArguments::bind(function, *contents);
  if (failed(tensors))
    return failure();

  ImplicitLocOpBuilder b(function.getLoc(), function);
  SmallVector<Type> types = tensors->types();
  auto program =
      b.create<ProgramOp>(function.getSymName(), b.getFunctionType(types, {}),
                          /*fills_plan=*/!!contents->plan,
                          b.getArrayAttr(tensors->attributes(b)), ArrayAttr());
  Block &body = program.getBody().emplaceBlock();
  body.addArguments(types,
                    SmallVector<Location>(types.size(), function.getLoc()));
  b.setInsertionPointToStart(&body);
  ProgramBuilder p(b, shape, program);
  fill(p, *contents,
       [&](StringRef role) { return tensors->find(program, role); });
  b.create<pipe::ReturnOp>();
  function.erase();
  return success();
}

//===----------------------------------------------------------------------===//
// The module
//===----------------------------------------------------------------------===//

/// The module holds what is compiled and nothing else. What programs share, and
/// what the library exports beside entry points, has names of its own.
static LogicalResult checkNames(ModuleOp module) {
  for (Operation &op : module.getOps()) {
    if (!isa<GroupOp, func::FuncOp>(op))
      return op.emitOpError("expected only a 'fusco.group' and functions in a "
                            "module to compile");
    auto symbol = cast<SymbolOpInterface>(op);
    if (isSharedName(symbol.getName()))
      return op.emitError("expected another name than '")
             << symbol.getName() << "', which compiled programs use";
    if (isa<func::FuncOp>(op) && symbol.getName() == "library")
      return op.emitError("expected another name than 'library', which the "
                          "compiled library exports");
  }
  return success();
}

/// A weighted combine needs plans with weights, and any function may have made
/// its plan.
static LogicalResult checkWeights(ModuleOp module) {
  Operation *weighted = nullptr;
  module.walk([&](Operation *op) {
    auto combine = dyn_cast<CombineOp>(op);
    auto unpermute = dyn_cast<UnpermuteOp>(op);
    if ((combine && combine.getWeighted()) ||
        (unpermute && unpermute.getWeighted()))
      weighted = op;
  });
  WalkResult result = module.walk([&](PlanOp plan) {
    if (!weighted || plan.getWeights())
      return WalkResult::advance();
    InFlightDiagnostic diagnostic =
        plan.emitOpError("expected weights, since a combine is 'weighted'");
    diagnostic.attachNote(weighted->getLoc()) << "it is here";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

void LowerToPipePass::runOnOperation() {
  ModuleOp module = getOperation();
  FailureOr<ShuffleShape> shape = learnShape(module); // 1.
  if (failed(shape) || failed(checkWeights(module)) ||
      failed(checkNames(module)))
    return signalPassFailure();
  shape->rowWorkers = rowWorkers;
  shape->hasSteps = steps;
  chooseChunking(*shape);

  auto group = *module.getOps<GroupOp>().begin();
  ImplicitLocOpBuilder builder(group.getLoc(), group->getContext());
  builder.setInsertionPointAfter(group);
  module->setAttr(alignRowsAttrName, builder.getI64IntegerAttr(shape->align));
  if (shape->isRankMajor)
    module->setAttr(rankMajorAttrName, builder.getUnitAttr());
  if (shape->dropsOverflow)
    module->setAttr(dropsOverflowAttrName, builder.getUnitAttr());
  declareSharedMemory(builder, *shape); // 2.

  for (auto function :
       llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
    if (failed(lower(function, *shape))) // 3.
      return signalPassFailure();
}
