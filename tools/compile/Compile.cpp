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
#include "codegen/CpuBackend.h"
#include "codegen/Header.h"
#include "codegen/LibraryInfo.h"
#include "codegen/Passes.h"
#include "codegen/Report.h"
#include "codegen/RuntimeCalls.h"
#include "dialect/FuscoDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "passes/Passes.h"
#include "tools/compile/Files.h"
#include "tools/compile/Link.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/SourceMgr.h"

using namespace fusco;
using namespace fusco::compile;

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

static llvm::Error writeHeaderAndReport(OutputFiles &files,
                                        const Options &options,
                                        mlir::ModuleOp module,
                                        const fusco_library_info &info,
                                        llvm::StringRef cpu) {
  if (!options.header.empty()) {
    auto out = files.open(options.header);
    if (!out)
      return out.takeError();
    writeHeader(info, **out);
  }
  if (!options.report.empty()) {
    auto out = files.open(options.report);
    if (!out)
      return out.takeError();
    **out << llvm::formatv("{0:2}\n", buildReport(module, info, cpu));
  }
  return llvm::Error::success();
}

/// Everything after the pipelines: \p module is all LLVM dialect.
static llvm::Expected<bool> emit(OutputFiles &files, const Options &options,
                                 mlir::ModuleOp module,
                                 const CpuTarget &target) {
  auto out = files.open(options.output);
  if (!out)
    return out.takeError();
  if (options.emit == Emit::Mlir) {
    **out << *module << "\n";
    return true;
  }
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule =
      translateToLlvm(module, context, target, options.sanitizeThread);
  if (!llvmModule)
    return false;
  if (options.emit == Emit::Llvm) {
    **out << *llvmModule;
    return true;
  }
  if (options.emit == Emit::Obj) {
    if (llvm::Error error = emitObject(*llvmModule, target, **out))
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

llvm::Expected<bool> fusco::compile::compile(const Options &options) {
  llvm::Expected<CpuTarget> target = createCpuTarget(options.cpu);
  if (!target)
    return target.takeError();

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
  programs.chunkTokens = options.chunkTokens;
  programs.ringChunks = options.ringChunks;
  programs.stageLag = options.stageLag;
  programs.hasBackward = options.hasBackward;
  if (!runPipeline(*module, [&](mlir::OpPassManager &manager) {
        buildPipePipeline(manager, programs);
      }))
    return false;
  mlir::FailureOr<fusco_library_info> info =
      getLibraryInfo(*module, target->level);
  if (mlir::failed(info))
    return false;
  if (llvm::Error error = writeHeaderAndReport(files, options, *module, *info,
                                               target->machine->getTargetCPU()))
    return std::move(error);
  CpuPipelineOptions pipeline;
  pipeline.cpuLevel = target->level;
  if (!runPipeline(*module, [&](mlir::OpPassManager &manager) {
        buildPipeToCpuPipeline(manager, pipeline);
      }))
    return false;
  llvm::Expected<bool> isEmitted = emit(files, options, *module, *target);
  if (!isEmitted || !*isEmitted)
    return isEmitted;
  if (llvm::Error error = files.keep())
    return std::move(error);
  return true;
}
