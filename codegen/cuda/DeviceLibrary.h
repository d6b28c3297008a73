//===- DeviceLibrary.h - Functions that kernels call ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// How the thread blocks of a rank and the ranks of a GPU wait for each other,
/// and how a kernel reports an error: the GPU's counterpart of what the runtime
/// does for a CPU (fusco_program_wait, fusco_program_put, fusco_program_fail).
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_CUDA_DEVICELIBRARY_H
#define FUSCO_CODEGEN_CUDA_DEVICELIBRARY_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace fusco {

/// Functions of DeviceLibrary.cpp, which says what each takes. All but Meet are
/// for the first thread of a block, with the others waiting.
enum class DeviceCall {
  Begin,  ///< a program's first block starts: status, 0 to go on
  End,    ///< and ends
  Fork,   ///< starts a team
  Join,   ///< waits for its end: not 0 where it failed
  Await,  ///< another block waits for the next team
  Arrive, ///< and has done its part
  Wait,   ///< waits for a counter: not 0 where that failed
  Put,    ///< asks the host for a put to another node
  Fail,   ///< records an error
  Mark,   ///< notes that the block begins or ends a span
  Meet    ///< all threads of all blocks meet
};

/// Adds the functions to \p module.
void insertDeviceLibrary(mlir::ModuleOp module);

/// Calls one of them, which the module has. Returns its result, null where it
/// has none.
mlir::Value callDevice(mlir::ImplicitLocOpBuilder &b, mlir::ModuleOp module,
                       DeviceCall call, mlir::ValueRange operands);

} // namespace fusco

#endif // FUSCO_CODEGEN_CUDA_DEVICELIBRARY_H
