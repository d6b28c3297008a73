//===- BaselineProgram.h - Programs that baselines run in -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// How each baseline that is no program of the library is started, and what to
/// say where it cannot be.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_BASELINEPROGRAM_H
#define FUSCO_TOOLS_RUN_BASELINEPROGRAM_H

#include "tools/run/Library.h"

#include <string>
#include <vector>

namespace fusco::run {

struct BaselineProgram {
  std::string title;                ///< in messages: "MPI"
  std::vector<std::string> command; ///< the path of the mailbox goes last
  std::string cannotStart; ///< the error if there is no command.front()
  /// In the line of its output that says why it has ended.
  std::vector<std::string> causes;
  int64_t startTimeoutMs;
  /// It may take that much longer to load its first tokens than other commands.
  int64_t compileTimeoutMs;
};

/// Permute, MPI_Alltoallv, permute (tools/baseline/). Throws Error if it is not
/// there.
BaselineProgram mpiProgram(const Library &library);
/// The same in PyTorch, on the GPU if \p library is for one. Throws Error if it
/// is not there.
BaselineProgram torchProgram(const Library &library);
/// The same with a process and a GPU for each rank.
BaselineProgram ncclProgram(const Library &library);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_BASELINEPROGRAM_H
