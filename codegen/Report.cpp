//===- Report.cpp - What was compiled, in JSON ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// See Report.h.
///
//===----------------------------------------------------------------------===//

#include "codegen/Report.h"
#include "dialect/PipeDialect.h"
#include "passes/Passes.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;
namespace json = llvm::json;

static std::string toString(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

static json::Object reportShape(const fusco_library_info &info) {
  return json::Object{{"nodes", info.numNodes},
                      {"ranks_per_node", info.ranksPerNode},
                      {"experts", info.numExperts},
                      {"topk", info.topk},
                      {"max_tokens", info.maxTokens},
                      {"hidden", info.hidden},
                      {"align_rows", info.alignRows},
                      {"capacity_rows", info.capacityRows},
                      {"bytes_per_row", info.hidden * info.dtypeBits / 8}};
}

static json::Object reportMemory(ModuleOp module,
                                 const fusco_library_info &info) {
  json::Array buffers;
  for (auto channel : module.getOps<ChannelOp>())
    buffers.push_back(json::Object{{"name", channel.getSymName()},
                                   {"kind", "channel"},
                                   {"scope", "symmetric"},
                                   {"at", int64_t(channel.getAt().value_or(0))},
                                   {"lanes", int64_t(channel.getLanes())},
                                   {"bytes", channel.getBytes()}});
  for (auto buffer : module.getOps<BufferOp>())
    buffers.push_back(json::Object{{"name", buffer.getSymName()},
                                   {"kind", toString(buffer.getMemRefType())},
                                   {"scope", stringifyScope(buffer.getScope())},
                                   {"at", int64_t(buffer.getAt().value_or(0))},
                                   {"bytes", buffer.getBytes()}});
  return json::Object{{"symmetric_bytes", int64_t(info.symmetricBytes)},
                      {"network_bytes", int64_t(info.networkBytes)},
                      {"plan_bytes", int64_t(info.planBytes)},
                      {"buffers", std::move(buffers)}};
}

static json::Object reportProgram(ModuleOp module, ProgramOp program,
                                  const fusco_library_info &info) {
  json::Array tensors;
  for (auto [index, type] : llvm::enumerate(program.getArgumentTypes()))
    tensors.push_back(json::Object{
        {"name", program.getTensorName(index)},
        {"type", toString(type)},
        {"output", !!program.getArgAttr(index, ProgramOp::outputAttrName)}});
  // In the order of time, each once.
  llvm::SetVector<StringRef> phases;
  program.walk([&](ReceiveOp receive) {
    auto channel = module.lookupSymbol<ChannelOp>(receive.getChannel());
    phases.insert(stringifyPhase(channel.getPhase()));
  });
  json::Array stages;
  program.walk([&](StageOp stage) {
    stages.push_back(
        json::Object{{"name", stage.getName()},
                     {"lag_chunks", static_cast<int64_t>(stage.getLag())}});
  });
  // On a CPU a rank's calling thread does everything.
  json::Object role{{"name", "rank"}, {"workers", std::max(1, info.maxBlocks)}};
  return json::Object{{"name", program.getSymName()},
                      {"tensors", std::move(tensors)},
                      {"phases", json::Array(phases)},
                      {"stages", std::move(stages)},
                      {"roles", json::Array{std::move(role)}}};
}

/// What pipe-verify-progress has proven.
static json::Array reportProgress(ModuleOp module) {
  json::Array proofs;
  auto all = module->getAttrOfType<ArrayAttr>(progressAttrName);
  if (!all)
    return proofs;
  for (auto proof : all.getAsRange<DictionaryAttr>()) {
    json::Array channels;
    for (auto name :
         proof.getAs<ArrayAttr>("channels").getAsRange<FlatSymbolRefAttr>()) {
      auto channel = module.lookupSymbol<ChannelOp>(name);
      channels.push_back(
          json::Object{{"name", channel.getSymName()},
                       {"depth", static_cast<int64_t>(channel.getDepth())},
                       {"freed_by", stringifyFreeing(channel.getFreedBy())},
                       {"bytes", channel.getBytes()}});
    }
    proofs.push_back(json::Object{
        {"program", proof.getAs<StringAttr>("program").getValue()},
        {"workers", proof.getAs<StringAttr>("workers").getValue()},
        {"waits_proven", proof.getAs<IntegerAttr>("waits").getInt()},
        {"channels", std::move(channels)}});
  }
  return proofs;
}

static json::Array reportDecisions(ModuleOp module) {
  json::Array decisions;
  if (auto all = module->getAttrOfType<ArrayAttr>(decisionsAttrName)) {
    for (auto decision : all.getAsRange<DictionaryAttr>()) {
      json::Object entry;
      for (NamedAttribute field : decision)
        if (auto text = dyn_cast<StringAttr>(field.getValue()))
          entry[field.getName().getValue()] = text.getValue();
      decisions.push_back(std::move(entry));
    }
  }
  return decisions;
}

json::Value fusco::buildReport(ModuleOp module, const fusco_library_info &info,
                               StringRef cpu) {
  json::Array programs;
  for (auto program : module.getOps<ProgramOp>())
    programs.push_back(reportProgram(module, program, info));
  return json::Object{{"model", info.model},
                      {"abi_version", info.abiVersion},
                      {"target", info.target},
                      {"cpu", cpu},
                      {"shape", reportShape(info)},
                      {"memory", reportMemory(module, info)},
                      {"programs", std::move(programs)},
                      {"progress", reportProgress(module)},
                      {"decisions", reportDecisions(module)}};
}
