//===- FuscoDialect.h - The fusco dialect -----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The fusco dialect with its attributes and types.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_DIALECT_FUSCODIALECT_H
#define FUSCO_DIALECT_FUSCODIALECT_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/TensorEncoding.h"

#include "dialect/FuscoDialect.h.inc"
#include "dialect/FuscoEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialect/FuscoAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/FuscoTypes.h.inc"

#endif // FUSCO_DIALECT_FUSCODIALECT_H
