//===- FuscoOps.h - Operations of the fusco dialect -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The operations, generated from FuscoOps.td, and what their verifiers share.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_DIALECT_FUSCOOPS_H
#define FUSCO_DIALECT_FUSCOOPS_H

#include "dialect/FuscoDialect.h"
#include "dialect/Layout.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialect/FuscoOps.h.inc"

namespace fusco {

/// layout_c1: the shape of a tensor that holds rows.
llvm::LogicalResult
verifyRowsShape(llvm::function_ref<mlir::InFlightDiagnostic()> emitError,
                llvm::ArrayRef<int64_t> shape);

/// The layout of \p type; token-major where it has no encoding.
mlir::Attribute getLayout(mlir::RankedTensorType type);

/// The tensor type of rows \p type, token-major.
mlir::RankedTensorType withoutLayout(mlir::Type type);

/// The placement of \p group's experts, as arithmetic.
BlockPlacement getPlacement(GroupOp group);

} // namespace fusco

#endif // FUSCO_DIALECT_FUSCOOPS_H
