//===- Passes.td - Passes that decide how rows move -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// IR to IR, with no knowledge of a target. What a pass decides it writes into
// the IR.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_PASSES_PASSES_TD
#define FUSCO_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

def PlanDirectPass : Pass<"fusco-plan-direct", "::mlir::ModuleOp"> {
  let summary = "let every assignment's row travel straight to its slot";
  let description = [{
    Gives each fusco.dispatch and fusco.combine without `hops` the one hop
    `<reach = all, unique = assignment>`: the sender reads a row once and writes
    it to all its final slots, and combine reads the experts' rows from where
    they are. It assumes that every rank can address every other rank's memory.

    Example: test/passes/plan-direct.mlir.
  }];
  let dependentDialects = ["::fusco::FuscoDialect"];
}

def AddBaselinePass : Pass<"fusco-add-baseline", "::mlir::ModuleOp"> {
  let summary = "add each function's unfused form, to be measured against";
  let description = [{
    For each function NAME with a fusco.dispatch to expert_major or a
    fusco.combine from it, adds a function `NAME.unfused` that does the same by
    permute, all_to_all and permute, or by their mirror images. Such programs are
    no entry points; fusco-run finds them in the library.

    Example: test/passes/add-baseline.mlir.
  }];
  let dependentDialects = ["::fusco::FuscoDialect"];
}

def LowerToPipePass : Pass<"fusco-lower-to-pipe", "::mlir::ModuleOp"> {
  let summary = "from intent with hops to pipeline programs";
  let description = [{
    Each function becomes a pipe.program of the same name, whose arguments are
    the tensors that the function takes and returns; a plan becomes the memory of
    `plan` buffers.

    Assumes one fusco.group; functions that hold one fusco.plan and one
    fusco.dispatch of it, or one fusco.combine, straight between arguments and
    results, or the same in the unfused form, whose intermediate rows become
    arguments too (`send`, `recv`); hops by fusco-plan-direct; one hidden size, element type and
    expert_major alignment in the module. Anything else is an error at its
    place.

    Guarantees that a program signals and waits on each counter equally often on
    every path that does not fail, and that all ranks fail together where a
    rank's arguments or routing are bad.

    Example: test/passes/lower-to-pipe.mlir.
  }];
  let options = [
    Option<"cacheBytes", "cache-bytes", "int64_t", /*default=*/"1 << 20",
           "bytes that a rank may write in one call, at max_tokens, before its "
           "rows are stored past the caches">
  ];
  let dependentDialects = ["::fusco::pipe::PipeDialect",
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"];
}

def AssignMemoryPass : Pass<"pipe-assign-memory", "::mlir::ModuleOp"> {
  let summary = "give buffers and counters their byte offsets";
  let description = [{
    Sets `at` of every pipe.buffer and pipe.counter, in order, each aligned to 64
    bytes, and the module's attributes `pipe.symmetric_bytes` and
    `pipe.plan_bytes`: the exact sizes of a rank's heap and of a plan.

    Example: test/passes/assign-memory.mlir.
  }];
  let dependentDialects = ["::fusco::pipe::PipeDialect"];
}

#endif // FUSCO_PASSES_PASSES_TD
