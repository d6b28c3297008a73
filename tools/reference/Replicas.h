//===- Replicas.h - Experts that are placed by a table ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Which replica of its expert each assignment goes to, as the semantics of
/// fusco.plan define it.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_REFERENCE_REPLICAS_H
#define FUSCO_TOOLS_REFERENCE_REPLICAS_H

#include "tools/reference/Reference.h"

#include <cstdint>
#include <vector>

namespace fusco::reference {

/// The quotas [physical experts] of assignments, where \p loads [experts] are
/// what all ranks have for each expert. \p placement says which expert each
/// physical one is, and has all of them.
std::vector<int64_t> quotasOf(const Shape &shape,
                              const std::vector<int64_t> &loads,
                              const std::vector<int64_t> &placement);

/// The ids of all ranks, \p ids[rank] being [tokens, topk], with the physical
/// experts that assignments go to in place of experts.
std::vector<std::vector<int64_t>>
physicalIdsOf(const Shape &shape, const std::vector<std::vector<int64_t>> &ids,
              const std::vector<int64_t> &placement);

} // namespace fusco::reference

#endif // FUSCO_TOOLS_REFERENCE_REPLICAS_H
