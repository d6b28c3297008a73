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

#include <vector>

using namespace fusco;
using namespace fusco::importer;

// Placeholders are {0} name, {1} the group's attributes, {2} type of ids,
// {3} of token-major rows, {4} of rows that experts return, {5} and {6} of
// these by destination and by source rank; {7}, {8}, {9} and {10} are
// token-major rows, rows at experts, and those by destination and by source
// rank as dispatched, {11} the cast to that where it differs, and {12} what it
// makes of %x. {13} are combine's arguments beside rows and plan, {14} what it
// adds and how as operands and attributes, {15} their types, {16} is how it
// weights; {17}, {18} and {19} are the weights as argument, operand and type.
// {20} is the type of combine's result, {21} and {22} are the scales of {4} as
// operand and type. `{{` stands for a brace.

static constexpr const char *groupTemplate = R"(
module @{0} {{
  fusco.group @ep {{{1}}
)";

static constexpr const char *combineTemplate = R"(
  func.func @combine(%y: {4}{13}, %plan: !fusco.plan<@ep>) -> {20} {{
    %z = fusco.combine %y{21} by %plan{16}{14}
        : {4}{22}, !fusco.plan<@ep>{15} -> {20}
    return %z : {20}
  }
}
)";

static constexpr const char *unfusedTemplate = R"(
  func.func @dispatch(%x: {3}, %ids: {2}{17})
      -> ({8}, !fusco.plan<@ep>) {{
    %plan = fusco.plan %ids{18} in @ep
        : {2}{19} -> !fusco.plan<@ep>{11}
    %send = fusco.permute {12} by %plan : {7}, !fusco.plan<@ep> -> {9}
    %recv = fusco.all_to_all %send by %plan : {9}, !fusco.plan<@ep> -> {10}
    %rows = fusco.permute %recv by %plan : {10}, !fusco.plan<@ep> -> {8}
    return %rows, %plan : {8}, !fusco.plan<@ep>
  }
  func.func @combine(%y: {4}, %plan: !fusco.plan<@ep>) -> {20} {{
    %send = fusco.unpermute %y by %plan : {4}, !fusco.plan<@ep> -> {6}
    %recv = fusco.all_to_all %send by %plan : {6}, !fusco.plan<@ep> -> {5}
    %z = fusco.unpermute %recv by %plan{16}
        : {5}, !fusco.plan<@ep> -> {20}
    return %z : {20}
  }
}
)";

namespace {

/// A tensor of a function: its name in the module, its type, and its name in C
/// where that does not follow from its place.
struct Tensor {
  std::string value, type, name;
};
using Tensors = std::vector<Tensor>;

/// `each` of \p tensors, separated by commas.
std::string list(const Tensors &tensors,
                 llvm::function_ref<std::string(const Tensor &)> each) {
  std::string text;
  for (const Tensor &tensor : tensors)
    text += (text.empty() ? "" : ", ") + each(tensor);
  return text;
}
std::string valuesOf(const Tensors &tensors) {
  return list(tensors, [](const Tensor &tensor) { return tensor.value; });
}
std::string typesOf(const Tensors &tensors) {
  return list(tensors, [](const Tensor &tensor) { return tensor.type; });
}
/// As arguments or results of a function.
std::string declare(const Tensors &tensors, bool areArguments) {
  return list(tensors, [&](const Tensor &tensor) {
    return (areArguments ? tensor.value + ": " : "") + tensor.type +
           (tensor.name.empty() ? ""
                                : " {fusco.name = \"" + tensor.name + "\"}");
  });
}

/// The types of a model's tensors.
class Types {
public:
  explicit Types(const ModelShape &shape) : shape(shape) {}

  int64_t physicalExperts() const { return shape.experts + shape.redundant; }
  /// Ranks that hold the most experts hold this many, and all ranks' tensors
  /// have room for them.
  int64_t expertsPerRank() const { return placement().maxLocalExperts(); }
  BlockPlacement placement() const {
    return {physicalExperts(), shape.nodes * shape.ranksPerNode};
  }

  std::string table(int64_t columns, llvm::StringRef dtype,
                    llvm::StringRef layout = "") const {
    return llvm::formatv("tensor<?x{0}x{1}{2}>", columns, dtype, layout);
  }
  std::string rows(llvm::StringRef dtype, llvm::StringRef layout = "") const {
    return table(shape.hidden, dtype, layout);
  }
  /// A row of \p columns for each where experts are, in the layout that was
  /// chosen.
  std::string expertTable(int64_t columns, llvm::StringRef dtype) const;
  std::string expertRows(llvm::StringRef dtype) const {
    return expertTable(shape.hidden, dtype);
  }
  std::string ids() const { return table(shape.topk, shape.idType); }
  std::string weights() const { return table(shape.topk, "f32"); }
  std::string int32s(int64_t entries) const {
    return llvm::formatv("tensor<{0}xi32>", entries);
  }
  int64_t scaleColumns() const {
    return fusco::scaleColumns(shape.hidden, shape.scaleBlock,
                               shape.scaleType == "ue8m0");
  }
  std::string scaleElement() const {
    return shape.scaleType == "ue8m0" ? "i32" : "f32";
  }

private:
  const ModelShape &shape;
};

} // namespace

std::string Types::expertTable(int64_t columns, llvm::StringRef dtype) const {
  if (shape.isRankMajor)
    return table(columns, dtype, ", #fusco.rank_major");
  if (shape.capacity == 0)
    return table(
        columns, dtype,
        llvm::formatv(", #fusco.expert_major<align = {0}>", shape.alignRows)
            .str());
  return llvm::formatv(
      "tensor<{0}x{1}x{2}x{3}, #fusco.expert_slots<capacity = {1}{4}>>",
      expertsPerRank(), shape.capacity, columns, dtype,
      shape.dropsOverflow ? ", overflow = drop" : "");
}

/// @dispatch of the fused form.
static std::string dispatchText(const ModelShape &shape) {
  Types types(shape);
  const Tensor ids{"%ids", types.ids(), ""};
  Tensor weights{"%weights", types.weights(), ""};
  // What is moved, and what a row of it is inside the transform.
  Tensors xs{{"%x", types.rows(shape.tokenDtype()), ""}}, moved;
  Tensors payloads{{"%rows", types.expertRows(shape.dispatchDtype), ""}};
  if (shape.isQuantized()) {
    std::string scales =
        types.table(types.scaleColumns(), types.scaleElement());
    if (shape.isInputQuantized)
      xs.push_back({"%x_scales", scales, "x_scales"});
    moved = {{"%data", types.rows(shape.dispatchDtype), ""},
             {"%scale", scales, ""}};
    payloads.push_back(
        {"%scales",
         types.expertTable(types.scaleColumns(), types.scaleElement()),
         shape.isInputQuantized ? "scales" : ""});
  }
  Tensors arguments = xs;
  arguments.push_back(ids);
  std::string localIds;
  const char *byColumns = shape.hasScalesByColumns ? " by_columns [1]" : "";
  if (shape.isRankMajor) {
    weights.name = "weights";
    if (!shape.hasGlobalIds)
      localIds = llvm::formatv(" local_ids {0}", payloads.size());
    xs.insert(xs.end(), {ids, weights});
    payloads.push_back({"%row_ids", types.expertTable(shape.topk, shape.idType),
                        shape.hasGlobalIds ? "row_ids" : "local_ids"});
    payloads.push_back(
        {"%row_weights", types.expertTable(shape.topk, "f32"), "row_weights"});
  }
  std::string transform;
  if (shape.isQuantized() && !shape.isInputQuantized) {
    Tensors taken = xs;
    for (Tensor &tensor : taken)
      tensor = {tensor.value + "_row", tensor.type, ""};
    moved.insert(moved.end(), taken.begin() + 1, taken.end());
    transform = llvm::formatv(
        " transform {{\n    ^bb0({0}):\n"
        "      %data, %scale = fusco.quantize %x_row block {1} : {2} -> {3}, "
        "{4}\n      fusco.yield {5} : {6}\n    }",
        declare(taken, /*areArguments=*/true), shape.scaleBlock, xs[0].type,
        moved[0].type, moved[1].type, valuesOf(moved), typesOf(moved));
  }

  int64_t segments = shape.isRankMajor ? 1 : types.expertsPerRank();
  Tensors results = payloads;
  results.push_back({"%counts", types.int32s(segments), ""});
  results.push_back({"%offsets", types.int32s(segments + 1), ""});
  std::string extraTypes;
  auto addResult = [&](const char *keyword, const Tensor &tensor) {
    results.push_back(tensor);
    extraTypes += llvm::formatv(" {0} {1}", keyword, tensor.type);
  };
  const std::string own =
      types.int32s(segments) + ", " + types.int32s(segments + 1);
  if (shape.dropsOverflow)
    addResult("kept", {"%kept", types.ids(), ""});
  if (shape.hasRowWeights)
    addResult("row_weights", {"%row_weights", types.expertTable(1, "f32"), ""});
  if (shape.hasReady) {
    int64_t tiles = maxTiles(types.placement(), shape.maxTokens, shape.topk,
                             shape.alignRows, shape.capacity);
    addResult("ready", {"%ready", types.int32s(tiles + 1), ""});
  }

  Tensors planned{ids};
  bool plansWeights =
      !shape.isRankMajor && (shape.isWeighted || shape.hasRowWeights);
  if (shape.isRankMajor || plansWeights)
    arguments.push_back(weights);
  if (plansWeights)
    planned.push_back(weights);
  std::string placed, placedType;
  if (shape.hasTable) {
    Tensor table{"%placement", types.int32s(types.physicalExperts()), ""};
    arguments.push_back(table);
    placed = " placed " + table.value;
    placedType = " placed " + table.type;
  }
  auto inParentheses = [](const Tensors &tensors) {
    return tensors.size() == 1 ? typesOf(tensors)
                               : "(" + typesOf(tensors) + ")";
  };
  return llvm::formatv(
             "  func.func @dispatch({0}) -> ({1}, !fusco.plan<@ep>) {{\n"
             "    %plan = fusco.plan {2}{3} in @ep : {4}{5} -> "
             "!fusco.plan<@ep>\n"
             "    {6} = fusco.dispatch {7} by %plan{8}{15}{9} : {10}, "
             "!fusco.plan<@ep> -> {11}, {12}{13}\n"
             "    return {6}, %plan : {14}, !fusco.plan<@ep>\n  }\n",
             declare(arguments, true), declare(results, false),
             valuesOf(planned), placed, typesOf(planned), placedType,
             valuesOf(results), valuesOf(xs), localIds, transform,
             inParentheses(xs), inParentheses(payloads), own, extraTypes,
             typesOf(results), byColumns)
      .str();
}

std::string fusco::importer::moduleText(const ModelShape &shape) {
  Types types(shape);
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
  const char *byDestination = ", #fusco.device_major<destination>";
  const char *bySource = ", #fusco.device_major<source>";
  const std::string &dtype = shape.dtype, &dispatched = shape.dispatchDtype,
                    &returned = shape.combineDtype;
  std::string cast;
  if (dispatched != dtype)
    cast = llvm::formatv("\n    %cast = fusco.cast %x : {0} -> {1}",
                         types.rows(dtype), types.rows(dispatched));
  std::string combined, sum, summandTypes, scaled, scaledType;
  if (shape.combinesFloat8()) {
    std::string scales =
        types.expertTable(types.scaleColumns(), types.scaleElement());
    combined += ", %scales: " + scales;
    scaled = llvm::formatv(" scaled %scales block {0}", shape.scaleBlock);
    scaledType = " scaled " + scales;
  }
  auto addSummand = [&](llvm::StringRef name, const std::string &type) {
    combined += (", %" + name + ": " + type).str();
    sum += ((sum.empty() ? " plus %" : ", %") + name).str();
    summandTypes += ", " + type;
  };
  if (shape.hasBias)
    addSummand("bias", llvm::formatv("tensor<1x{0}x{1}>", shape.hidden, dtype));
  if (shape.hasResidual)
    addSummand("residual", types.rows(dtype));
  if (shape.partials != "f32")
    sum += " partials " + shape.partials;
  std::string weightsArgument, weighted, weightsType;
  if (shape.isWeighted) {
    weightsArgument = ", %weights: " + types.weights();
    weighted = ", %weights";
    weightsType = ", " + types.weights();
  }
  auto fill = [&](const char *text) {
    return llvm::formatv(
               text, shape.name, group, types.ids(), types.rows(dtype),
               types.expertRows(returned), types.rows(returned, byDestination),
               types.rows(returned, bySource), types.rows(dispatched),
               types.expertRows(dispatched),
               types.rows(dispatched, byDestination),
               types.rows(dispatched, bySource), cast,
               cast.empty() ? "%x" : "%cast", combined, sum, summandTypes,
               shape.isWeighted ? " weighted" : "", weightsArgument, weighted,
               weightsType, types.rows(shape.outDtype), scaled, scaledType)
        .str();
  };
  if (!shape.isFused)
    return fill(groupTemplate) + fill(unfusedTemplate);
  return fill(groupTemplate) + dispatchText(shape) + fill(combineTemplate);
}
