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
#include "codegen/cuda/Kernels.h"
#include "dialect/FuscoOps.h"
#include "dialect/PipeDialect.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
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
static constexpr llvm::StringLiteral deviceSymbol{"fusco_device_code"};
static constexpr llvm::StringLiteral ptxSymbol{"fusco_ptx"};
static constexpr llvm::StringLiteral cubinSymbol{"fusco_cubin"};

static ArrayRef<char> toBytes(const fusco_library_info &info) {
  return {reinterpret_cast<const char *>(&info), sizeof(info)};
}

static Attribute toAttribute(Builder &b, ArrayRef<char> bytes) {
  auto tensor = RankedTensorType::get(bytes.size(), b.getI8Type());
  return DenseElementsAttr::getFromRawBuffer(tensor, bytes);
}

/// A constant of \p bytes.
static void createBytes(ImplicitLocOpBuilder &b, StringRef symbol,
                        ArrayRef<char> bytes) {
  b.create<LLVM::GlobalOp>(
      LLVM::LLVMArrayType::get(b.getI8Type(), bytes.size()),
      /*isConstant=*/true, LLVM::Linkage::Internal, symbol,
      toAttribute(b, bytes), FUSCO_ALIGNMENT);
}

namespace {

struct DescribeLibraryPass
    : fusco::impl::DescribeLibraryPassBase<DescribeLibraryPass> {
  using DescribeLibraryPassBase::DescribeLibraryPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<fusco_library_info> info =
        getLibraryInfo(module, {target, cpuLevel, maxBlocks, threadsPerBlock});
    if (failed(info))
      return signalPassFailure();
    ImplicitLocOpBuilder b(module.getLoc(), module.getBodyRegion());
    createBytes(b, infoSymbol, toBytes(*info));
  }
};

struct ExportLibraryPass
    : fusco::impl::ExportLibraryPassBase<ExportLibraryPass> {
  void runOnOperation() override;

private:
  void createLibrary(ImplicitLocOpBuilder &b, const fusco_library_info &info,
                     bool hasDeviceCode);
  void createDeviceCode(ImplicitLocOpBuilder &b, gpu::BinaryOp binary);
  void createGetter(ImplicitLocOpBuilder &b, StringRef name);
  void createEntry(ImplicitLocOpBuilder &b, const fusco_program_info &info,
                   int32_t index);
};

} // namespace

/// A constant of \p type, whose fields \p build gives by their positions.
static void
createStruct(ImplicitLocOpBuilder &b, StringRef symbol, Type type,
             function_ref<void(function_ref<void(int64_t, Value)>)> build) {
  OpBuilder::InsertionGuard guard(b);
  auto global = b.create<LLVM::GlobalOp>(type, /*isConstant=*/true,
                                         LLVM::Linkage::Internal, symbol,
                                         Attribute(), FUSCO_ALIGNMENT);
  b.createBlock(&global.getInitializerRegion());
  Value value = b.create<LLVM::ZeroOp>(type);
  build([&](int64_t position, Value field) {
    value = b.create<LLVM::InsertValueOp>(value, field, position);
  });
  b.create<LLVM::ReturnOp>(value);
}

/// The fusco_library: pointers to the description, to the code of a GPU, to
/// each program of a CPU.
void ExportLibraryPass::createLibrary(ImplicitLocOpBuilder &b,
                                      const fusco_library_info &info,
                                      bool hasDeviceCode) {
  Type ptr = LLVM::LLVMPointerType::get(b.getContext());
  auto type = LLVM::LLVMArrayType::get(ptr, 2 + FUSCO_MAX_PROGRAMS);
  auto addressOf = [&](StringRef symbol) -> Value {
    return b.create<LLVM::AddressOfOp>(ptr, symbol);
  };
  createStruct(b, librarySymbol, type, [&](auto set) {
    set(0, addressOf(infoSymbol));
    if (hasDeviceCode)
      return set(1, addressOf(deviceSymbol));
    for (int32_t i = 0; i < info.numPrograms; ++i)
      set(2 + i, addressOf(getProgramSymbol(info.programs[i].name)));
  });
}

/// The fusco_device_code of what \p binary holds.
void ExportLibraryPass::createDeviceCode(ImplicitLocOpBuilder &b,
                                         gpu::BinaryOp binary) {
  StringRef ptx, cubin;
  for (auto object : binary.getObjects().getAsRange<gpu::ObjectAttr>())
    (object.getFormat() == gpu::CompilationTarget::Assembly ? ptx : cubin) =
        object.getObject();
  // With the zero that ends it: a StringAttr has one.
  createBytes(b, ptxSymbol, ArrayRef<char>(ptx.data(), ptx.size() + 1));
  if (!cubin.empty())
    createBytes(b, cubinSymbol, ArrayRef<char>(cubin.data(), cubin.size()));
  Type ptr = LLVM::LLVMPointerType::get(b.getContext());
  Type i64 = b.getI64Type();
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(), {ptr, ptr, i64});
  createStruct(b, deviceSymbol, type, [&](auto set) {
    set(0, b.create<LLVM::AddressOfOp>(ptr, ptxSymbol));
    if (cubin.empty())
      return;
    set(1, b.create<LLVM::AddressOfOp>(ptr, cubinSymbol));
    set(2, b.create<LLVM::ConstantOp>(i64, static_cast<int64_t>(cubin.size())));
  });
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
  auto binary = module.lookupSymbol<gpu::BinaryOp>(kernelsSymbol);
  if (binary) {
    auto shared = binary->getAttrOfType<DictionaryAttr>(sharedBytesAttrName);
    for (int32_t i = 0; i < info.numPrograms; ++i)
      info.programs[i].sharedBytes =
          shared.getAs<IntegerAttr>(getDeviceSymbol(info.programs[i].name))
              .getInt();
    described.setValueAttr(toAttribute(b, toBytes(info)));
    createDeviceCode(b, binary);
    binary.erase();
  }
  createLibrary(b, info, static_cast<bool>(binary));
  createGetter(b, "fusco_library_get");
  createGetter(b, getEntrySymbol(module, "library"));
  for (int32_t i = 0; i < info.numPrograms; ++i)
    if (isEntryPoint(info.programs[i]))
      createEntry(b, info.programs[i], i);

  // What has been lowered stands for nothing any more.
  for (Operation &op : llvm::make_early_inc_range(module.getOps()))
    if (isa<GroupOp, pipe::BufferOp, pipe::ChannelOp, pipe::SpanOp>(op))
      op.erase();
}
