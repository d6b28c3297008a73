//===- ModuleText.cpp - A model's shape as a module -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// One template a form, with the types put in by name.
///
//===----------------------------------------------------------------------===//

#include "tools/import/ModuleText.h"

#include "dialect/Layout.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FormatVariadic.h"

using namespace fusco;
using namespace fusco::importer;

// Placeholders are {0} name, {1} the group's attributes, {2} type of ids,
// {3} of weights, {4} of token-major rows, {5} of rows that experts return, {6}
// of counts, {7} of offsets, {8} and {9} of {5} by destination and by source
// rank; {10}, {11}, {12} and {13} are token-major rows, rows at experts, and
// those by destination and by source as dispatched, {14} the cast to that where
// it differs, and {15} what it makes of %x. Where dispatched rows are
// quantised, {16} are the scales of token-major rows, {17} of rows at experts,
// and {18} the elements that share one. {19} are combine's arguments beside
// rows and plan, {20} what it adds and how as operands and attributes, and {21}
// their types. {22} and {23} are ids and weights beside rank-major rows, {24}
// is how combine weights. {25}, {26} and {27} are the table that places experts
// as argument, operand and type; {28}, {29} and {30} the weights. {31} is the
// type of combine's result, {32} and {33} are the scales of {5} as operand and
// type.
// `{{` stands for a brace.

static constexpr const char *groupTemplate = R"(
module @{0} {{
  fusco.group @ep {{{1}}
)";

static constexpr const char *fusedTemplate = R"(
  func.func @dispatch(%x: {4}, %ids: {2}{28}{25})
      -> ({11}, {6}, {7}, !fusco.plan<@ep>) {{
    %plan = fusco.plan %ids{29}{26} in @ep
        : {2}{30}{27} -> !fusco.plan<@ep>
    %rows, %counts, %offsets = fusco.dispatch %x by %plan
        : {4}, !fusco.plan<@ep> -> {11}, {6}, {7}
    return %rows, %counts, %offsets, %plan : {11}, {6}, {7}, !fusco.plan<@ep>
  })";

static constexpr const char *quantizedTemplate = R"(
  func.func @dispatch(%x: {4}, %ids: {2}{28}{25})
      -> ({11}, {17}, {6}, {7}, !fusco.plan<@ep>) {{
    %plan = fusco.plan %ids{29}{26} in @ep
        : {2}{30}{27} -> !fusco.plan<@ep>
    %rows, %scales, %counts, %offsets = fusco.dispatch %x by %plan transform {{
    ^bb0(%row: {4}):
      %data, %scale = fusco.quantize %row block {18} : {4} -> {10}, {16}
      fusco.yield %data, %scale : {10}, {16}
    } : {4}, !fusco.plan<@ep> -> ({11}, {17}), {6}, {7}
    return %rows, %scales, %counts, %offsets, %plan
        : {11}, {17}, {6}, {7}, !fusco.plan<@ep>
  })";

static constexpr const char *rankMajorTemplate = R"(
  func.func @dispatch(%x: {4}, %ids: {2},
                      %weights: {3} {{fusco.name = "weights"})
      -> ({11}, {22} {{fusco.name = "local_ids"},
          {23} {{fusco.name = "row_weights"}, {6}, {7}, !fusco.plan<@ep>) {{
    %plan = fusco.plan %ids in @ep : {2} -> !fusco.plan<@ep>
    %rows, %local, %theirs, %counts, %offsets
        = fusco.dispatch %x, %ids, %weights by %plan local_ids 1
        : ({4}, {2}, {3}), !fusco.plan<@ep> -> ({11}, {22}, {23}), {6}, {7}
    return %rows, %local, %theirs, %counts, %offsets, %plan
        : {11}, {22}, {23}, {6}, {7}, !fusco.plan<@ep>
  })";

static constexpr const char *quantizedRankMajorTemplate = R"(
  func.func @dispatch(%x: {4}, %ids: {2},
                      %weights: {3} {{fusco.name = "weights"})
      -> ({11}, {17}, {22} {{fusco.name = "local_ids"},
          {23} {{fusco.name = "row_weights"}, {6}, {7}, !fusco.plan<@ep>) {{
    %plan = fusco.plan %ids in @ep : {2} -> !fusco.plan<@ep>
    %rows, %scales, %local, %theirs, %counts, %offsets
        = fusco.dispatch %x, %ids, %weights by %plan local_ids 2 transform {{
    ^bb0(%row: {4}, %row_ids: {2}, %row_weights: {3}):
      %data, %scale = fusco.quantize %row block {18} : {4} -> {10}, {16}
      fusco.yield %data, %scale, %row_ids, %row_weights : {10}, {16}, {2}, {3}
    } : ({4}, {2}, {3}), !fusco.plan<@ep> -> ({11}, {17}, {22}, {23}), {6}, {7}
    return %rows, %scales, %local, %theirs, %counts, %offsets, %plan
        : {11}, {17}, {22}, {23}, {6}, {7}, !fusco.plan<@ep>
  })";

static constexpr const char *combineTemplate = R"(
  func.func @combine(%y: {5}{19}, %plan: !fusco.plan<@ep>) -> {31} {{
    %z = fusco.combine %y{32} by %plan{24}{20}
        : {5}{33}, !fusco.plan<@ep>{21} -> {31}
    return %z : {31}
  }
}
)";

static constexpr const char *unfusedTemplate = R"(
  func.func @dispatch(%x: {4}, %ids: {2}{28})
      -> ({11}, !fusco.plan<@ep>) {{
    %plan = fusco.plan %ids{29} in @ep
        : {2}{30} -> !fusco.plan<@ep>{14}
    %send = fusco.permute {15} by %plan : {10}, !fusco.plan<@ep> -> {12}
    %recv = fusco.all_to_all %send by %plan : {12}, !fusco.plan<@ep> -> {13}
    %rows = fusco.permute %recv by %plan : {13}, !fusco.plan<@ep> -> {11}
    return %rows, %plan : {11}, !fusco.plan<@ep>
  }
  func.func @combine(%y: {5}, %plan: !fusco.plan<@ep>) -> {31} {{
    %send = fusco.unpermute %y by %plan : {5}, !fusco.plan<@ep> -> {9}
    %recv = fusco.all_to_all %send by %plan : {9}, !fusco.plan<@ep> -> {8}
    %z = fusco.unpermute %recv by %plan{24}
        : {8}, !fusco.plan<@ep> -> {31}
    return %z : {31}
  }
}
)";

std::string fusco::importer::moduleText(const ModelShape &shape) {
  // Ranks that hold the most experts hold this many, and all ranks' tensors
  // have room for them.
  int64_t numRanks = shape.nodes * shape.ranksPerNode;
  int64_t physical = shape.experts + shape.redundant;
  int64_t expertsPerRank = (physical + numRanks - 1) / numRanks;

  auto table = [&](int64_t columns, llvm::StringRef dtype,
                   llvm::StringRef layout) {
    return llvm::formatv("tensor<?x{0}x{1}{2}>", columns, dtype, layout).str();
  };
  auto rows = [&](llvm::StringRef dtype, llvm::StringRef layout) {
    return table(shape.hidden, dtype, layout);
  };
  // Rows where experts are, in the layout that was chosen.
  auto expertTable = [&](int64_t columns,
                         llvm::StringRef dtype) -> std::string {
    if (shape.isRankMajor)
      return table(columns, dtype, ", #fusco.rank_major");
    if (shape.capacity == 0)
      return table(
          columns, dtype,
          llvm::formatv(", #fusco.expert_major<align = {0}>", shape.alignRows)
              .str());
    return llvm::formatv(
        "tensor<{0}x{1}x{2}x{3}, #fusco.expert_slots<capacity = {1}>>",
        expertsPerRank, shape.capacity, columns, dtype);
  };
  auto expertRows = [&](llvm::StringRef dtype) {
    return expertTable(shape.hidden, dtype);
  };
  std::string group = llvm::formatv(
      "experts = {0}, topk = {1}, max_tokens = {2}, "
      "topology = <nodes = {3}, ranks_per_node = {4}, memory_gbps = {5}, "
      "scale_up_gbps = {6}, scale_out_gbps = {7}>, placement = <{8}>",
      shape.experts, shape.topk, shape.maxTokens, shape.nodes,
      shape.ranksPerNode, shape.memoryGbps, shape.scaleUpGbps,
      shape.scaleOutGbps,
      shape.hasTable
          ? llvm::formatv("table, redundant = {0}", shape.redundant).str()
          : "block");
  std::string ids =
      llvm::formatv("tensor<?x{0}x{1}>", shape.topk, shape.idType);
  std::string weights = llvm::formatv("tensor<?x{0}xf32>", shape.topk);
  const char *byDestination = ", #fusco.device_major<destination>";
  const char *bySource = ", #fusco.device_major<source>";
  int64_t segments = shape.isRankMajor ? 1 : expertsPerRank;
  std::string counts = llvm::formatv("tensor<{0}xi32>", segments);
  std::string offsets = llvm::formatv("tensor<{0}xi32>", segments + 1);
  const std::string &dtype = shape.dtype, &dispatched = shape.dispatchDtype,
                    &returned = shape.combineDtype;
  std::string cast;
  if (dispatched != dtype)
    cast = llvm::formatv("\n    %cast = fusco.cast %x : {0} -> {1}",
                         rows(dtype, ""), rows(dispatched, ""));

  bool isPacked = shape.scaleType == "ue8m0";
  std::string scales, expertScales;
  if (shape.isQuantized() || shape.combinesFloat8()) {
    int64_t columns = scaleColumns(shape.hidden, shape.scaleBlock, isPacked);
    scales = table(columns, isPacked ? "i32" : "f32", "");
    expertScales = expertTable(columns, isPacked ? "i32" : "f32");
  }
  std::string combined, sum, summandTypes, scaled, scaledType;
  if (shape.combinesFloat8()) {
    combined += ", %scales: " + expertScales;
    scaled = llvm::formatv(" scaled %scales block {0}", shape.scaleBlock);
    scaledType = " scaled " + expertScales;
  }
  auto addSummand = [&](llvm::StringRef name, const std::string &type) {
    combined += (", %" + name + ": " + type).str();
    sum += ((sum.empty() ? " plus %" : ", %") + name).str();
    summandTypes += ", " + type;
  };
  if (shape.hasBias)
    addSummand("bias", llvm::formatv("tensor<1x{0}x{1}>", shape.hidden, dtype));
  if (shape.hasResidual)
    addSummand("residual", rows(dtype, ""));
  if (shape.partials != "f32")
    sum += " partials " + shape.partials;
  std::string weightsArgument, weighted, weightsType;
  if (shape.isWeighted) {
    weightsArgument = ", %weights: " + weights;
    weighted = ", %weights";
    weightsType = ", " + weights;
  }
  std::string tableArgument, placed, placedType;
  if (shape.hasTable) {
    std::string table = llvm::formatv("tensor<{0}xi32>", physical);
    tableArgument = ", %placement: " + table;
    placed = " placed %placement";
    placedType = " placed " + table;
  }
  auto fill = [&](const char *text) {
    return llvm::formatv(
               text, shape.name, group, ids, weights, rows(dtype, ""),
               expertRows(returned), counts, offsets,
               rows(returned, byDestination), rows(returned, bySource),
               rows(dispatched, ""), expertRows(dispatched),
               rows(dispatched, byDestination), rows(dispatched, bySource),
               cast, cast.empty() ? "%x" : "%cast", scales, expertScales,
               shape.scaleBlock, combined, sum, summandTypes,
               expertTable(shape.topk, shape.idType),
               expertTable(shape.topk, "f32"),
               shape.isWeighted ? " weighted" : "", tableArgument, placed,
               placedType, weightsArgument, weighted, weightsType,
               rows(shape.outDtype, ""), scaled, scaledType)
        .str();
  };
  if (!shape.isFused)
    return fill(groupTemplate) + fill(unfusedTemplate);
  const char *dispatchTemplate =
      shape.isRankMajor
          ? (shape.isQuantized() ? quantizedRankMajorTemplate
                                 : rankMajorTemplate)
          : (shape.isQuantized() ? quantizedTemplate : fusedTemplate);
  return fill(groupTemplate) + fill(dispatchTemplate) + fill(combineTemplate);
}
