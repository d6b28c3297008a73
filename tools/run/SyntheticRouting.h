//===- SyntheticRouting.h - Routing with measured loads ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Draws expert ids whose statistics are those of real routing in two respects:
/// how unequal the experts' loads are, and how much neighbouring tokens agree.
/// This is load-calibrated synthetic routing, not a trace. And the routing that
/// strains a shuffle most, which needs no drawing.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_SYNTHETICROUTING_H
#define FUSCO_TOOLS_RUN_SYNTHETICROUTING_H

#include "tools/run/Random.h"

#include <cstdint>
#include <vector>

namespace fusco::run {

/// Expert ids [tokens, topk], distinct within a token; where topk is larger
/// than \p experts, the rest is -1. The hottest expert gets about \p skew times
/// the mean load, as far as one assignment per token allows, and neighbouring
/// tokens share about 3.7 times more experts than independent ones would.
std::vector<int64_t> drawRouting(int64_t experts, int topk, int64_t tokens,
                                 double skew, Random random);

/// Expert ids [tokens, topk]: in turn those of the first \p experts experts, so
/// that they have equal loads, distinct within a token; the rest is -1. With
/// one expert all goes there, with none nothing is routed.
std::vector<int64_t> dealRouting(int64_t experts, int topk, int64_t tokens);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_SYNTHETICROUTING_H
