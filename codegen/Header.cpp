//===- Header.cpp - The C header of a library -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Header.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/Header.h"
#include "codegen/LibraryInfo.h"
#include "dialect/Layout.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace fusco;
using llvm::ArrayRef;
using llvm::StringRef;

static std::string getTypeName(const fusco_tensor_spec &spec) {
  if (spec.dtypeCode == FUSCO_DTYPE_FLOAT8_E4M3FN)
    return "float8_e4m3fn";
  if (spec.dtypeCode == FUSCO_DTYPE_FLOAT8_E5M2)
    return "float8_e5m2";
  StringRef kind = spec.dtypeCode == kDLBfloat  ? "bfloat"
                   : spec.dtypeCode == kDLFloat ? "float"
                                                : "int";
  return (kind + llvm::Twine(int(spec.dtypeBits))).str();
}

static void writeShape(const fusco_library_info &info,
                       const fusco_tensor_spec &spec, llvm::raw_ostream &out) {
  out << "[";
  for (int32_t i = 0; i < spec.ndim; ++i) {
    out << (i ? ", " : "");
    if (spec.shape[i] >= 0)
      out << spec.shape[i];
    else
      out << (spec.rowsKind == FUSCO_ROWS_TOKENS ? "tokens" : "rows");
  }
  out << "]";
}

static void writeEntry(const fusco_library_info &info,
                       const fusco_program_info &program,
                       llvm::raw_ostream &out) {
  ArrayRef<fusco_tensor_spec> tensors(program.tensors, program.numTensors);
  out << "/** Runs '" << program.name
      << "' on the rank of `context`; every rank "
      << "calls it.\n *  "
      << (program.writesPlan ? "Fills `plan`."
                             : "Reads `plan`, which a dispatch has filled.")
      << " `stream` is NULL on a CPU. Tensors are contiguous,\n"
      << " *  their data aligned to " << FUSCO_ALIGNMENT << " bytes:\n";
  for (const fusco_tensor_spec &spec : tensors) {
    out << llvm::formatv(" *    {0,-11} {1,-3} {2,-9} ", spec.name,
                         spec.isOutput ? "out" : "in", getTypeName(spec));
    writeShape(info, spec, out);
    out << "\n";
  }
  out << " */\nFUSCO_API fusco_status " << info.model << "_" << program.name
      << "(\n    fusco_context *context, fusco_plan *plan";
  for (const fusco_tensor_spec &spec : tensors)
    out << ",\n    const DLTensor *" << spec.name;
  out << ",\n    void *stream);\n\n";
}

void fusco::writeHeader(const fusco_library_info &info,
                        llvm::raw_ostream &out) {
  std::string upper = StringRef(info.model).upper();
  BlockPlacement placement{info.numExperts + info.numRedundant,
                           int64_t(info.numNodes) * info.ranksPerNode};
  out << "/* " << info.model << ": made by fusco-compile; do not edit. */\n"
      << "#ifndef FUSCO_MODEL_" << upper << "_H\n"
      << "#define FUSCO_MODEL_" << upper << "_H\n\n"
      << "#include <fusco/runtime.h>\n\n"
      << "#if FUSCO_ABI_VERSION != " << info.abiVersion << "\n"
      << "#error \"this header is for ABI version " << info.abiVersion
      << " of fusco/runtime.h\"\n#endif\n\n";
  auto constant = [&](StringRef name, int64_t value, StringRef comment) {
    out << "#define " << upper << "_" << name << " " << value << " /* "
        << comment << " */\n";
  };
  constant("NODES", info.numNodes, "nodes");
  constant("RANKS_PER_NODE", info.ranksPerNode, "ranks of a node");
  constant("EXPERTS", info.numExperts, "experts of all ranks");
  if (info.hasTable)
    constant("PHYSICAL_EXPERTS", placement.experts, "replicas counted");
  constant("LOCAL_EXPERTS", placement.maxLocalExperts(),
           "experts of a rank, at most");
  constant("TOPK", info.topk, "experts of a token");
  constant("HIDDEN", info.hidden, "elements of a row");
  constant("MAX_TOKENS", info.maxTokens, "tokens of a rank, at most");
  constant("ALIGN_ROWS", info.alignRows,
           "an expert's rows start at multiples of this");
  if (info.capacityRows)
    constant("CAPACITY", info.capacityRows, "rows of an expert, at most");
  int64_t maxRows =
      maxExpertMajorRows(placement, info.maxTokens, info.topk, info.alignRows);
  if (info.capacityRows)
    maxRows = placement.maxLocalExperts() * info.capacityRows;
  if (info.isRankMajor)
    maxRows = placement.ranks * info.maxTokens;
  constant("MAX_ROWS", maxRows,
           "rows that a rank gets at worst, pads included");
  out << "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
      << "/** The library that contexts and domains are made for. */\n"
      << "FUSCO_API const fusco_library *" << info.model
      << "_library(void);\n\n";
  for (const fusco_program_info &program :
       ArrayRef(info.programs, info.numPrograms))
    if (isEntryPoint(program))
      writeEntry(info, program, out);
  out << "#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
}
