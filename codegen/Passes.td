//===- Passes.td - Passes from pipe programs to a target ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_PASSES_TD
#define FUSCO_CODEGEN_PASSES_TD

include "mlir/Pass/PassBase.td"

def PipeOpsToCpuPass : Pass<"pipe-ops-to-cpu", "::mlir::ModuleOp"> {
  let summary = "planning and row operations to loops of a CPU";
  let description = [{
    A worker is a thread, and takes all stages of a pipeline in turn.
    pipe.histogram, place and assign become scalar loops; the operations of rows
    vector loops over the bytes or columns of a row, whose size is known. A row's
    loads and stores have the alignment that its size leaves; `streaming` stores
    are non-temporal where that is 64 bytes.

    Example: test/codegen/cpu-ops.mlir.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
    "::mlir::LLVM::LLVMDialect"];
}

def PipeProgramsToCpuPass : Pass<"pipe-programs-to-cpu", "::mlir::ModuleOp"> {
  let summary = "programs to functions of fusco_program_args";
  let description = [{
    Each pipe.program becomes a function that takes a pointer to
    fusco_program_args (runtime/include/fusco/library.h) and returns a
    fusco_status. Tensors, buffers, peers and channels become addresses, signals
    within a node atomic additions, and what goes further calls of
    fusco_program_put. A wait looks at the counter and calls fusco_program_wait
    where that does not suffice; a pipe.fail_if calls
    fusco_program_fail; where either has a status to report, the function returns
    it.

    Assumes pipe-assign-memory, and that structured control flow is gone, since
    waits and failures leave from anywhere.

    Example: test/codegen/cpu-programs.mlir.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::cf::ControlFlowDialect", "::mlir::func::FuncDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect"];
}

def DescribeLibraryPass : Pass<"fusco-describe-library", "::mlir::ModuleOp"> {
  let summary = "add the library's description as a constant";
  let description = [{
    Adds a global with the bytes of the module's fusco_library_info
    (runtime/include/fusco/library.h). Assumes pipe programs with assigned
    memory.

    Example: test/codegen/export-library.mlir.
  }];
  let options = [
    Option<"cpuLevel", "cpu-level", "int32_t", /*default=*/"0",
           "instructions that the code needs, a fusco_cpu_level">
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def ExportLibraryPass : Pass<"fusco-export-library", "::mlir::ModuleOp"> {
  let summary = "add the library's entry points";
  let description = [{
    Adds the fusco_library of the description and the programs, the functions
    `fusco_library_get` and `MODEL_library` that return it, and for each program
    an entry point `MODEL_PROGRAM`, with the prototype that the generated header
    gives. Assumes fusco-describe-library, and that programs are functions of the
    LLVM dialect.

    Example: test/codegen/export-library.mlir.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // FUSCO_CODEGEN_PASSES_TD
