//===- LearnShape.cpp - The one shape of a module -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Walks the shuffles of a module once: what they have in common becomes the
/// shape, what is not compiled a diagnostic. See Lowering.h.
///
//===----------------------------------------------------------------------===//

#include "passes/Lowering.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace fusco;

bool fusco::isToExperts(Operation *op) {
  auto permute = dyn_cast<PermuteOp>(op);
  return permute &&
         isa<ExpertMajorLayoutAttr>(getLayout(permute.getOutput().getType()));
}

bool fusco::isFromExperts(Operation *op) {
  auto unpermute = dyn_cast<UnpermuteOp>(op);
  return unpermute &&
         isa<ExpertMajorLayoutAttr>(getLayout(unpermute.getInput().getType()));
}

namespace {
/// The rows on the experts' side of a shuffle.
struct Shuffle {
  Operation *op;
  RankedTensorType expertRows;
  bool isFused;
  ArrayAttr hops; ///< of the fused form
};
} // namespace

static std::optional<Shuffle> getShuffle(Operation *op) {
  if (auto dispatch = dyn_cast<DispatchOp>(op))
    return Shuffle{op, dispatch.getRows().getType(), true,
                   dispatch.getHopsAttr()};
  if (auto combine = dyn_cast<CombineOp>(op))
    return Shuffle{op, combine.getY().getType(), true, combine.getHopsAttr()};
  if (isToExperts(op))
    return Shuffle{op, cast<PermuteOp>(op).getOutput().getType(), false, {}};
  if (isFromExperts(op))
    return Shuffle{op, cast<UnpermuteOp>(op).getInput().getType(), false, {}};
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Hops
//===----------------------------------------------------------------------===//

Route fusco::getRoute(ArrayAttr hops) {
  Route route;
  for (HopAttr hop : hops.getAsRange<HopAttr>()) {
    // The enumerators are the same.
    auto unit = static_cast<pipe::Unit>(hop.getUnique());
    if (hop.getScope() == HopScope::ScaleUp) {
      route.scaleUp = unit;
    } else {
      route.scaleOut = unit;
      route.scaleOutWire = hop.getWire();
      route.forwarders = hop.getForwarders();
    }
  }
  return route;
}

SmallVector<WireRows, 2> fusco::getWireRows(DispatchOp dispatch) {
  Route route = getRoute(dispatch.getHopsAttr());
  SmallVector<WireRows, 2> rows;
  for (auto [i, payload] : llvm::enumerate(dispatch.getPayloads()))
    rows.push_back({cast<RankedTensorType>(payload.getType()).getShape().back(),
                    i == 0 && route.scaleOutWire ? route.scaleOutWire
                                                 : dispatch.getWire(i)});
  return rows;
}

/// The hops of \p shuffle are such as programs are built of: a scale_up hop,
/// and on several nodes a scale_out hop before (dispatch) or after it
/// (combine).
static LogicalResult checkHops(const Shuffle &shuffle, int64_t numNodes) {
  ArrayAttr hops = shuffle.hops;
  if (!hops || hops.empty())
    return shuffle.op->emitOpError("expected the hops of fusco-plan-dedup; "
                                   "run that pass first");
  auto dispatch = dyn_cast<DispatchOp>(shuffle.op);
  SmallVector<HopScope> expected{HopScope::ScaleUp};
  if (numNodes > 1)
    expected.insert(dispatch ? expected.begin() : expected.end(),
                    HopScope::ScaleOut);
  auto scopes = llvm::map_to_vector(hops.getAsRange<HopAttr>(),
                                    [](HopAttr hop) { return hop.getScope(); });
  if (scopes != expected)
    return shuffle.op->emitOpError("expected ")
           << (numNodes == 1 ? "the hop scale_up"
               : dispatch    ? "the hops scale_out, scale_up"
                             : "the hops scale_up, scale_out")
           << " on " << numNodes << " nodes, got " << hops;
  Route route = getRoute(hops);
  if (!dispatch && numNodes > 1 && route.scaleOut != pipe::Unit::Node)
    return shuffle.op->emitOpError("expected a combine's scale_out hop to be "
                                   "unique per node, got ")
           << hops;
  auto combine = dyn_cast<CombineOp>(shuffle.op);
  for (HopAttr hop : hops.getAsRange<HopAttr>()) {
    bool carriesSums =
        hop.getScope() == HopScope::ScaleOut || hop.getUnique() == Unique::Rank;
    if (combine && carriesSums && hop.getWire() != combine.getPartialType())
      return combine.emitOpError("expected partial sums to travel as what they "
                                 "are, ")
             << combine.getPartialType() << ", got " << hop;
  }
  if (dispatch && dispatch.getWeighted() &&
      route.scaleUp != pipe::Unit::Assignment)
    return shuffle.op->emitOpError(
               "expected a weighted dispatch's scale_up hop "
               "to be unique per assignment, since each has "
               "its weight, got ")
           << hops;
  return success();
}

//===----------------------------------------------------------------------===//
// What programs need
//===----------------------------------------------------------------------===//

/// Whether \p op stands in a function of fusco-add-baseline.
static bool isInBaseline(Operation *op) {
  auto function = op->getParentOfType<func::FuncOp>();
  return function && function.getSymName().ends_with(unfusedSuffix);
}

static void addNeeds(ShuffleShape &shape, const Shuffle &shuffle) {
  ProgramNeeds &needs = shape.needs;
  if (!shuffle.isFused) {
    needs.hasUnfused = true;
    return;
  }
  Route route = getRoute(shuffle.hops);
  bool isByRank = route.scaleUp == pipe::Unit::Rank;
  bool isDealt = route.forwarders == Forwarders::Balanced;
  needs.hasGroups |= route.forwarders == Forwarders::Groups;
  if (auto combine = dyn_cast<CombineOp>(shuffle.op)) {
    shape.partialBytes =
        std::max<int64_t>(shape.partialBytes,
                          combine.getPartialType().getIntOrFloatBitWidth() / 8);
    if (combine.getScales()) // beside the rows
      shape.numPayloads = std::max<int64_t>(shape.numPayloads, 2);
    needs.combines = true;
    needs.combinesDealt |= isDealt;
    needs.combinesByRank |= isByRank;
    return;
  }
  needs.dispatches = true;
  needs.dispatchesByRank |= isByRank;
  needs.dispatchesDealt |= isDealt;
  auto dispatch = cast<DispatchOp>(shuffle.op);
  shape.numPayloads =
      std::max<int64_t>(shape.numPayloads, dispatch.getPayloads().size());
  PackedRow packed(getWireRows(dispatch));
  needs.hasRowWeights |= !!dispatch.getRowWeights();
  needs.hasReady |= !!dispatch.getReady();
  needs.hasByColumns |= !!dispatch.getByColumns();
  if (dispatch.hasTransform())
    shape.scratchBytes = std::max(shape.scratchBytes, packed.bytes);
  if (!route.scaleOutWire)
    return;
  shape.wireBytesPerRow = std::max(shape.wireBytesPerRow, packed.bytes);
  if (route.scaleOut != pipe::Unit::Node)
    shape.unitsPerToken = shape.topk;
}

static FailureOr<GroupOp> findGroup(ModuleOp module) {
  GroupOp group;
  for (auto other : module.getOps<GroupOp>()) {
    if (group) {
      InFlightDiagnostic diagnostic =
          other.emitOpError("expected one group in a module");
      diagnostic.attachNote(group.getLoc()) << "the first one is here";
      return diagnostic;
    }
    group = other;
  }
  if (!group)
    return module.emitError("expected a module with a 'fusco.group'");

  return group;
}

/// Rows of both shuffles are of one size and lie alike.
static bool haveOneShape(RankedTensorType a, RankedTensorType b) {
  return a.getShape() == b.getShape() && a.getEncoding() == b.getEncoding();
}

FailureOr<ShuffleShape> fusco::learnShape(ModuleOp module) {
  FailureOr<GroupOp> found = findGroup(module);
  if (failed(found))
    return failure();
  GroupOp group = *found;
  ShuffleShape shape{.loc = group.getLoc()};
  shape.nodes = group.getTopology().getNodes();
  shape.ranksPerNode = group.getTopology().getRanksPerNode();
  shape.routedExperts = group.getExperts();
  shape.experts = group.getPhysicalExperts();
  shape.hasTable = group.hasTable();
  shape.topk = group.getTopk();
  shape.maxTokens = group.getMaxTokens();

  std::optional<Shuffle> first;
  WalkResult result = module.walk([&](Operation *op) {
    shape.needs.hasWeightGradient |= isa<WeightGradientOp>(op);
    std::optional<Shuffle> shuffle = getShuffle(op);
    if (!shuffle)
      return WalkResult::advance();
    if (shuffle->isFused && failed(checkHops(*shuffle, shape.nodes)))
      return WalkResult::interrupt();
    if (first && !haveOneShape(first->expertRows, shuffle->expertRows)) {
      InFlightDiagnostic diagnostic =
          op->emitOpError("expected the experts' rows to have one hidden size "
                          "and layout in the module, as in ")
          << first->expertRows << ", got " << shuffle->expertRows;
      diagnostic.attachNote(first->op->getLoc()) << "the first one is here";
      return WalkResult::interrupt();
    }
    // Each form reads from a plan what only the same form has put there. A
    // baseline brings functions of its own for both directions.
    if (first && first->isFused != shuffle->isFused && !isInBaseline(op)) {
      InFlightDiagnostic diagnostic = op->emitOpError(
          "expected only fused or only unfused shuffles in the module");
      diagnostic.attachNote(first->op->getLoc()) << "the first one is here";
      return WalkResult::interrupt();
    }
    if (!shuffle->isFused && shape.hasTable) {
      op->emitOpError("expected the placement 'block', with which unfused "
                      "shuffles are compiled, got 'table'");
      return WalkResult::interrupt();
    }
    if (!first)
      first = shuffle;
    addNeeds(shape, *shuffle);
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  if (!first)
    return module.emitError(
        "expected a 'fusco.dispatch', a 'fusco.combine' or their unfused forms "
        "in the module, got none");

  shape.loc = first->op->getLoc();
  shape.hidden = first->expertRows.getShape().back();
  Attribute layout = getLayout(first->expertRows);
  int64_t rows;
  if (isa<RankMajorLayoutAttr>(layout)) {
    if (shape.hasTable)
      return first->op->emitOpError("expected expert_major or expert_slots, in "
                                    "which a placement by table is compiled, "
                                    "got rank_major");
    shape.align = 1;
    shape.isRankMajor = true;
    shape.experts = shape.numRanks();
    rows = shape.numRanks() * shape.maxTokens;
  } else if (auto slots = dyn_cast<ExpertSlotsLayoutAttr>(layout)) {
    shape.align = 1;
    shape.capacity = slots.getCapacity();
    shape.dropsOverflow = slots.getOverflow() == Overflow::Drop;
    constexpr int64_t most = int64_t(1) << 40; // far above what is refused
    rows = std::min(shape.capacity, most / shape.experts) *
           shape.placement().maxLocalExperts();
  } else {
    shape.align = cast<ExpertMajorLayoutAttr>(layout).getAlign();
    rows = maxExpertMajorRows(shape.placement(), shape.maxTokens, shape.topk,
                              shape.align);
  }
  if (rows > std::numeric_limits<int32_t>::max())
    return first->op->emitOpError("expected at most 2147483647 rows on a rank "
                                  "with pads, got ")
           << rows << "; take a smaller 'align', 'capacity' or 'max_tokens'";
  return shape;
}
