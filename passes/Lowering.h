//===- Lowering.h - What lowering learns of a module ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The one shape of a module, and what each of its functions does.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_PASSES_LOWERING_H
#define FUSCO_PASSES_LOWERING_H

#include "dialect/FuscoOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/SharedMemory.h"

namespace fusco {

//===----------------------------------------------------------------------===//
// LearnShape.cpp
//===----------------------------------------------------------------------===//

/// permute, device_major<source> to expert_major: ends an unfused dispatch.
bool isToExperts(mlir::Operation *op);
/// unpermute, expert_major to device_major<source>: begins an unfused combine.
bool isFromExperts(mlir::Operation *op);

/// The one shape of \p module's shuffles and what they need, without chunking;
/// or a diagnostic where there is none, or something that is not compiled.
mlir::FailureOr<ShuffleShape> learnShape(mlir::ModuleOp module);

/// What \p hops, which learnShape has accepted, say.
Route getRoute(mlir::ArrayAttr hops);

/// What the rows of \p dispatch, whose hops learnShape has accepted, are
/// between nodes.
llvm::SmallVector<WireRows, 2> getWireRows(DispatchOp dispatch);

//===----------------------------------------------------------------------===//
// FunctionContents.cpp
//===----------------------------------------------------------------------===//

/// What a function does: all of its operations, recognised. It holds one of
/// dispatch, combine, toExperts (the unfused dispatch), fromExperts (the
/// unfused combine).
struct FunctionContents {
  PlanOp plan;
  DispatchOp dispatch;
  CombineOp combine;
  WeightGradientOp weightGradient;
  CastOp cast; ///< of the tokens of an unfused dispatch
  PermuteOp byDestination, toExperts;
  AllToAllOp allToAll;
  UnpermuteOp fromExperts, toTokens;
  mlir::func::ReturnOp terminator;

  bool isDispatch() const { return dispatch || toExperts; }
};
mlir::FailureOr<FunctionContents> recognise(mlir::func::FuncOp function);

/// The roles of tensors of a dispatch: `x`, `x_1`, ... and for what its results
/// hold `rows`, `rows_1`, ..., `scales`, ...
std::string roleOfX(unsigned i);
std::string roleOfRows(DispatchOp dispatch, unsigned i);
/// Of a summand of a combine: `residual`, `residual_1`, or where it is one row
/// for all tokens `bias`, `bias_1`.
std::string roleOfSummand(CombineOp combine, unsigned i);

/// The tensors of a program: the function's tensor arguments, then its tensor
/// results, then what lies between the steps of an unfused form, which the
/// caller provides too.
class TensorArguments {
public:
  /// Binds each tensor of \p function to its role in \p contents, or says which
  /// one cannot be.
  static mlir::FailureOr<TensorArguments>
  bind(mlir::func::FuncOp function, const FunctionContents &contents);

  /// The program's argument types and attributes.
  llvm::SmallVector<mlir::Type> types() const;
  llvm::SmallVector<mlir::Attribute> attributes(mlir::Builder &builder) const;
  /// The argument of \p program with the role \p role; null if none has it.
  mlir::Value find(pipe::ProgramOp program, llvm::StringRef role) const;

private:
  struct Tensor {
    mlir::Value value;
    llvm::SmallVector<std::string, 1> roles; ///< empty until bound
    std::string name;                        ///< in the C ABI
    bool isOutput;
    bool isWorkspace;
  };

  TensorArguments(mlir::func::FuncOp function, mlir::func::ReturnOp terminator);
  mlir::LogicalResult bindAll(FunctionContents contents);
  mlir::LogicalResult bindOne(mlir::Operation *op, mlir::Value value,
                              llvm::StringRef role, bool isOutput);
  void addWorkspace(mlir::Value value, llvm::StringRef role,
                    llvm::StringRef name);
  mlir::LogicalResult checkAllBound();

  mlir::func::FuncOp function;
  llvm::SmallVector<Tensor> tensors;
};

} // namespace fusco

#endif // FUSCO_PASSES_LOWERING_H
