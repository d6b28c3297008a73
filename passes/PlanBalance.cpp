//===- PlanBalance.cpp - Who forwards between nodes -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// fusco-plan-balance, for the scale_out hop of each dispatch and combine: the
/// policy that is asked for, or the cheaper of rail and balanced by the model
/// of CostModel.h.
///
//===----------------------------------------------------------------------===//

#include "dialect/FuscoOps.h"
#include "mlir/IR/Builders.h"
#include "passes/CostModel.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

namespace fusco {
#define GEN_PASS_DEF_PLANBALANCEPASS
#include "passes/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;

namespace {
/// A policy, and why.
struct Choice {
  Forwarders forwarders;
  std::string reason;
};

struct PlanBalancePass : fusco::impl::PlanBalancePassBase<PlanBalancePass> {
  using PlanBalancePassBase::PlanBalancePassBase;
  void runOnOperation() override;

private:
  template <typename ShuffleOp> void plan(ShuffleOp shuffle, StringRef subject);
  Choice choose(ArrayAttr hops, TopologyAttr topology, bool hasGradient);
};
} // namespace

static std::optional<Forwarders> getForced(PolicyOption policy) {
  switch (policy) {
  case PolicyOption::Auto:
    return std::nullopt;
  case PolicyOption::Groups:
    return Forwarders::Groups;
  case PolicyOption::Balanced:
    return Forwarders::Balanced;
  case PolicyOption::Rail:
    return Forwarders::Rail;
  }
  llvm_unreachable("all cases return");
}

Choice PlanBalancePass::choose(ArrayAttr hops, TopologyAttr topology,
                               bool hasGradient) {
  if (topology.getRanksPerNode() == 1)
    return {Forwarders::Rail, "a node has one rank"};
  std::optional<Forwarders> forced = getForced(policy);
  if (hasGradient && (!forced || *forced == Forwarders::Balanced))
    return {Forwarders::Rail, "gradients of weights come back by rail"};
  if (forced)
    return {*forced, "policy = " + stringifyForwarders(*forced).str() +
                         " was asked for"};
  if (topology.getScaleOutGbps() == 0)
    return {Forwarders::Rail, "links are as fast as memory, so that evening "
                              "them out would cost what it saves"};

  Traffic traffic{0, 0, 0};
  for (HopAttr hop : hops.getAsRange<HopAttr>())
    (hop.getScope() == HopScope::ScaleUp ? traffic.scaleUpBytes
                                         : traffic.scaleOutBytes) =
        double(hop.getBytesPerToken());
  LinkSpeeds speeds =
      linkSpeeds(topology.getMemoryGbps(), topology.getScaleUpGbps(),
                 topology.getScaleOutGbps());
  double railNs = cost(railTraffic(traffic), speeds).slowestNs;
  double balancedNs =
      cost(balancedTraffic(traffic, topology.getRanksPerNode()), speeds)
          .slowestNs;
  return {balancedNs < railNs ? Forwarders::Balanced : Forwarders::Rail,
          llvm::formatv("modelled ns per token on the slowest link: rail "
                        "{0:f1}, balanced {1:f1}",
                        railNs, balancedNs)};
}

template <typename ShuffleOp>
void PlanBalancePass::plan(ShuffleOp shuffle, StringRef subject) {
  ArrayAttr hops = shuffle.getHopsAttr();
  if (!hops)
    return;
  auto isScaleOut = [](HopAttr hop) {
    return hop.getScope() == HopScope::ScaleOut;
  };
  if (llvm::none_of(hops.getAsRange<HopAttr>(), isScaleOut))
    return;
  auto planType = cast<PlanType>(shuffle.getPlan().getType());
  auto group = SymbolTable::lookupNearestSymbolFrom<GroupOp>(
      shuffle, planType.getGroup());
  bool hasGradient =
      llvm::any_of(shuffle.getPlan().getUsers(),
                   [](Operation *user) { return isa<WeightGradientOp>(user); });
  Choice choice = choose(hops, group.getTopology(), hasGradient);
  SmallVector<Attribute> changed;
  for (HopAttr hop : hops.getAsRange<HopAttr>())
    changed.push_back(
        HopAttr::get(hop.getContext(), hop.getScope(), hop.getUnique(),
                     hop.getMode(), hop.getWire(), hop.getBytesPerToken(),
                     isScaleOut(hop) ? choice.forwarders : Forwarders::Rail));
  shuffle.setHopsAttr(ArrayAttr::get(&getContext(), changed));
  recordDecision(getOperation(), subject,
                 stringifyForwarders(choice.forwarders), choice.reason);
}

void PlanBalancePass::runOnOperation() {
  getOperation().walk([&](Operation *op) {
    if (auto dispatch = dyn_cast<DispatchOp>(op))
      plan(dispatch, "dispatch.forwarders");
    else if (auto combine = dyn_cast<CombineOp>(op))
      plan(combine, "combine.forwarders");
  });
}
