//===- Copy.h - Copies of rows ----------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The copies that permutations are made of.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_BASELINE_COPY_H
#define FUSCO_TOOLS_BASELINE_COPY_H

#include <cstdint>

namespace fusco::baseline {

/// Copies \p bytes bytes, past the caches where addresses allow that: what is
/// permuted is larger than they are. endCopies() must follow the last copy.
void copyRows(uint8_t *to, const uint8_t *from, int64_t bytes);

/// Makes all copies visible to other processes.
void endCopies();

} // namespace fusco::baseline

#endif // FUSCO_TOOLS_BASELINE_COPY_H
