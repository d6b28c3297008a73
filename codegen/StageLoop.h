//===- StageLoop.h - One worker takes all stages ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What a worker does of a pipe.pipeline, for any target: all stages in turn,
/// each its lag behind.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_STAGELOOP_H
#define FUSCO_CODEGEN_STAGELOOP_H

#include "codegen/ScalarBuilder.h"
#include "dialect/PipeDialect.h"

namespace fusco {

/// Moves the stages of \p op into a loop at the builder's place: in step s, a
/// stage takes the worker's chunk number s - lag of \p count (index), if there
/// is one. `chunkOf` gives the chunk of that number.
void buildStageLoop(ScalarBuilder &b, mlir::RewriterBase &rewriter,
                    pipe::PipelineOp op, mlir::Value count,
                    llvm::function_ref<mlir::Value(mlir::Value)> chunkOf);

} // namespace fusco

#endif // FUSCO_CODEGEN_STAGELOOP_H
