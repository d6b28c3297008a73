//===- ModelShape.h - What a module is made from ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The numbers and choices that fusco-import writes as a module.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TOOLS_IMPORT_MODELSHAPE_H
#define FUSCO_TOOLS_IMPORT_MODELSHAPE_H

#include <cstdint>
#include <string>

namespace fusco::importer {

struct ModelShape {
  std::string name;      ///< a C identifier
  int64_t hidden = 0;    ///< columns of a row
  int64_t experts = 0;   ///< of the whole model
  int64_t redundant = 0; ///< physical experts more, placed by a table
  bool hasTable = false; ///< experts are placed by a table
  int64_t topk = 0;      ///< experts that a token is sent to
  int64_t nodes = 0;
  int64_t ranksPerNode = 0;
  int64_t memoryGbps = 0;     ///< of a rank, 1e9 bytes/s; 0: not given
  int64_t scaleUpGbps = 0;    ///< likewise
  int64_t scaleOutGbps = 0;   ///< likewise
  int64_t maxTokens = 0;      ///< of one rank
  int64_t alignRows = 1;      ///< expert segments start at multiples of this
  int64_t capacity = 0;       ///< slots of an expert; 0: none
  bool dropsOverflow = false; ///< what an expert has no slot for is dropped
  bool isRankMajor = false;   ///< a row per token and destination rank
  bool hasGlobalIds = false;  ///< its ids stay those of the whole model
  bool hasRowWeights = false; ///< dispatch leaves each row's weight beside it
  bool hasReady = false;      ///< dispatch counts rows as they arrive
  std::string dtype;          ///< of a row's elements, as MLIR spells it
  std::string dispatchDtype;  ///< of a dispatched row's elements, likewise
  std::string combineDtype;   ///< of what experts hand to combine
  std::string outDtype;       ///< of combine's result
  std::string partials;       ///< of combine's partial sums: f32, or bf16
  int64_t scaleBlock = 0;     ///< elements that share a scale, where rows that
                              ///< are dispatched or combined are of float8
  std::string scaleType;      ///< f32, or ue8m0: powers of two, four in an i32
  bool hasScalesByColumns = false; ///< scales are stored by columns
  bool isInputQuantized = false;   ///< tokens have scales, and move as they are
  std::string idType;              ///< of expert ids, likewise
  bool isFused = true;             ///< dispatch and combine, not their parts
  bool isWeighted = true;          ///< combine takes the router's weights
  bool hasBias = false;            ///< combine adds one row to all tokens
  bool hasResidual = false;        ///< combine adds a tensor of tokens

  bool isQuantized() const { return isFloat8(dispatchDtype); }
  /// Of the rows that a dispatch takes.
  const std::string &tokenDtype() const {
    return isInputQuantized ? dispatchDtype : dtype;
  }
  bool combinesFloat8() const { return isFloat8(combineDtype); }

private:
  static bool isFloat8(const std::string &type) {
    return type.compare(0, 2, "f8") == 0;
  }
};

} // namespace fusco::importer

#endif // FUSCO_TOOLS_IMPORT_MODELSHAPE_H
