//===- GatherKernels.cpp - Kernels to a gpu.module ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// fusco-gather-kernels, and what Kernels.h declares.
///
//===----------------------------------------------------------------------===//

#include "codegen/Passes.h"
#include "codegen/cuda/Kernels.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

#include "fusco/library.h"

namespace fusco {
#define GEN_PASS_DEF_GATHERKERNELSPASS
#include "codegen/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;

std::string fusco::getDeviceSymbol(StringRef name) {
  std::string symbol = name.str();
  std::replace(symbol.begin(), symbol.end(), '.', '$');
  return symbol;
}

/// Makes \p function a kernel of blocks of \p threadsPerBlock threads, whose
/// argument is a fusco_device_args by value.
static void markKernel(LLVM::LLVMFuncOp function, int64_t threadsPerBlock) {
  Builder b(function.getContext());
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                    b.getUnitAttr());
  function->setAttr(
      NVVM::NVVMDialect::getReqntidAttrName(),
      b.getDenseI32ArrayAttr({static_cast<int32_t>(threadsPerBlock), 1, 1}));
  // A block has its multiprocessor to itself. Without being told, ptxas saves
  // registers for a second one, and spills.
  function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                    b.getI32IntegerAttr(1));
  auto bytes =
      LLVM::LLVMArrayType::get(b.getI8Type(), sizeof(fusco_device_args));
  function.setArgAttr(0, LLVM::LLVMDialect::getByValAttrName(),
                      TypeAttr::get(bytes));
  function.setArgAttr(0, LLVM::LLVMDialect::getAlignAttrName(),
                      b.getI64IntegerAttr(alignof(fusco_device_args)));
  // Else every thread would copy it to memory of its own.
  function.setArgAttr(0, NVVM::NVVMDialect::getGridConstantAttrName(),
                      b.getUnitAttr());
}

int64_t fusco::getSharedBytes(Operation *op) {
  auto bytes = op->getAttrOfType<IntegerAttr>(sharedBytesAttrName);
  return bytes ? bytes.getInt() : 0;
}

namespace {
struct GatherKernelsPass
    : fusco::impl::GatherKernelsPassBase<GatherKernelsPass> {
  using GatherKernelsPassBase::GatherKernelsPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
    auto kernels = b.create<gpu::GPUModuleOp>(module.getLoc(), kernelsSymbol);
    for (Operation &op : llvm::make_early_inc_range(module.getOps())) {
      auto global = dyn_cast<LLVM::GlobalOp>(op);
      bool isShared = global && global.getSymName() == sharedMemorySymbol;
      auto function = dyn_cast<LLVM::LLVMFuncOp>(op);
      if (function && function.getLinkage() == LLVM::Linkage::External)
        markKernel(function, threadsPerBlock);
      if (function || isShared)
        op.moveBefore(kernels.getBody()->getTerminator());
    }
  }
};
} // namespace
