//===- RuntimeCalls.cpp - Runtime entry points that code calls ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See RuntimeCalls.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/RuntimeCalls.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace fusco;

static StringRef getSymbol(RuntimeCall call) {
  switch (call) {
  case RuntimeCall::ProgramRun:
    return "fusco_program_run";
  case RuntimeCall::ProgramWait:
    return "fusco_program_wait";
  case RuntimeCall::ProgramPut:
    return "fusco_program_put";
  case RuntimeCall::ProgramFail:
    return "fusco_program_fail";
  case RuntimeCall::ProgramMark:
    return "fusco_program_mark";
  }
  llvm_unreachable("every call has a symbol");
}

static SmallVector<Type> getParameters(RuntimeCall call, Builder &b) {
  Type ptr = LLVM::LLVMPointerType::get(b.getContext());
  Type i32 = b.getI32Type(), i64 = b.getI64Type();
  switch (call) {
  case RuntimeCall::ProgramRun:
    return {ptr, i32, ptr, ptr, ptr, ptr};
  case RuntimeCall::ProgramWait:
    return {ptr, ptr, i64, i32, i32};
  case RuntimeCall::ProgramPut:
    return {ptr, i32, i64, ptr, i64, i64};
  case RuntimeCall::ProgramFail:
    return {ptr, i32, i64, i64, i64};
  case RuntimeCall::ProgramMark:
    return {ptr, i32, i32, i64};
  }
  llvm_unreachable("every call has parameters");
}

Value fusco::callRuntime(ImplicitLocOpBuilder &builder, RuntimeCall call,
                         ValueRange operands) {
  Operation *parent = builder.getInsertionBlock()->getParentOp();
  auto module = parent->getParentOfType<ModuleOp>();
  StringRef symbol = getSymbol(call);
  auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(symbol);
  if (!function) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    Type result = builder.getI32Type();
    if (call == RuntimeCall::ProgramMark)
      result = LLVM::LLVMVoidType::get(builder.getContext());
    function = builder.create<LLVM::LLVMFuncOp>(
        symbol,
        LLVM::LLVMFunctionType::get(result, getParameters(call, builder)));
  }
  auto called = builder.create<LLVM::CallOp>(function, operands);
  return called.getNumResults() ? called.getResult() : Value();
}

std::string fusco::getProgramSymbol(StringRef name) {
  return (name + ".program").str();
}

StringRef fusco::getModelName(ModuleOp module) {
  return module.getSymName().value_or("model");
}

std::string fusco::getEntrySymbol(ModuleOp module, StringRef name) {
  return (getModelName(module) + "_" + name).str();
}
