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

def PipeOpsToCudaPass : Pass<"pipe-ops-to-cuda", "::mlir::ModuleOp"> {
  let summary = "planning and row operations to SIMT code of a GPU";
  let description = [{
    A rank is some thread blocks. Its program is done by the first of them, all
    of its threads in uniform control flow; a pipe.team by all. Who does what is
    SimtScope's (codegen/cuda/SimtBuilder.h): operations of rows and tables
    become loops over the threads of their scope, stores of scalars are done by
    one of them.

    Rows that dispatch copies as they are go through shared memory by bulk
    copies, where their size and alignment allow; others, and sums, through
    registers, 16 bytes at a time where alignment allows. The dynamic shared
    memory that a program and its teams need at most becomes its attribute
    `pipe.shared_bytes`.

    Example: test/codegen/cuda-ops.mlir.
  }];
  let options = [
    Option<"threadsPerBlock", "threads-per-block", "int64_t", /*default=*/"384",
           "threads of a block, a multiple of 32">,
    Option<"sharedBytes", "shared-bytes", "int64_t", /*default=*/"232448",
           "dynamic shared memory of a block at most">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect"];
}

def PipeProgramsToCudaPass : Pass<"pipe-programs-to-cuda", "::mlir::ModuleOp"> {
  let summary = "programs to kernels of fusco_device_args";
  let description = [{
    Each pipe.program becomes a kernel that takes a fusco_device_args
    (runtime/include/fusco/library.h), each pipe.team a function. A rank is one
    launch: its first block does what the program says, all its blocks what teams
    say. Waits, puts and signals are done within the kernel; a wait looks at the
    clock, and what fails is recorded for the host to read.

    Assumes pipe-fork-teams, pipe-ops-to-cuda, pipe-assign-memory, and that
    structured control flow is gone; leaves some of its own.

    Example: test/codegen/cuda-programs.mlir.
  }];
  let options = [
    Option<"threadsPerBlock", "threads-per-block", "int64_t", /*default=*/"384",
           "threads of a block, a multiple of 32">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::cf::ControlFlowDialect", "::mlir::func::FuncDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def GatherKernelsPass : Pass<"fusco-gather-kernels", "::mlir::ModuleOp"> {
  let summary = "all functions of the LLVM dialect to a gpu.module";
  let description = [{
    Those that are not internal become kernels, which take a fusco_device_args by
    value.

    Example: test/codegen/cuda-programs.mlir.
  }];
  let options = [
    Option<"threadsPerBlock", "threads-per-block", "int64_t", /*default=*/"384",
           "threads of a block, a multiple of 32">
  ];
  let dependentDialects = ["::mlir::gpu::GPUDialect"];
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
    Option<"target", "target", "std::string", /*default=*/"\"cpu\"",
           "what the code is made for: cpu, sm_90">,
    Option<"cpuLevel", "cpu-level", "int32_t", /*default=*/"0",
           "instructions that a CPU's code needs, a fusco_cpu_level">,
    Option<"maxBlocks", "max-blocks", "int32_t", /*default=*/"0",
           "thread blocks that a rank runs at most, on a GPU">,
    Option<"threadsPerBlock", "threads-per-block", "int32_t", /*default=*/"0",
           "threads of a block, on a GPU">
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
