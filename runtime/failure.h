//===- failure.h - What programs fail with ----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The texts of what goes wrong in a program, wherever it runs, and what that
/// does to its context. All name the context's current entry point.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_FAILURE_H
#define FUSCO_RUNTIME_FAILURE_H

#include "runtime/context.h"

namespace fusco::runtime {

/// Ends \p context for good, with the thread's last error as the reason.
fusco_status breakContext(fusco_context &context, fusco_status status);

/// A wait for \p peer on \p channel of the library that expired: ends the
/// context, and tells the domain.
fusco_status failExpiredWait(fusco_context &context, std::uint64_t actual,
                             std::uint64_t expected, std::int32_t peer,
                             std::int32_t channel);

/// "rank 3 failed with FUSCO_TIMEOUT"
struct FailureText {
  char data[96];
};
FailureText describe(const RankFailure &failure);

/// A wait like that which ended because some rank has failed: ends the context.
fusco_status failAbortedWait(fusco_context &context, const RankFailure &failure,
                             std::int32_t channel, std::int32_t peer,
                             std::uint64_t actual, std::uint64_t expected);

/// A call that came after some rank had failed: ends the context.
fusco_status failLateCall(fusco_context &context, const RankFailure &failure);

/// A put to \p peer, or to any if that is -1, that failed with \p status and
/// the thread's last error: ends the context, and tells the domain.
fusco_status failPut(fusco_context &context, std::int32_t peer,
                     fusco_status status);

/// A program that reads a plan, and none was filled.
fusco_status failEmptyPlan(const EntryPoint &where);

/// What generated code found, as fusco_program_fail says. A status that is not
/// listed there has its text already.
fusco_status failProgram(const fusco_context &context, fusco_status status,
                         std::int64_t a, std::int64_t b, std::int64_t c);

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_FAILURE_H
