//===- PlanDedup.cpp - How often a row travels on which hop ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// fusco-plan-dedup, for each dispatch and combine without hops:
///   1. list the ways that its rows may travel, the simplest first, each with
///      its cost by the model of CostModel.h;
///   2. leave those that the option `unique` asks for;
///   3. take the first of the cheapest, and say why.
///
//===----------------------------------------------------------------------===//

#include "dialect/FuscoOps.h"
#include "mlir/IR/Builders.h"
#include "passes/CostModel.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

namespace fusco {
#define GEN_PASS_DEF_PLANDEDUPPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;

namespace {
/// One way for the rows to travel.
struct Candidate {
  SmallVector<HopAttr, 2> hops;
  Cost cost;
};

/// The candidates of the shuffles of one group.
class CandidateBuilder {
public:
  CandidateBuilder(GroupOp group, bool isRankMajor)
      : topology(group.getTopology()),
        rows(topology.getNodes(), topology.getRanksPerNode(),
             group.getExperts(), group.getTopk()),
        speeds(linkSpeeds(topology.getMemoryGbps(), topology.getScaleUpGbps(),
                          topology.getScaleOutGbps())) {
    if (isRankMajor)
      rows = rows.oncePerRank();
  }

  SmallVector<Candidate> candidates(DispatchOp dispatch) const;
  SmallVector<Candidate> candidates(CombineOp combine) const;

private:
  Candidate dispatchCandidate(DispatchOp dispatch, RowPer scaleOut,
                              RowPer scaleUp) const;
  Candidate combineCandidate(CombineOp combine, RowPer scaleUp) const;
  bool hasScaleOut() const { return topology.getNodes() > 1; }

  TopologyAttr topology;
  ExpectedRows rows;
  LinkSpeeds speeds;
};

struct PlanDedupPass : fusco::impl::PlanDedupPassBase<PlanDedupPass> {
  using PlanDedupPassBase::PlanDedupPassBase;
  void runOnOperation() override;

private:
  template <typename ShuffleOp>
  void plan(ShuffleOp shuffle, RankedTensorType expertRows, StringRef subject);
};
} // namespace

//===----------------------------------------------------------------------===//
// 1. Candidates
//===----------------------------------------------------------------------===//

static Unique getUnique(RowPer per) {
  switch (per) {
  case RowPer::Assignment:
    return Unique::Assignment;
  case RowPer::Rank:
    return Unique::Rank;
  case RowPer::Node:
    return Unique::Node;
  }
  llvm_unreachable("all cases return");
}

static HopAttr getHop(HopScope scope, RowPer per, HopMode mode, Type wire,
                      double bytesPerToken) {
  constexpr double maxBytes = 0x1p62; // of rows too wide for any memory
  return HopAttr::get(wire.getContext(), scope, getUnique(per), mode, wire,
                      std::llround(std::min(bytesPerToken, maxBytes)),
                      Forwarders::Rail);
}

/// Bytes of a row of \p type's hidden size with elements of \p elementType.
static double bytesPerRow(RankedTensorType type, Type elementType) {
  return double(type.getShape().back()) *
         (elementType.getIntOrFloatBitWidth() / 8);
}

Candidate CandidateBuilder::dispatchCandidate(DispatchOp dispatch,
                                              RowPer scaleOut,
                                              RowPer scaleUp) const {
  // All tensors of a dispatch travel together.
  DispatchRowBytes bytes{};
  for (Value x : dispatch.getXs()) {
    auto type = cast<RankedTensorType>(x.getType());
    bytes.source += bytesPerRow(type, type.getElementType());
  }
  for (auto [i, payload] : llvm::enumerate(dispatch.getPayloads())) {
    auto type = cast<RankedTensorType>(payload.getType());
    bytes.scaleOut += bytesPerRow(type, dispatch.getWire(i));
    bytes.scaleUp += bytesPerRow(type, type.getElementType());
  }
  Traffic traffic = dispatchTraffic(rows, scaleOut, scaleUp, bytes);
  Type scaleOutWire = dispatch.getWire(0);
  Type to = dispatch.getRows().getType().getElementType();
  Candidate candidate{{}, cost(traffic, speeds)};
  if (hasScaleOut())
    candidate.hops.push_back(getHop(HopScope::ScaleOut, scaleOut, HopMode::Push,
                                    scaleOutWire, traffic.scaleOutBytes));
  candidate.hops.push_back(getHop(HopScope::ScaleUp, scaleUp, HopMode::Push, to,
                                  traffic.scaleUpBytes));
  return candidate;
}

SmallVector<Candidate> CandidateBuilder::candidates(DispatchOp dispatch) const {
  // A row that arrives at a forwarder goes on at least once.
  static constexpr std::pair<RowPer, RowPer> pairs[] = {
      {RowPer::Assignment, RowPer::Assignment},
      {RowPer::Rank, RowPer::Assignment},
      {RowPer::Rank, RowPer::Rank},
      {RowPer::Node, RowPer::Assignment},
      {RowPer::Node, RowPer::Rank}};
  SmallVector<Candidate> result;
  for (auto [scaleOut, scaleUp] : pairs) {
    // Each assignment of a weighted dispatch has a row of its own.
    if (dispatch.getWeighted() && scaleUp != RowPer::Assignment)
      continue;
    // On one node the scale-out hop of a pair does not exist.
    if (hasScaleOut() || scaleOut == scaleUp)
      result.push_back(dispatchCandidate(dispatch, scaleOut, scaleUp));
  }
  return result;
}

Candidate CandidateBuilder::combineCandidate(CombineOp combine,
                                             RowPer scaleUp) const {
  RankedTensorType y = combine.getY().getType(),
                   out = combine.getOut().getType();
  Type partialSum = combine.getPartialType();
  Traffic traffic = combineTraffic(rows, scaleUp,
                                   {double(combine.getBytesPerRow()),
                                    bytesPerRow(out, partialSum),
                                    bytesPerRow(out, out.getElementType())});
  bool isPartial = scaleUp == RowPer::Rank;
  Candidate candidate{{}, cost(traffic, speeds)};
  candidate.hops.push_back(getHop(
      HopScope::ScaleUp, scaleUp, isPartial ? HopMode::Push : HopMode::Pull,
      isPartial ? partialSum : y.getElementType(), traffic.scaleUpBytes));
  if (hasScaleOut())
    candidate.hops.push_back(getHop(HopScope::ScaleOut, RowPer::Node,
                                    HopMode::Push, partialSum,
                                    traffic.scaleOutBytes));
  return candidate;
}

SmallVector<Candidate> CandidateBuilder::candidates(CombineOp combine) const {
  return {combineCandidate(combine, RowPer::Assignment),
          combineCandidate(combine, RowPer::Rank)};
}

//===----------------------------------------------------------------------===//
// 2. What is asked for
//===----------------------------------------------------------------------===//

/// Keeps, hop by hop, the candidates with \p unique, where there are any.
static void force(SmallVectorImpl<Candidate> &candidates, Unique unique) {
  for (size_t hop = 0; hop < candidates.front().hops.size(); ++hop) {
    bool isScaleUp =
        candidates.front().hops[hop].getScope() == HopScope::ScaleUp;
    Unique wanted = isScaleUp && unique == Unique::Node ? Unique::Rank : unique;
    auto isWanted = [&](const Candidate &candidate) {
      return candidate.hops[hop].getUnique() == wanted;
    };
    if (llvm::any_of(candidates, isWanted))
      llvm::erase_if(candidates, std::not_fn(isWanted));
  }
}

static std::optional<Unique> getForced(UniqueOption option) {
  switch (option) {
  case UniqueOption::Auto:
    return std::nullopt;
  case UniqueOption::Assignment:
    return Unique::Assignment;
  case UniqueOption::Rank:
    return Unique::Rank;
  case UniqueOption::Node:
    return Unique::Node;
  }
  llvm_unreachable("all cases return");
}

//===----------------------------------------------------------------------===//
// 3. The choice
//===----------------------------------------------------------------------===//

/// Such as "scale_out node, scale_up rank".
static std::string describe(ArrayRef<HopAttr> hops) {
  return llvm::join(
      llvm::map_range(hops,
                      [](HopAttr hop) {
                        return (stringifyHopScope(hop.getScope()) + " " +
                                stringifyUnique(hop.getUnique()))
                            .str();
                      }),
      ", ");
}

static StringRef describe(Resource resource) {
  switch (resource) {
  case Resource::ScaleOut:
    return "scale_out";
  case Resource::ScaleUp:
    return "scale_up";
  case Resource::Memory:
    return "memory";
  }
  llvm_unreachable("all cases return");
}

static std::string describe(const Cost &cost) {
  return llvm::formatv("{0:f1} on {1}, {2:f1} in all", cost.slowestNs,
                       describe(cost.slowest), cost.sumNs);
}

/// What the numbers of a cost are.
static StringRef describeUnit(TopologyAttr topology) {
  bool isGiven = topology.getMemoryGbps() || topology.getScaleUpGbps() ||
                 topology.getScaleOutGbps();
  return isGiven ? "modelled ns per token"
                 : "modelled bytes per token, links being as fast as memory";
}

template <typename ShuffleOp>
void PlanDedupPass::plan(ShuffleOp shuffle, RankedTensorType expertRows,
                         StringRef subject) {
  if (shuffle.getHopsAttr())
    return;
  auto planType = cast<PlanType>(shuffle.getPlan().getType());
  auto group = SymbolTable::lookupNearestSymbolFrom<GroupOp>(
      shuffle, planType.getGroup());
  bool isRankMajor = isa<RankMajorLayoutAttr>(getLayout(expertRows));
  SmallVector<Candidate> all =
      CandidateBuilder(group, isRankMajor).candidates(shuffle); // 1.
  SmallVector<Candidate> allowed = all;
  std::optional<Unique> forced = getForced(unique);
  if (forced)
    force(allowed, *forced); // 2.
  const Candidate &choice = *std::min_element(
      allowed.begin(), allowed.end(),
      [](const Candidate &a, const Candidate &b) { return a.cost < b.cost; });
  shuffle.setHopsAttr(Builder(shuffle).getArrayAttr(
      SmallVector<Attribute>(choice.hops.begin(), choice.hops.end()))); // 3.

  std::string reason;
  if (forced)
    reason =
        llvm::formatv("unique = {0} was asked for; ", stringifyUnique(*forced));
  reason += llvm::formatv("{0}: {1}", describeUnit(group.getTopology()),
                          describe(choice.cost));
  SmallVector<std::string> rejected;
  for (const Candidate &candidate : all)
    if (candidate.hops != choice.hops)
      rejected.push_back(llvm::formatv("not {0}: {1}", describe(candidate.hops),
                                       describe(candidate.cost)));
  if (remarks) {
    InFlightDiagnostic remark = shuffle->emitRemark(describe(choice.hops))
                                << ": " << reason;
    for (StringRef text : rejected)
      remark.attachNote() << text;
  }
  recordDecision(getOperation(), subject, describe(choice.hops),
                 reason + "; " + llvm::join(rejected, "; "));
}

void PlanDedupPass::runOnOperation() {
  getOperation().walk([&](Operation *op) {
    if (auto dispatch = dyn_cast<DispatchOp>(op))
      plan(dispatch, dispatch.getRows().getType(), "dispatch.hops");
    else if (auto combine = dyn_cast<CombineOp>(op))
      plan(combine, combine.getY().getType(), "combine.hops");
  });
}
