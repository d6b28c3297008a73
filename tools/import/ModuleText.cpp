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
// {3} of weights, {4} of token-major rows, {5} of rows at experts, {6} of rows
// by destination rank, {7} of rows by source rank; {8}, {9}, {10} and {11} are
// {4}, {5}, {6} and {7} as dispatched, {12} the cast to that where it differs,
// and {13} what it makes of %x. {14}, {15} and {16} are combine's residual as
// argument, operand and type, {17} is how combine weights. `{{` stands for a
// brace.

static constexpr const char *groupTemplate = R"(
module @{0} {{
  fusco.group @ep {{{1}}
)";

static constexpr const char *combineTemplate = R"(
  func.func @combine(%y: {5}{14}, %plan: !fusco.plan<@ep>) -> {4} {{
    %z = fusco.combine %y by %plan{17}{15}
        : {5}, !fusco.plan<@ep>{16} -> {4}
    return %z : {4}
  }
}
)";

static constexpr const char *unfusedTemplate = R"(
  func.func @dispatch(%x: {4}, %ids: {2}, %weights: {3})
      -> ({9}, !fusco.plan<@ep>) {{
    %plan = fusco.plan %ids, %weights in @ep
        : {2}, {3} -> !fusco.plan<@ep>{12}
    %send = fusco.permute {13} by %plan : {8}, !fusco.plan<@ep> -> {10}
    %recv = fusco.all_to_all %send by %plan : {10}, !fusco.plan<@ep> -> {11}
    %rows = fusco.permute %recv by %plan : {11}, !fusco.plan<@ep> -> {9}
    return %rows, %plan : {9}, !fusco.plan<@ep>
  }
  func.func @combine(%y: {5}, %plan: !fusco.plan<@ep>) -> {4} {{
    %send = fusco.unpermute %y by %plan : {5}, !fusco.plan<@ep> -> {7}
    %recv = fusco.all_to_all %send by %plan : {7}, !fusco.plan<@ep> -> {6}
    %z = fusco.unpermute %recv by %plan weighted
        : {6}, !fusco.plan<@ep> -> {4}
    return %z : {4}
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
  Tensors xs{{"%x", types.rows(shape.dtype), ""}}, moved;
  Tensors payloads{{"%rows", types.expertRows(shape.dispatchDtype), ""}};
  if (shape.isQuantized()) {
    moved = {{"%data", types.rows(shape.dispatchDtype), ""},
             {"%scale", types.table(types.scaleColumns(), types.scaleElement()),
              ""}};
    payloads.push_back(
        {"%scales",
         types.expertTable(types.scaleColumns(), types.scaleElement()), ""});
  }
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
  if (shape.isQuantized()) {
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
    int64_t tiles = types.expertsPerRank();
    if (shape.capacity == 0)
      tiles = maxExpertMajorRows(types.placement(), shape.maxTokens, shape.topk,
                                 shape.alignRows) /
              shape.alignRows;
    addResult("ready", {"%ready", types.int32s(tiles + 1), ""});
  }

  Tensors arguments{xs[0], ids, weights};
  Tensors planned = shape.isRankMajor ? Tensors{ids} : Tensors{ids, weights};
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
  const std::string &dtype = shape.dtype, &dispatched = shape.dispatchDtype;
  std::string cast;
  if (dispatched != dtype)
    cast = llvm::formatv("\n    %cast = fusco.cast %x : {0} -> {1}",
                         types.rows(dtype), types.rows(dispatched));
  std::string residual, plus, residualType;
  if (shape.hasResidual) {
    residualType = ", " + types.rows(dtype);
    residual = ", %residual: " + types.rows(dtype);
    plus = " plus %residual";
  }
  auto fill = [&](const char *text) {
    return llvm::formatv(text, shape.name, group, types.ids(), types.weights(),
                         types.rows(dtype), types.expertRows(dtype),
                         types.rows(dtype, byDestination),
                         types.rows(dtype, bySource), types.rows(dispatched),
                         types.expertRows(dispatched),
                         types.rows(dispatched, byDestination),
                         types.rows(dispatched, bySource), cast,
                         cast.empty() ? "%x" : "%cast", residual, plus,
                         residualType, shape.isRankMajor ? "" : " weighted")
        .str();
  };
  if (!shape.isFused)
    return fill(groupTemplate) + fill(unfusedTemplate);
  return fill(groupTemplate) + dispatchText(shape) + fill(combineTemplate);
}
