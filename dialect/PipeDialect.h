//===- PipeDialect.h - The pipe dialect -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The pipe dialect with its operations, generated from PipeOps.td.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_DIALECT_PIPEDIALECT_H
#define FUSCO_DIALECT_PIPEDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialect/PipeDialect.h.inc"
#include "dialect/PipeEnums.h.inc"

#define GET_OP_CLASSES
#include "dialect/PipeOps.h.inc"

#endif // FUSCO_DIALECT_PIPEDIALECT_H
