//===- FuscoDialect.cpp - The fusco dialect -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Registration, and the verifiers of attributes: topology, layouts and hops.
///
//===----------------------------------------------------------------------===//

#include "dialect/FuscoDialect.h"
#include "dialect/FuscoOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace fusco;

#include "dialect/FuscoDialect.cpp.inc"
#include "dialect/FuscoEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialect/FuscoAttrs.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/FuscoTypes.cpp.inc"

void FuscoDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialect/FuscoAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/FuscoTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/FuscoOps.cpp.inc"
      >();
}

LogicalResult TopologyAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   int64_t nodes, int64_t ranksPerNode,
                                   int64_t memoryGbps, int64_t scaleUpGbps,
                                   int64_t scaleOutGbps) {
  constexpr int64_t maxRanks = 65536;
  if (nodes < 1 || ranksPerNode < 1) // topology_c1
    return emitError() << "expected at least 1 node and 1 rank per node, got "
                       << nodes << " and " << ranksPerNode;
  if (nodes > maxRanks || ranksPerNode > maxRanks ||
      nodes * ranksPerNode > maxRanks) // topology_c2
    return emitError() << "expected at most " << maxRanks << " ranks, got "
                       << nodes << " nodes of " << ranksPerNode;
  const std::pair<StringRef, int64_t> speeds[] = {
      {"memory_gbps", memoryGbps},
      {"scale_up_gbps", scaleUpGbps},
      {"scale_out_gbps", scaleOutGbps}};
  for (auto [name, gbps] : speeds)
    if (gbps < 0) // topology_c3; 0 is not given
      return emitError() << "expected '" << name << "' of at least 1, got "
                         << gbps;
  return success();
}

LogicalResult
PlacementAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                      PlacementKind kind, int64_t redundant) {
  if (redundant < 0 ||
      (redundant > 0 && kind == PlacementKind::Block)) // placement_c1
    return emitError() << "expected 'redundant' of at least 0, and 0 with "
                          "'block', got "
                       << redundant << " with '" << stringifyPlacementKind(kind)
                       << "'";
  return success();
}

LogicalResult HopAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                              HopScope scope, Unique unique, HopMode mode,
                              Type wire, int64_t bytesPerToken,
                              Forwarders forwarders) {
  bool isScaleUp = scope == HopScope::ScaleUp;
  if (unique == Unique::Node && isScaleUp) // hop_c1
    return emitError() << "expected rows of a scale_up hop to be unique per "
                          "assignment or rank, got node";
  if (!wire.isBF16() && !wire.isF16() && !wire.isF32() &&
      !llvm::isa<Float8E4M3FNType, Float8E5M2Type>(wire) &&
      !wire.isInteger(32)) // hop_c2
    return emitError() << "expected 'wire' to be bf16, f16, f32, f8E4M3FN, "
                          "f8E5M2 or i32, got "
                       << wire;
  if (bytesPerToken < 0) // hop_c3
    return emitError() << "expected 'bytes_per_token' of at least 0, got "
                       << bytesPerToken;
  if (mode == HopMode::Pull &&
      !(isScaleUp && unique == Unique::Assignment)) // hop_c4
    return emitError() << "expected only a scale_up hop per assignment to "
                          "pull, got a "
                       << stringifyHopScope(scope) << " hop per "
                       << stringifyUnique(unique);
  if (isScaleUp && forwarders != Forwarders::Rail) // hop_c5
    return emitError() << "expected 'forwarders' of a scale_out hop only, got "
                       << stringifyForwarders(forwarders)
                       << " on a scale_up hop";
  return success();
}

LogicalResult
ExpertMajorLayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                              int64_t align) {
  if (align < 1 || align > 65536) // expert_major_c1
    return emitError() << "expected 'align' from 1 to 65536, got " << align;
  return success();
}

LogicalResult
ExpertSlotsLayoutAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                              int64_t capacity, Overflow) {
  if (capacity < 1) // expert_slots_c1
    return emitError() << "expected 'capacity' of at least 1, got " << capacity;
  return success();
}

//===----------------------------------------------------------------------===//
// Shapes of tensors with a layout
//===----------------------------------------------------------------------===//

LogicalResult
fusco::verifyRowsShape(function_ref<InFlightDiagnostic()> emitError,
                       ArrayRef<int64_t> shape) {
  if (shape.size() != 2) // layout_c1
    return emitError() << "expected rows of shape [rows, hidden], got "
                       << shape.size() << " dimensions";
  if (shape[0] == 0) // layout_c1
    return emitError() << "expected at least 1 row where the number is static";
  if (ShapedType::isDynamic(shape[1]) || shape[1] < 1) // layout_c1
    return emitError() << "expected a static hidden size of at least 1, got "
                       << (ShapedType::isDynamic(shape[1])
                               ? std::string("?")
                               : std::to_string(shape[1]));
  return success();
}

LogicalResult TokenMajorLayoutAttr::verifyEncoding(
    ArrayRef<int64_t> shape, Type elementType,
    function_ref<InFlightDiagnostic()> emitError) const {
  return verifyRowsShape(emitError, shape);
}

LogicalResult DeviceMajorLayoutAttr::verifyEncoding(
    ArrayRef<int64_t> shape, Type elementType,
    function_ref<InFlightDiagnostic()> emitError) const {
  return verifyRowsShape(emitError, shape);
}

LogicalResult RankMajorLayoutAttr::verifyEncoding(
    ArrayRef<int64_t> shape, Type elementType,
    function_ref<InFlightDiagnostic()> emitError) const {
  return verifyRowsShape(emitError, shape);
}

LogicalResult ExpertMajorLayoutAttr::verifyEncoding(
    ArrayRef<int64_t> shape, Type elementType,
    function_ref<InFlightDiagnostic()> emitError) const {
  return verifyRowsShape(emitError, shape);
}

LogicalResult ExpertSlotsLayoutAttr::verifyEncoding(
    ArrayRef<int64_t> shape, Type elementType,
    function_ref<InFlightDiagnostic()> emitError) const {
  if (shape.size() != 3) // expert_slots_c2
    return emitError() << "expected the shape [experts, capacity, hidden], got "
                       << shape.size() << " dimensions";
  if (shape[1] != getCapacity()) // expert_slots_c2
    return emitError() << "expected dimension 1 to be the capacity "
                       << getCapacity() << ", got " << shape[1];
  return success();
}
