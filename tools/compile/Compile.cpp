//===- Compile.cpp - From a module to its outputs -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Compile.h.
///
//===----------------------------------------------------------------------===//

#include "tools/compile/Compile.h"
#include "codegen/Header.h"
#include "codegen/LibraryInfo.h"
#include "codegen/Passes.h"
#include "codegen/Report.h"
#include "codegen/RuntimeCalls.h"
#include "codegen/cpu/CpuBackend.h"
#include "codegen/cuda/CudaBackend.h"
#include "codegen/cuda/Kernels.h"
#include "dialect/FuscoDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "passes/Passes.h"
#include "tools/compile/Assemble.h"
#include "tools/compile/Files.h"
#include "tools/compile/Link.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SourceMgr.h"

using namespace fusco;
using namespace fusco::compile;

/// What the host's half of a library for a GPU is compiled for.
static constexpr llvm::StringLiteral hostCpu{"x86-64-v3"};

/// A name that C code can use: the entry points carry it.
static bool isIdentifier(llvm::StringRef name) {
  return !name.empty() && !llvm::isDigit(name[0]) &&
         llvm::all_of(name,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

/// Runs a pipeline on \p module; diagnostics have been printed on failure.
static bool runPipeline(mlir::ModuleOp module,
                        llvm::function_ref<void(mlir::OpPassManager &)> build) {
  mlir::PassManager manager(module->getContext());
  build(manager);
  return mlir::succeeded(manager.run(module));
}

static llvm::Error writeHeader(OutputFiles &files, const Options &options,
                               const fusco_library_info &info) {
  if (options.header.empty())
    return llvm::Error::success();
  auto out = files.open(options.header);
  if (!out)
    return out.takeError();
  writeHeader(info, **out);
  return llvm::Error::success();
}

static llvm::Error writeReport(OutputFiles &files, const Options &options,
                               const llvm::json::Value &report) {
  if (options.report.empty())
    return llvm::Error::success();
  auto out = files.open(options.report);
  if (!out)
    return out.takeError();
  **out << llvm::formatv("{0:2}\n", report);
  return llvm::Error::success();
}

/// Writes \p module, all LLVM dialect, as LLVM IR, an object or a library.
static llvm::Expected<bool>
emitForHost(OutputFiles &files, const Options &options, mlir::ModuleOp module,
            const CpuTarget &target, llvm::raw_fd_ostream &out) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule =
      translateToLlvm(module, context, target, options.sanitizeThread);
  if (!llvmModule)
    return false;
  if (options.emit == Emit::Llvm) {
    out << *llvmModule;
    return true;
  }
  if (options.emit == Emit::Obj) {
    if (llvm::Error error = emitObject(*llvmModule, target, out))
      return std::move(error);
    return true;
  }
  llvm::Expected<std::string> object = files.openScratch("o");
  if (!object)
    return object.takeError();
  std::error_code errorCode;
  llvm::raw_fd_ostream objectOut(*object, errorCode);
  if (llvm::Error error = emitObject(*llvmModule, target, objectOut))
    return std::move(error);
  objectOut.close();
  if (objectOut.has_error())
    return llvm::createStringError("cannot write '" + *object +
                                   "': " + objectOut.error().message());
  if (llvm::Error error = linkLibrary(
          files, options.linker, getModelName(module), *object,
          files.temporaryName(options.output), options.sanitizeThread))
    return std::move(error);
  return true;
}

/// Compiles \p module, pipe programs with memory, for a CPU.
static llvm::Expected<bool> compileForCpu(OutputFiles &files,
                                          const Options &options,
                                          mlir::ModuleOp module,
                                          const CpuTarget &target) {
  CpuPipelineOptions pipeline;
  pipeline.cpuLevel = target.level;
  if (!runPipeline(module, [&](mlir::OpPassManager &manager) {
        buildPipeToCpuPipeline(manager, pipeline);
      }))
    return false;
  auto out = files.open(options.output);
  if (!out)
    return out.takeError();
  if (options.emit != Emit::Mlir)
    return emitForHost(files, options, module, target, **out);
  **out << module << "\n";
  return true;
}

/// Adds to the \p report's programs what ptxas says of their kernels, and warns
/// of spills.
static void reportKernels(llvm::json::Value &report, const Assembled &code,
                          mlir::gpu::GPUModuleOp kernels) {
  for (llvm::json::Value &program :
       *report.getAsObject()->getArray("programs")) {
    llvm::json::Object &fields = *program.getAsObject();
    std::string name = getDeviceSymbol(*fields.getString("name"));
    KernelUsage usage = code.kernels.lookup(name);
    mlir::Operation *kernel = kernels.lookupSymbol(name);
    fields["kernel"] =
        llvm::json::Object{{"name", name},
                           {"registers", usage.registers},
                           {"shared_bytes", getSharedBytes(kernel)},
                           {"spill_bytes", usage.spillBytes}};
    if (usage.spillBytes > 0)
      llvm::errs() << "fusco-compile: warning: kernel '" << name << "' spills "
                   << usage.spillBytes
                   << " bytes of registers; try fewer --threads-per-block\n";
  }
}

/// Compiles \p module, pipe programs with memory, for a GPU.
static llvm::Expected<bool>
compileForGpu(OutputFiles &files, const Options &options, mlir::ModuleOp module,
              llvm::TargetMachine &machine, llvm::json::Value &report) {
  CudaPipelineOptions pipeline;
  pipeline.target = options.target;
  pipeline.threadsPerBlock = options.threadsPerBlock;
  pipeline.maxBlocks = options.maxBlocks;
  if (!runPipeline(module, [&](mlir::OpPassManager &manager) {
        buildPipeToCudaPipeline(manager, pipeline);
      }))
    return false;
  auto out = files.open(options.output);
  if (!out)
    return out.takeError();
  if (options.emit == Emit::Mlir) {
    **out << module << "\n";
    return true;
  }
  mlir::gpu::GPUModuleOp kernels = findKernels(module);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule =
      translateKernels(kernels, context, machine);
  if (!llvmModule)
    return false;
  if (options.emit == Emit::Llvm) {
    **out << *llvmModule;
    return true;
  }
  llvm::Expected<std::string> ptx = emitPtx(*llvmModule, machine);
  if (!ptx)
    return ptx.takeError();
  if (options.emit == Emit::Ptx) {
    **out << *ptx;
    return true;
  }
  llvm::Expected<std::string> ptxas = findPtxas(options.ptxas);
  if (!ptxas)
    return ptxas.takeError();
  if (options.emit == Emit::Cubin && ptxas->empty())
    return llvm::createStringError(
        "cannot find ptxas, which --emit cubin needs; install the CUDA toolkit "
        "or name it with --ptxas");
  Assembled code;
  if (!ptxas->empty()) {
    llvm::Expected<Assembled> assembled =
        assemble(files, *ptxas, options.target, *ptx);
    if (!assembled)
      return assembled.takeError();
    code = std::move(*assembled);
    reportKernels(report, code, kernels);
  }
  if (options.emit == Emit::Cubin) {
    **out << code.cubin;
    return true;
  }
  replaceByCode(kernels, *ptx, code.cubin);
  if (!runPipeline(module, [](mlir::OpPassManager &manager) {
        manager.addPass(createExportLibraryPass());
      }))
    return false;
  llvm::Expected<CpuTarget> host = createCpuTarget(hostCpu);
  if (!host)
    return host.takeError();
  return emitForHost(files, options, module, *host, **out);
}

llvm::Expected<bool> fusco::compile::compile(const Options &options) {
  CpuTarget cpu;
  std::unique_ptr<llvm::TargetMachine> gpu;
  LibraryTarget target;
  target.name = options.target;
  if (isForGpu(options)) {
    auto made = createCudaTarget(options.target);
    if (!made)
      return made.takeError();
    gpu = std::move(*made);
    target.maxBlocks = options.maxBlocks;
    target.threadsPerBlock = options.threadsPerBlock;
  } else {
    auto made = createCpuTarget(options.cpu);
    if (!made)
      return made.takeError();
    cpu = std::move(*made);
    target.cpuLevel = cpu.level;
  }

  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> input =
      mlir::openInputFile(options.input, &message);
  if (!input)
    return llvm::createStringError(message);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(input), llvm::SMLoc());

  mlir::DialectRegistry registry;
  registry.insert<FuscoDialect, mlir::func::FuncDialect>();
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.printOpOnDiagnostic(false);
  mlir::SourceMgrDiagnosticHandler diagnostics(sources, &context);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::parseSourceFile<mlir::ModuleOp>(sources, &context);
  if (!module)
    return false;
  if (!isIdentifier(getModelName(*module))) {
    module->emitError("expected the module's name to be a C identifier, got '")
        << getModelName(*module) << "'";
    return false;
  }
  // Entry points would look like the runtime's.
  if (getModelName(*module) == "fusco" ||
      getModelName(*module).starts_with("fusco_")) {
    module->emitError("expected another module name than '")
        << getModelName(*module) << "', which belongs to the runtime";
    return false;
  }
  for (auto function : module->getOps<mlir::func::FuncOp>()) {
    if (!isIdentifier(function.getSymName())) {
      function.emitError("expected the function's name to be a C identifier, "
                         "got '")
          << function.getSymName() << "'";
      return false;
    }
  }

  OutputFiles files;
  PipePipelineOptions programs;
  programs.fuse = options.fuse;
  programs.hasBaseline = options.hasBaseline;
  programs.unique = options.unique;
  programs.forwarders = options.forwarders;
  programs.chunkTokens = options.chunkTokens;
  programs.ringChunks = options.ringChunks;
  programs.stageLag = options.stageLag;
  programs.hasBackward = options.hasBackward;
  programs.timeline = options.hasTimeline;
  if (isForGpu(options))
    setCudaWorkers(programs, options.maxBlocks, options.threadsPerBlock);
  if (!runPipeline(*module, [&](mlir::OpPassManager &manager) {
        buildPipePipeline(manager, programs);
      }))
    return false;
  mlir::FailureOr<fusco_library_info> info = getLibraryInfo(*module, target);
  if (mlir::failed(info))
    return false;
  if (llvm::Error error = writeHeader(files, options, *info))
    return std::move(error);
  llvm::json::Value report =
      buildReport(*module, *info,
                  gpu ? llvm::StringRef(hostCpu) : cpu.machine->getTargetCPU());
  llvm::Expected<bool> isEmitted =
      gpu ? compileForGpu(files, options, *module, *gpu, report)
          : compileForCpu(files, options, *module, cpu);
  if (!isEmitted || !*isEmitted)
    return isEmitted;
  if (llvm::Error error = writeReport(files, options, report))
    return std::move(error);
  if (llvm::Error error = files.keep())
    return std::move(error);
  return true;
}
