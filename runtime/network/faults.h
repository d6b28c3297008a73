//===- faults.h - A network that misbehaves ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Wraps a network and does to it what real ones do on bad days: for tests, and
/// to see what a program of one's own makes of it (FUSCO_FAULTS).
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_NETWORK_FAULTS_H
#define FUSCO_RUNTIME_NETWORK_FAULTS_H

#include "runtime/network/network.h"

#include <memory>

namespace fusco::runtime {

/// Wraps \p network. \p text names faults, separated by commas:
///   delay_ms=N   operations start up to N milliseconds late
///   reorder      operations overtake each other
///   duplicate    the end of each operation is said twice
///   short=N      the N-th write ends with a byte too few
///   silent=R     operations towards rank R never end
///   gone=R       operations towards rank R fail
///   after=N      the first N operations are spared
///   seed=N       of what is drawn, default 1
fusco_status makeFaulty(const char *text, std::unique_ptr<Network> &network);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_NETWORK_FAULTS_H
