//===- CpuBackend.cpp - LLVM dialect to x86-64 code -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See CpuBackend.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/cpu/CpuBackend.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/Instrumentation/ThreadSanitizer.h"
#include "llvm/Transforms/Scalar/Scalarizer.h"

#include "fusco/library.h"

using namespace fusco;

static constexpr llvm::StringLiteral tripleName{"x86_64-unknown-linux-gnu"};
static constexpr llvm::StringLiteral avx2Features{"+avx2,+fma,+f16c"};
static constexpr llvm::StringLiteral avx512Features{
    "+avx512f,+avx512bw,+avx512dq,+avx512vl"};

/// The level of this machine, by the name of what it can run.
static llvm::StringRef getNativeLevel() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  bool hasAvx512 = llvm::all_of(
      llvm::ArrayRef<llvm::StringRef>{"avx512f", "avx512bw", "avx512dq",
                                      "avx512vl", "avx512cd"},
      [&](llvm::StringRef name) { return features.lookup(name); });
  return hasAvx512 ? "x86-64-v4" : "x86-64-v3";
}

llvm::Expected<CpuTarget> fusco::createCpuTarget(llvm::StringRef name) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(tripleName.str(), error);
  if (!target)
    return llvm::createStringError(error);

  llvm::StringRef cpu = name == "native" ? getNativeLevel() : name;
  std::unique_ptr<llvm::MCSubtargetInfo> generic(
      target->createMCSubtargetInfo(tripleName, "", ""));
  if (!generic->isCPUStringValid(cpu))
    return llvm::createStringError("unknown CPU '" + name +
                                   "'; expected native, x86-64-v3, x86-64-v4 "
                                   "or another name that LLVM knows");
  CpuTarget result;
  result.machine.reset(target->createTargetMachine(
      tripleName, cpu, "", llvm::TargetOptions(), llvm::Reloc::PIC_,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  const llvm::MCSubtargetInfo &info = *result.machine->getMCSubtargetInfo();
  if (!info.checkFeatures(avx2Features.str()))
    return llvm::createStringError("CPU '" + name +
                                   "' lacks AVX2, FMA or F16C, which generated "
                                   "code needs; take x86-64-v3 or later");
  result.level = info.checkFeatures(avx512Features.str()) ? FUSCO_CPU_AVX512
                                                          : FUSCO_CPU_AVX2;
  return result;
}

/// Adds the passes that instrument for ThreadSanitizer. It skips accesses of
/// more than 16 bytes, so vectors are cut into pieces of that size first.
static void addThreadSanitizer(llvm::ModulePassManager &passes) {
  llvm::ScalarizerPassOptions pieces;
  pieces.ScalarizeLoadStore = true;
  pieces.ScalarizeMinBits = 128;
  llvm::FunctionPassManager functions;
  functions.addPass(llvm::ScalarizerPass(pieces));
  functions.addPass(llvm::ThreadSanitizerPass());
  passes.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(functions)));
  passes.addPass(llvm::ModuleThreadSanitizerPass());
}

/// Has libc's functions called, which every runtime of ThreadSanitizer
/// intercepts; GCC 12's lacks those that LLVM calls in their place.
static void callInterceptedFunctions(llvm::Module &module) {
  for (llvm::StringRef name : {"memcpy", "memmove", "memset"}) {
    llvm::Function *callee = module.getFunction(("__tsan_" + name).str());
    if (!callee)
      continue;
    callee->replaceAllUsesWith(
        module.getOrInsertFunction(name, callee->getFunctionType())
            .getCallee());
    callee->eraseFromParent();
  }
}

std::unique_ptr<llvm::Module> fusco::translateToLlvm(mlir::ModuleOp module,
                                                     llvm::LLVMContext &context,
                                                     const CpuTarget &target,
                                                     bool sanitizeThread) {
  mlir::DialectRegistry registry;
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  module->getContext()->appendDialectRegistry(registry);
  std::unique_ptr<llvm::Module> result =
      mlir::translateModuleToLLVMIR(module, context);
  if (!result)
    return nullptr;
  llvm::TargetMachine &machine = *target.machine;
  result->setTargetTriple(machine.getTargetTriple().getTriple());
  result->setDataLayout(machine.createDataLayout());
  for (llvm::Function &function : *result) {
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    // Tables of a few rows are often shorter than a 512-bit vector, but rows of
    // tokens are not.
    function.addFnAttr("prefer-vector-width", "512");
    if (sanitizeThread)
      function.addFnAttr(llvm::Attribute::SanitizeThread);
  }

  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  // ThreadSanitizer skips masked and gathered accesses, too.
  tuning.LoopVectorization = tuning.SLPVectorization = !sanitizeThread;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager passes =
      builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2);
  if (sanitizeThread)
    addThreadSanitizer(passes);
  passes.run(*result, modules);
  if (sanitizeThread)
    callInterceptedFunctions(*result);
  return result;
}

llvm::Error fusco::emitObject(llvm::Module &module, const CpuTarget &target,
                              llvm::raw_pwrite_stream &out) {
  llvm::legacy::PassManager manager;
  if (target.machine->addPassesToEmitFile(manager, out, nullptr,
                                          llvm::CodeGenFileType::ObjectFile))
    return llvm::createStringError("LLVM cannot write objects for this target");
  manager.run(module);
  return llvm::Error::success();
}
