//===- arguments.cpp - Checks of a call's arguments -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Checks of plans and tensors. The cost of a call that passes is a few
/// compares; text is made only on refusal.
//
//===----------------------------------------------------------------------===//

#include "runtime/arguments.h"

#include "runtime/failure.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <iterator>

using namespace fusco::runtime;

namespace {
/// A short text made for one error message.
struct Text {
  char data[96];
};
} // namespace

/// Writes a dtype as frameworks do: "bfloat16", "float8_e4m3fn".
static Text formatDtype(unsigned code, unsigned bits, unsigned lanes) {
  // In the order of DLDataTypeCode. Codes newer than the header that we build
  // with are named too, because hosts may send them.
  static constexpr const char *sizedNames[] = {
      "int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
  static constexpr const char *exactNames[] = {
      "float8_e3m4",     "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn",
      "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",    "float8_e8m0fnu"};
  Text text;
  unsigned numSized = std::size(sizedNames);
  int length;
  if (code < numSized)
    length = std::snprintf(text.data, sizeof(text.data), "%s%u",
                           sizedNames[code], bits);
  else if (code - numSized < std::size(exactNames))
    length = std::snprintf(text.data, sizeof(text.data), "%s",
                           exactNames[code - numSized]);
  else
    length = std::snprintf(text.data, sizeof(text.data),
                           "type code %u of %u bits", code, bits);
  if (lanes != 1)
    std::snprintf(text.data + length, sizeof(text.data) - length,
                  " of %u lanes", lanes);
  return text;
}

/// Writes 1 or 2 extents or strides, "[3, 2048]"; in a spec the rows that are
/// known at run time only as "?".
static Text formatExtents(const std::int64_t *extents, std::int32_t ndim,
                          bool isSpec = false) {
  Text text;
  int length = 0;
  for (std::int32_t dim = 0; dim < ndim; ++dim) {
    char *end = text.data + length;
    std::size_t room = sizeof(text.data) - length;
    const char *separator = dim == 0 ? "[" : ", ";
    if (isSpec && extents[dim] < 0)
      length += std::snprintf(end, room, "%s?", separator);
    else
      length += std::snprintf(end, room, "%s%" PRId64, separator, extents[dim]);
  }
  std::snprintf(text.data + length, sizeof(text.data) - length, "]");
  return text;
}

static bool hasElements(const DLTensor &tensor) {
  return std::all_of(tensor.shape, tensor.shape + tensor.ndim,
                     [](std::int64_t extent) { return extent != 0; });
}

static bool hasExpectedShape(const fusco_tensor_spec &spec,
                             const DLTensor &tensor) {
  for (std::int32_t dim = 0; dim < spec.ndim; ++dim) {
    bool isDynamic = spec.shape[dim] < 0;
    if (isDynamic ? tensor.shape[dim] < 0
                  : tensor.shape[dim] != spec.shape[dim])
      return false;
  }
  return true;
}

/// Frameworks without float8 of their own take bytes for it.
static bool hasExpectedCode(const fusco_tensor_spec &spec, unsigned code) {
  bool isFloat8 = spec.dtypeCode == FUSCO_DTYPE_FLOAT8_E4M3FN ||
                  spec.dtypeCode == FUSCO_DTYPE_FLOAT8_E5M2;
  return code == spec.dtypeCode || (isFloat8 && code == kDLUInt);
}

/// Whether rows lie one after the other. Strides of extents that have no second
/// element say nothing; frameworks put any value there.
static bool isContiguous(const DLTensor &tensor) {
  if (!tensor.strides || !hasElements(tensor))
    return true;
  // Unsigned, because a caller's row count may be absurd and the product wraps.
  std::uint64_t compactStride = 1;
  for (std::int32_t dim = tensor.ndim - 1; dim >= 0; --dim) {
    if (tensor.shape[dim] > 1 &&
        static_cast<std::uint64_t>(tensor.strides[dim]) != compactStride)
      return false;
    compactStride *= tensor.shape[dim];
  }
  return true;
}

static Text formatDevice(DLDevice device) {
  Text text;
  if (device.device_type == kDLCPU)
    std::snprintf(text.data, sizeof(text.data), "CPU memory");
  else if (device.device_type == kDLCUDA)
    std::snprintf(text.data, sizeof(text.data), "the memory of GPU %d",
                  static_cast<int>(device.device_id));
  else
    std::snprintf(text.data, sizeof(text.data), "DLPack device type %d",
                  static_cast<int>(device.device_type));
  return text;
}

/// Whether \p device is \p expected; there is only one CPU.
static bool isDevice(DLDevice device, DLDevice expected) {
  return device.device_type == expected.device_type &&
         (device.device_type == kDLCPU ||
          device.device_id == expected.device_id);
}

/// Checks all that concerns one tensor alone.
static fusco_status checkTensor(const EntryPoint &where, DLDevice device,
                                const fusco_tensor_spec &spec,
                                const DLTensor *tensor) {
  auto refuse = [&](const char *expected, const char *got) {
    return failIn(where, FUSCO_INVALID_ARGUMENT,
                  "tensor '%s': expected %s, got %s", spec.name, expected, got);
  };
  if (!tensor)
    return refuse("a tensor", "NULL");
  if (!isDevice(tensor->device, device))
    return failIn(where, FUSCO_INVALID_ARGUMENT,
                  "tensor '%s': expected a tensor in %s, got one in %s",
                  spec.name, formatDevice(device).data,
                  formatDevice(tensor->device).data);
  const DLDataType &dtype = tensor->dtype;
  if (!hasExpectedCode(spec, dtype.code) || dtype.bits != spec.dtypeBits ||
      dtype.lanes != 1)
    return failIn(where, FUSCO_INVALID_ARGUMENT,
                  "tensor '%s': expected dtype %s, got %s", spec.name,
                  formatDtype(spec.dtypeCode, spec.dtypeBits, 1).data,
                  formatDtype(dtype.code, dtype.bits, dtype.lanes).data);
  if (tensor->ndim != spec.ndim)
    return failIn(where, FUSCO_INVALID_ARGUMENT,
                  "tensor '%s': expected %" PRId32 " dimensions, got %" PRId32,
                  spec.name, spec.ndim, tensor->ndim);
  if (!tensor->shape)
    return refuse("a shape", "NULL");
  if (!hasExpectedShape(spec, *tensor))
    return failIn(where, FUSCO_INVALID_ARGUMENT,
                  "tensor '%s': expected shape %s, got %s", spec.name,
                  formatExtents(spec.shape, spec.ndim, true).data,
                  formatExtents(tensor->shape, spec.ndim).data);
  if (!isContiguous(*tensor))
    return failIn(where, FUSCO_INVALID_ARGUMENT,
                  "tensor '%s': expected contiguous rows, got strides %s for "
                  "shape %s; make a contiguous copy",
                  spec.name, formatExtents(tensor->strides, spec.ndim).data,
                  formatExtents(tensor->shape, spec.ndim).data);
  if (!hasElements(*tensor))
    return FUSCO_OK;
  if (!tensor->data)
    return refuse("data", "NULL");
  std::uint64_t address =
      reinterpret_cast<std::uintptr_t>(tensor->data) + tensor->byte_offset;
  if (address % FUSCO_ALIGNMENT != 0)
    return failIn(where, FUSCO_INVALID_ARGUMENT,
                  "tensor '%s': expected data aligned to %d bytes, got an "
                  "address %d bytes off; allocate it with fusco_tensor_create",
                  spec.name, FUSCO_ALIGNMENT,
                  static_cast<int>(address % FUSCO_ALIGNMENT));
  return FUSCO_OK;
}

/// Checks that the processes of other ranks see \p tensor where they use it.
static fusco_status checkExposure(const fusco_context &context,
                                  const fusco_tensor_spec &spec,
                                  const DLTensor &tensor) {
  if (spec.exposure == FUSCO_EXPOSURE_NETWORK && context.domain->networkHeaps)
    return failIn(context.entryPoint, FUSCO_UNSUPPORTED,
                  "tensor '%s': other nodes put to it, which transport 'ucx' "
                  "cannot do to the memory of a GPU; use a fused form",
                  spec.name);
  const Membership *membership = context.domain->membership.get();
  if (!membership || spec.exposure == FUSCO_EXPOSURE_NONE ||
      !hasElements(tensor))
    return FUSCO_OK;
  std::uint64_t bytes = spec.dtypeBits / 8;
  for (std::int32_t dim = 0; dim < tensor.ndim; ++dim)
    bytes *= tensor.shape[dim];
  const char *data = static_cast<char *>(tensor.data) + tensor.byte_offset;
  if (membership->getArena().contains(data, bytes))
    return FUSCO_OK;
  return failIn(
      context.entryPoint, FUSCO_INVALID_ARGUMENT,
      "tensor '%s': expected memory that the processes of other ranks "
      "see, got other memory; allocate it with fusco_tensor_create",
      spec.name);
}

/// Checks that \p tensors, each in order by itself, agree on how many tokens
/// there are.
static fusco_status checkTokens(const fusco_context &context,
                                const fusco_plan &plan,
                                const DLTensor *const *tensors) {
  const EntryPoint &where = context.entryPoint;
  const fusco_program_info &program = *context.program;
  std::int64_t maxTokens = context.library->info->maxTokens;
  const char *source = "the plan";
  std::int64_t tokens = program.writesPlan ? -1 : plan.tokens;
  for (std::int32_t i = 0; i < program.numTensors; ++i) {
    const fusco_tensor_spec &spec = program.tensors[i];
    if (spec.rowsKind != FUSCO_ROWS_TOKENS)
      continue;
    std::int64_t rows = tensors[i]->shape[0];
    if (rows > maxTokens)
      return failIn(where, FUSCO_CAPACITY,
                    "tensor '%s': expected at most %" PRId64
                    " rows, the model's max_tokens, got %" PRId64,
                    spec.name, maxTokens, rows);
    if (tokens < 0) {
      tokens = rows;
      source = spec.name;
    } else if (rows != tokens) {
      return failIn(where, FUSCO_INVALID_ARGUMENT,
                    "tensor '%s': expected %" PRId64
                    " rows, the tokens of %s, got %" PRId64,
                    spec.name, tokens, source, rows);
    }
  }
  return FUSCO_OK;
}

/// Checks that tensors that are stored by columns have as many rows as the
/// first one of experts: their columns lie that far apart, as peers are told.
static fusco_status checkColumns(const fusco_context &context,
                                 const DLTensor *const *tensors) {
  const fusco_program_info &program = *context.program;
  const fusco_tensor_spec *end = program.tensors + program.numTensors;
  const fusco_tensor_spec *first =
      std::find_if(program.tensors, end, [](const fusco_tensor_spec &spec) {
        return spec.rowsKind == FUSCO_ROWS_EXPERT && !spec.isByColumns;
      });
  for (const fusco_tensor_spec *spec = program.tensors; spec != end; ++spec) {
    if (spec->rowsKind != FUSCO_ROWS_EXPERT || !spec->isByColumns)
      continue;
    std::int64_t expected = tensors[first - program.tensors]->shape[0];
    std::int64_t rows = tensors[spec - program.tensors]->shape[1];
    if (rows != expected)
      return failIn(context.entryPoint, FUSCO_INVALID_ARGUMENT,
                    "tensor '%s': expected columns of %" PRId64
                    " rows, as many as '%s' has, got %" PRId64,
                    spec->name, expected, first->name, rows);
  }
  return FUSCO_OK;
}

fusco_status fusco::runtime::checkPlan(const fusco_context &context,
                                       const fusco_plan *plan) {
  const EntryPoint &where = context.entryPoint;
  if (!plan)
    return failIn(where, FUSCO_INVALID_ARGUMENT, "expected a plan, got NULL");
  if (plan->domain != context.domain)
    return failIn(where, FUSCO_INVALID_ARGUMENT,
                  "expected a plan of the context's own domain, got one of "
                  "another domain");
  if (plan->rank != context.rank)
    return failIn(where, FUSCO_INVALID_ARGUMENT,
                  "expected a plan of rank %" PRId32
                  ", got one of rank %" PRId32,
                  context.rank, plan->rank);
  if (!context.program->writesPlan && !plan->isFilled)
    return failEmptyPlan(where);
  return FUSCO_OK;
}

fusco_status fusco::runtime::checkTensors(const fusco_context &context,
                                          const fusco_plan &plan,
                                          const DLTensor *const *tensors) {
  const EntryPoint &where = context.entryPoint;
  const fusco_program_info &program = *context.program;
  if (!tensors)
    return failIn(where, FUSCO_INVALID_ARGUMENT, "expected tensors, got NULL");
  const DLDevice device = context.domain->getDevice();
  for (std::int32_t i = 0; i < program.numTensors; ++i) {
    const fusco_tensor_spec &spec = program.tensors[i];
    if (fusco_status status = checkTensor(where, device, spec, tensors[i]))
      return status;
    if (fusco_status status = checkExposure(context, spec, *tensors[i]))
      return status;
  }
  if (fusco_status status = checkColumns(context, tensors))
    return status;
  return checkTokens(context, plan, tensors);
}
