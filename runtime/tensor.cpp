//===- tensor.cpp - Tensors for callers -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// fusco_tensor_create: zeroed DLPack tensors whose memory peers may write to;
/// and copies between the host and them.
//
//===----------------------------------------------------------------------===//

#include "runtime/context.h"
#include "runtime/cuda/kernel.h"
#include "runtime/memory.h"
#include "runtime/status.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <new>

using namespace fusco::runtime;

namespace {
/// A tensor and all that its deleter frees.
struct OwnedTensor {
  DLManagedTensor managed;
  std::unique_ptr<std::int64_t[]> shape;
  Memory data;            ///< in a domain that has all ranks here
  Arena *arena = nullptr; ///< where `shared` is, in one that was joined
  char *shared = nullptr;
  ~OwnedTensor() {
    if (arena)
      arena->free(shared);
  }
};
} // namespace

/// Computes the bytes of a contiguous tensor; false if 63 bits do not hold
/// them.
static bool countBytes(std::int64_t bytesPerElement, const std::int64_t *shape,
                       std::int32_t ndim, std::int64_t &bytes) {
  // No bytes, whatever the product of the other extents.
  if (std::find(shape, shape + ndim, 0) != shape + ndim) {
    bytes = 0;
    return true;
  }
  bytes = bytesPerElement;
  return std::all_of(shape, shape + ndim, [&](std::int64_t extent) {
    return !__builtin_mul_overflow(bytes, extent, &bytes);
  });
}

/// Other processes see a rank's tensors in its arena.
static fusco_status allocate(fusco_domain &domain, std::uint64_t bytes,
                             OwnedTensor &tensor) {
  if (!domain.membership)
    return allocateZeroed(domain.gpu.get(), bytes, "a tensor", tensor.data);
  Arena &arena = domain.membership->getArena();
  if (fusco_status status = arena.allocate(bytes, tensor.shared))
    return status;
  tensor.arena = &arena;
  return FUSCO_OK;
}

fusco_status fusco_tensor_create(fusco_context *context, DLDataType dtype,
                                 std::int32_t ndim, const std::int64_t *shape,
                                 DLManagedTensor **tensor) {
  if (!context)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: expected a context, got NULL",
                __func__);
  if (!tensor)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected room for a tensor, got NULL", __func__);
  if (dtype.bits == 0 || dtype.bits % 8 != 0 || dtype.lanes != 1)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected a dtype of whole bytes and 1 lane, got %d bits "
                "and %d lanes",
                __func__, dtype.bits, dtype.lanes);
  if (ndim < 0)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected 0 or more dimensions, got %" PRId32, __func__,
                ndim);
  if (ndim > 0 && !shape)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected a shape of %" PRId32 " extents, got NULL",
                __func__, ndim);
  for (std::int32_t dim = 0; dim < ndim; ++dim)
    if (shape[dim] < 0)
      return fail(FUSCO_INVALID_ARGUMENT,
                  "%s: expected extents of 0 or more, got %" PRId64
                  " for dimension %" PRId32,
                  __func__, shape[dim], dim);
  std::int64_t bytes;
  if (!countBytes(dtype.bits / 8, shape, ndim, bytes))
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected a shape of less than 2^63 bytes, got more",
                __func__);

  std::unique_ptr<OwnedTensor> made(new (std::nothrow) OwnedTensor{});
  if (made)
    made->shape.reset(new (std::nothrow) std::int64_t[ndim]);
  if (!made || !made->shape)
    return fail(FUSCO_OUT_OF_MEMORY, "%s: no memory for a tensor", __func__);
  if (fusco_status status = allocate(*context->domain, bytes, *made))
    return status;
  std::copy_n(shape, ndim, made->shape.get());

  DLTensor &view = made->managed.dl_tensor;
  view.data = made->arena ? made->shared : made->data.get();
  view.device = context->domain->getDevice();
  view.ndim = ndim;
  view.dtype = dtype;
  view.shape = made->shape.get();
  view.strides = nullptr; // compact, row-major
  view.byte_offset = 0;
  made->managed.manager_ctx = made.get();
  made->managed.deleter = [](DLManagedTensor *self) {
    delete static_cast<OwnedTensor *>(self->manager_ctx);
  };
  *tensor = &made.release()->managed;
  return FUSCO_OK;
}

/// The entry of \p count \p entries that is called \p name; null if none is.
template <typename Entry>
static const Entry *findByName(const Entry *entries, std::int32_t count,
                               const char *name) {
  const Entry *end = entries + count;
  const Entry *found = std::find_if(entries, end, [&](const Entry &entry) {
    return std::strncmp(entry.name, name, FUSCO_NAME_BYTES) == 0;
  });
  return found == end ? nullptr : found;
}

fusco_status fusco_tensor_create_for(fusco_context *context,
                                     const char *program, const char *name,
                                     std::int64_t rows,
                                     DLManagedTensor **tensor) {
  if (!context || !program || !name)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected a context, a program and a name, got NULL",
                __func__);
  const fusco_library_info &info = *context->library->info;
  const fusco_program_info *found =
      findByName(info.programs, info.numPrograms, program);
  if (!found)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: %s has no program '%s'", __func__,
                info.model, program);
  const fusco_tensor_spec *spec =
      findByName(found->tensors, found->numTensors, name);
  if (!spec)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: %s_%s has no tensor '%s'",
                __func__, info.model, program, name);
  std::int64_t shape[FUSCO_MAX_DIMS];
  std::copy_n(spec->shape, FUSCO_MAX_DIMS, shape);
  std::replace_if(
      shape, shape + spec->ndim, [](std::int64_t extent) { return extent < 0; },
      rows);
  return fusco_tensor_create(context, {spec->dtypeCode, spec->dtypeBits, 1},
                             spec->ndim, shape, tensor);
}

/// The checks that both copies make, and on a GPU the wait before them.
static fusco_status prepareCopy(const char *function, fusco_context *context,
                                const void *to, const void *from,
                                std::uint64_t bytes) {
  if (!context)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: expected a context, got NULL",
                function);
  if (bytes > 0 && (!to || !from))
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected %" PRIu64 " bytes to copy, got NULL", function,
                bytes);
  return context->onGpu ? waitForKernels(*context, nullptr) : FUSCO_OK;
}

fusco_status fusco_copy_to_device(fusco_context *context, void *to,
                                  const void *from, std::uint64_t bytes) {
  fusco_status status = prepareCopy(__func__, context, to, from, bytes);
  if (status != FUSCO_OK || bytes == 0)
    return status;
  if (context->onGpu)
    return context->domain->gpu->copyFromHost(to, from, bytes);
  std::memcpy(to, from, bytes);
  return FUSCO_OK;
}

fusco_status fusco_copy_to_host(fusco_context *context, void *to,
                                const void *from, std::uint64_t bytes) {
  fusco_status status = prepareCopy(__func__, context, to, from, bytes);
  if (status != FUSCO_OK || bytes == 0)
    return status;
  if (context->onGpu)
    return context->domain->gpu->copyToHost(to, from, bytes);
  std::memcpy(to, from, bytes);
  return FUSCO_OK;
}
