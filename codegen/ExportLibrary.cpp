//===- ExportLibrary.cpp - Description and entry points -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// fusco-describe-library and fusco-export-library: what users of the shared
/// library see of it.
///
//===----------------------------------------------------------------------===//

#include "codegen/LibraryInfo.h"
#include "codegen/Passes.h"
#include "codegen/RuntimeCalls.h"
#include "dialect/FuscoOps.h"
#include "dialect/PipeDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace fusco {
#define GEN_PASS_DEF_DESCRIBELIBRARYPASS
#define GEN_PASS_DEF_EXPORTLIBRARYPASS
#include "codegen/Passes.h.inc"
} // namespace fusco

using namespace mlir;
using namespace fusco;

/// Globals between the two passes and in the library.
static constexpr llvm::StringLiteral infoSymbol{"fusco_library_info"};
static constexpr llvm::StringLiteral librarySymbol{"fusco_library"};

namespace {

struct DescribeLibraryPass
    : fusco::impl::DescribeLibraryPassBase<DescribeLibraryPass> {
  using DescribeLibraryPassBase::DescribeLibraryPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<fusco_library_info> info = getLibraryInfo(module, cpuLevel);
    if (failed(info))
      return signalPassFailure();
    ImplicitLocOpBuilder b(module.getLoc(), module.getBodyRegion());
    ArrayRef<char> bytes(reinterpret_cast<const char *>(&*info),
                         sizeof(fusco_library_info));
    auto tensor = RankedTensorType::get(bytes.size(), b.getI8Type());
    b.create<LLVM::GlobalOp>(
        LLVM::LLVMArrayType::get(b.getI8Type(), bytes.size()),
        /*isConstant=*/true, LLVM::Linkage::Internal, infoSymbol,
        DenseElementsAttr::getFromRawBuffer(tensor, bytes), FUSCO_ALIGNMENT);
  }
};

struct ExportLibraryPass
    : fusco::impl::ExportLibraryPassBase<ExportLibraryPass> {
  void runOnOperation() override;

private:
  void createLibrary(ImplicitLocOpBuilder &b, const fusco_library_info &info);
  void createGetter(ImplicitLocOpBuilder &b, StringRef name);
  void createEntry(ImplicitLocOpBuilder &b, const fusco_program_info &info,
                   int32_t index);
};

} // namespace

/// The fusco_library: a pointer to the description, then to each program.
void ExportLibraryPass::createLibrary(ImplicitLocOpBuilder &b,
                                      const fusco_library_info &info) {
  OpBuilder::InsertionGuard guard(b);
  Type ptr = LLVM::LLVMPointerType::get(b.getContext());
  auto type = LLVM::LLVMArrayType::get(ptr, 1 + FUSCO_MAX_PROGRAMS);
  auto global = b.create<LLVM::GlobalOp>(type, /*isConstant=*/true,
                                         LLVM::Linkage::Internal, librarySymbol,
                                         Attribute(), FUSCO_ALIGNMENT);
  b.createBlock(&global.getInitializerRegion());
  Value library = b.create<LLVM::ZeroOp>(type);
  auto set = [&](int64_t position, StringRef symbol) {
    Value address = b.create<LLVM::AddressOfOp>(ptr, symbol);
    library = b.create<LLVM::InsertValueOp>(library, address, position);
  };
  set(0, infoSymbol);
  for (int32_t i = 0; i < info.numPrograms; ++i)
    set(1 + i, getProgramSymbol(info.programs[i].name));
  b.create<LLVM::ReturnOp>(library);
}

/// const fusco_library *NAME(void)
void ExportLibraryPass::createGetter(ImplicitLocOpBuilder &b, StringRef name) {
  OpBuilder::InsertionGuard guard(b);
  Type ptr = LLVM::LLVMPointerType::get(b.getContext());
  auto function =
      b.create<LLVM::LLVMFuncOp>(name, LLVM::LLVMFunctionType::get(ptr, {}));
  b.setInsertionPointToStart(function.addEntryBlock(b));
  b.create<LLVM::ReturnOp>(
      b.create<LLVM::AddressOfOp>(ptr, librarySymbol).getResult());
}

/// fusco_status MODEL_PROGRAM(context, plan, tensors..., stream): gathers the
/// tensors and hands everything to fusco_program_run.
void ExportLibraryPass::createEntry(ImplicitLocOpBuilder &b,
                                    const fusco_program_info &info,
                                    int32_t index) {
  OpBuilder::InsertionGuard guard(b);
  Type ptr = LLVM::LLVMPointerType::get(b.getContext());
  SmallVector<Type> parameters(2 + info.numTensors + 1, ptr);
  auto function = b.create<LLVM::LLVMFuncOp>(
      getEntrySymbol(getOperation(), info.name),
      LLVM::LLVMFunctionType::get(b.getI32Type(), parameters));
  Block *body = function.addEntryBlock(b);
  b.setInsertionPointToStart(body);
  auto constant = [&](int32_t value) {
    return b.create<LLVM::ConstantOp>(b.getI32Type(), value);
  };
  Value tensors = b.create<LLVM::AllocaOp>(ptr, ptr, constant(info.numTensors));
  for (int32_t i = 0; i < info.numTensors; ++i) {
    Value slot =
        b.create<LLVM::GEPOp>(ptr, ptr, tensors, ArrayRef<LLVM::GEPArg>{i});
    b.create<LLVM::StoreOp>(body->getArgument(2 + i), slot);
  }
  Value library = b.create<LLVM::AddressOfOp>(ptr, librarySymbol);
  Value context = body->getArgument(0), plan = body->getArgument(1);
  Value stream = body->getArguments().back();
  b.create<LLVM::ReturnOp>(
      callRuntime(b, RuntimeCall::ProgramRun,
                  {library, constant(index), context, plan, tensors, stream}));
}

void ExportLibraryPass::runOnOperation() {
  ModuleOp module = getOperation();
  auto described = module.lookupSymbol<LLVM::GlobalOp>(infoSymbol);
  if (!described) {
    module.emitError("expected a description; run fusco-describe-library "
                     "first");
    return signalPassFailure();
  }
  fusco_library_info info;
  ArrayRef<char> bytes =
      cast<DenseElementsAttr>(described.getValueAttr()).getRawData();
  std::memcpy(&info, bytes.data(), sizeof(info));

  ImplicitLocOpBuilder b(module.getLoc(), module.getContext());
  b.setInsertionPointToEnd(module.getBody());
  createLibrary(b, info);
  createGetter(b, "fusco_library_get");
  createGetter(b, getEntrySymbol(module, "library"));
  for (int32_t i = 0; i < info.numPrograms; ++i)
    if (isEntryPoint(info.programs[i]))
      createEntry(b, info.programs[i], i);

  // What has been lowered stands for nothing any more.
  for (Operation &op : llvm::make_early_inc_range(module.getOps()))
    if (isa<GroupOp, pipe::BufferOp, pipe::ChannelOp>(op))
      op.erase();
}
