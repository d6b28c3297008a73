//===- Header.h - The C header of a library ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Writes the C99 header that `fusco-compile --header` gives.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_CODEGEN_HEADER_H
#define FUSCO_CODEGEN_HEADER_H

#include "llvm/Support/raw_ostream.h"

#include "fusco/library.h"

namespace fusco {

/// Writes constants of the shape and the prototypes of the entry points.
void writeHeader(const fusco_library_info &info, llvm::raw_ostream &out);

} // namespace fusco

#endif // FUSCO_CODEGEN_HEADER_H
