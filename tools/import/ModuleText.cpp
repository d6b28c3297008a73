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

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FormatVariadic.h"

using namespace fusco::importer;

// Placeholders are {0} name, {1} the group's attributes, {2} type of ids,
// {3} of weights, {4} of token-major rows, {5} of expert-major rows, {6} of
// counts, {7} of offsets, {8} of rows by destination rank, {9} of rows by
// source rank. `{{` stands for a brace.

static constexpr const char *groupTemplate = R"(
module @{0} {{
  fusco.group @ep {{{1}}
)";

static constexpr const char *fusedTemplate = R"(
  func.func @dispatch(%x: {4}, %ids: {2}, %weights: {3})
      -> ({5}, {6}, {7}, !fusco.plan<@ep>) {{
    %plan = fusco.plan %ids, %weights in @ep
        : {2}, {3} -> !fusco.plan<@ep>
    %rows, %counts, %offsets = fusco.dispatch %x by %plan
        : {4}, !fusco.plan<@ep> -> {5}, {6}, {7}
    return %rows, %counts, %offsets, %plan : {5}, {6}, {7}, !fusco.plan<@ep>
  }
  func.func @combine(%y: {5}, %plan: !fusco.plan<@ep>) -> {4} {{
    %z = fusco.combine %y by %plan weighted
        : {5}, !fusco.plan<@ep> -> {4}
    return %z : {4}
  }
}
)";

static constexpr const char *unfusedTemplate = R"(
  func.func @dispatch(%x: {4}, %ids: {2}, %weights: {3})
      -> ({5}, !fusco.plan<@ep>) {{
    %plan = fusco.plan %ids, %weights in @ep
        : {2}, {3} -> !fusco.plan<@ep>
    %send = fusco.permute %x by %plan : {4}, !fusco.plan<@ep> -> {8}
    %recv = fusco.all_to_all %send by %plan : {8}, !fusco.plan<@ep> -> {9}
    %rows = fusco.permute %recv by %plan : {9}, !fusco.plan<@ep> -> {5}
    return %rows, %plan : {5}, !fusco.plan<@ep>
  }
  func.func @combine(%y: {5}, %plan: !fusco.plan<@ep>) -> {4} {{
    %send = fusco.unpermute %y by %plan : {5}, !fusco.plan<@ep> -> {9}
    %recv = fusco.all_to_all %send by %plan : {9}, !fusco.plan<@ep> -> {8}
    %z = fusco.unpermute %recv by %plan weighted
        : {8}, !fusco.plan<@ep> -> {4}
    return %z : {4}
  }
}
)";

std::string fusco::importer::moduleText(const ModelShape &shape) {
  // Ranks that hold the most experts hold this many, and all ranks' tensors
  // have room for them.
  int64_t numRanks = shape.nodes * shape.ranksPerNode;
  int64_t expertsPerRank = (shape.experts + numRanks - 1) / numRanks;

  auto rows = [&](llvm::StringRef layout) -> std::string {
    return llvm::formatv("tensor<?x{0}x{1}{2}>", shape.hidden, shape.dtype,
                         layout);
  };
  std::string group = llvm::formatv(
      "experts = {0}, topk = {1}, max_tokens = {2}, "
      "topology = <nodes = {3}, ranks_per_node = {4}>, placement = <block>",
      shape.experts, shape.topk, shape.maxTokens, shape.nodes,
      shape.ranksPerNode);
  std::string ids =
      llvm::formatv("tensor<?x{0}x{1}>", shape.topk, shape.idType);
  std::string weights = llvm::formatv("tensor<?x{0}xf32>", shape.topk);
  std::string expertMajor =
      rows(llvm::formatv(", #fusco.expert_major<align = {0}>", shape.alignRows)
               .str());
  std::string counts = llvm::formatv("tensor<{0}xi32>", expertsPerRank);
  std::string offsets = llvm::formatv("tensor<{0}xi32>", expertsPerRank + 1);

  return llvm::formatv(groupTemplate, shape.name, group).str() +
         llvm::formatv(shape.isFused ? fusedTemplate : unfusedTemplate,
                       shape.name, group, ids, weights, rows(""), expertMajor,
                       counts, offsets,
                       rows(", #fusco.device_major<destination>"),
                       rows(", #fusco.device_major<source>"))
             .str();
}
