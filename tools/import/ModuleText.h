//===- ModuleText.h - A model's shape as a module ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Writes a model's shape in the dialect's syntax.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_IMPORT_MODULETEXT_H
#define FUSCO_TOOLS_IMPORT_MODULETEXT_H

#include "tools/import/ModelShape.h"

namespace fusco::importer {

/// The module of \p shape: a group and the functions @dispatch and @combine.
/// The text is neither verified nor canonical yet.
std::string moduleText(const ModelShape &shape);

} // namespace fusco::importer

#endif // FUSCO_TOOLS_IMPORT_MODULETEXT_H
