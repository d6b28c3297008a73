//===- CudaBackend.cpp - Kernels to PTX -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See CudaBackend.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/cuda/CudaBackend.h"
#include "codegen/cuda/Kernels.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"

using namespace mlir;
using namespace fusco;

static constexpr llvm::StringLiteral tripleName{"nvptx64-nvidia-cuda"};
/// PTX 8.0 has all that kernels use; drivers from CUDA 12.0 on read it.
static constexpr llvm::StringLiteral features{"+ptx80"};
static constexpr unsigned leastChip = 90;

llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
fusco::createCudaTarget(llvm::StringRef chip) {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(tripleName.str(), error);
  if (!target)
    return llvm::createStringError(error);
  std::unique_ptr<llvm::MCSubtargetInfo> generic(
      target->createMCSubtargetInfo(tripleName, "", ""));
  unsigned number = 0;
  llvm::StringRef digits = chip;
  // Names with a letter behind, such as sm_90a, run on that GPU only.
  if (!digits.consume_front("sm_") || digits.getAsInteger(10, number) ||
      number < leastChip || !generic->isCPUStringValid(chip))
    return llvm::createStringError(
        "expected a GPU from sm_90 on that LLVM knows, got '" + chip +
        "'; code for sm_90 runs on newer ones too");
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      tripleName, chip, features, llvm::TargetOptions(), std::nullopt,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

gpu::GPUModuleOp fusco::findKernels(ModuleOp module) {
  return module.lookupSymbol<gpu::GPUModuleOp>(kernelsSymbol);
}

std::unique_ptr<llvm::Module>
fusco::translateKernels(gpu::GPUModuleOp kernels, llvm::LLVMContext &context,
                        llvm::TargetMachine &machine) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  kernels->getContext()->appendDialectRegistry(registry);
  // Before any load is made: it says what alignment one has.
  kernels->setAttr(
      LLVM::LLVMDialect::getDataLayoutAttrName(),
      StringAttr::get(kernels->getContext(),
                      machine.createDataLayout().getStringRepresentation()));
  std::unique_ptr<llvm::Module> result =
      translateModuleToLLVMIR(kernels, context);
  if (!result)
    return nullptr;
  result->setTargetTriple(machine.getTargetTriple().getTriple());
  result->setDataLayout(machine.createDataLayout());

  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2)
      .run(*result, modules);
  return result;
}

llvm::Expected<std::string> fusco::emitPtx(llvm::Module &module,
                                           llvm::TargetMachine &machine) {
  llvm::SmallString<0> ptx;
  llvm::raw_svector_ostream out(ptx);
  llvm::legacy::PassManager manager;
  if (machine.addPassesToEmitFile(manager, out, nullptr,
                                  llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("LLVM cannot write PTX");
  manager.run(module);
  return ptx.str().str();
}

void fusco::replaceByCode(gpu::GPUModuleOp kernels, StringRef ptx,
                          StringRef cubin) {
  OpBuilder b(kernels);
  Attribute target = NVVM::NVVMTargetAttr::get(b.getContext(), /*optLevel=*/3);
  auto object = [&](gpu::CompilationTarget format,
                    StringRef code) -> Attribute {
    return b.getAttr<gpu::ObjectAttr>(target, format, b.getStringAttr(code),
                                      /*properties=*/DictionaryAttr());
  };
  SmallVector<Attribute> objects{object(gpu::CompilationTarget::Assembly, ptx)};
  if (!cubin.empty())
    objects.push_back(object(gpu::CompilationTarget::Binary, cubin));
  SmallVector<NamedAttribute> sharedBytes;
  for (auto function : kernels.getOps<LLVM::LLVMFuncOp>())
    if (function->hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName()))
      sharedBytes.push_back(
          b.getNamedAttr(function.getSymName(),
                         b.getI64IntegerAttr(getSharedBytes(function))));
  auto binary = b.create<gpu::BinaryOp>(kernels.getLoc(), kernels.getName(),
                                        /*offloadingHandler=*/nullptr, objects);
  binary->setAttr(sharedBytesAttrName, b.getDictionaryAttr(sharedBytes));
  kernels.erase();
}
