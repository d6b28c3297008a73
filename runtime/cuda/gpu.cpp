//===- gpu.cpp - The GPU of a domain --------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Finds a GPU that can run a library, loads the kernels, hands out memory.
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/gpu.h"

#include "runtime/status.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

using namespace fusco;
using namespace fusco::runtime;

static cuda::CUdeviceptr toDevice(const void *data) {
  return reinterpret_cast<std::uintptr_t>(data);
}

//===--- Opening ----------------------------------------------------------===//

/// Compute capability 9.0 as 90: what stands behind "sm_".
static int getRequiredCapability(const fusco_library_info &info) {
  return std::atoi(info.target + std::strlen("sm_"));
}

fusco_status Gpu::check(cuda::CUresult result, const char *what) const {
  if (result == cuda::CUDA_SUCCESS)
    return FUSCO_OK;
  return fail(result == cuda::CUDA_ERROR_OUT_OF_MEMORY ? FUSCO_OUT_OF_MEMORY
                                                       : FUSCO_DEVICE_ERROR,
              "%s", getDriver().describe(what, result).data);
}

fusco_status Gpu::findDevice(const fusco_library_info &info, int preferred) {
  cuda::ErrorText reason;
  where.driver = cuda::getDriver(reason);
  int numDevices = 0;
  if (where.driver) {
    if (fusco_status status =
            check(getDriver().deviceGetCount(&numDevices), "counting the GPUs"))
      return status;
    std::snprintf(reason.data, sizeof(reason.data), "the driver finds no GPU");
  }
  if (numDevices == 0)
    return fail(FUSCO_UNSUPPORTED,
                "model '%s' was compiled for GPUs (%s), and there is none "
                "here: %s",
                info.model, info.target, reason.data);

  const cuda::Driver &driver = getDriver();
  driver.ctxGetCurrent(&where.context); // NULL if there is none
  if (fusco_status status = check(
          where.context ? driver.ctxGetDevice(&ordinal)
                        : driver.deviceGet(&ordinal, preferred % numDevices),
          "finding the GPU"))
    return status;
  int major = 0, minor = 0;
  driver.deviceGetAttribute(
      &major, cuda::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, ordinal);
  driver.deviceGetAttribute(
      &minor, cuda::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, ordinal);
  int required = getRequiredCapability(info);
  if (major * 10 + minor < required)
    return fail(FUSCO_UNSUPPORTED,
                "model '%s' was compiled for GPUs of compute capability %d.%d "
                "or newer (%s), GPU %d has %d.%d",
                info.model, required / 10, required % 10, info.target, ordinal,
                major, minor);
  if (where.context)
    return FUSCO_OK;
  fusco_status status =
      check(driver.devicePrimaryCtxRetain(&where.context, ordinal),
            "making a CUDA context");
  isRetained = status == FUSCO_OK;
  return status;
}

/// Ranks wait for each other in their kernels, so that all blocks of all ranks
/// must run at once.
fusco_status Gpu::findRoom(const fusco_library_info &info,
                           std::int32_t numRanks) {
  int numMultiprocessors = 0;
  if (fusco_status status =
          check(getDriver().deviceGetAttribute(
                    &numMultiprocessors,
                    cuda::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, ordinal),
                "counting the multiprocessors"))
    return status;
  numBlocks = std::min(info.maxBlocks, numMultiprocessors / numRanks);
  if (numBlocks > 0)
    return FUSCO_OK;
  return fail(FUSCO_UNSUPPORTED,
              "model '%s' needs a multiprocessor for each of its %" PRId32
              " ranks, GPU %d has %d",
              info.model, numRanks, ordinal, numMultiprocessors);
}

fusco_status Gpu::loadModule(const void *image) {
  // What the driver's compiler finds wrong with PTX.
  char log[256] = "";
  cuda::CUjit_option options[] = {cuda::CU_JIT_ERROR_LOG_BUFFER,
                                  cuda::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log))};
  cuda::CUmodule loaded = nullptr;
  cuda::CUresult result =
      getDriver().moduleLoadDataEx(&loaded, image, 2, options, values);
  if (result == cuda::CUDA_SUCCESS) {
    module = cuda::Module(where, loaded);
    return FUSCO_OK;
  }
  if (result == cuda::CUDA_ERROR_INVALID_IMAGE ||
      result == cuda::CUDA_ERROR_NO_BINARY_FOR_GPU)
    return fail(FUSCO_UNSUPPORTED, "%s",
                getDriver().describe("loading the kernels", result).data);
  char what[sizeof(log) + 32] = "loading the kernels";
  log[std::strcspn(log, "\n")] = '\0';
  if (log[0])
    std::snprintf(what, sizeof(what), "loading the kernels (%s)", log);
  return check(result, what);
}

fusco_status Gpu::loadKernels(const fusco_library &library) {
  // A cubin is for one generation of GPUs; PTX fits all later ones.
  const fusco_device_code &code = *library.device;
  fusco_status status = code.cubin ? loadModule(code.cubin) : FUSCO_UNSUPPORTED;
  if (status == FUSCO_UNSUPPORTED)
    status = loadModule(code.ptx);
  if (status != FUSCO_OK)
    return status;
  for (std::int32_t i = 0; i < library.info->numPrograms; ++i) {
    const fusco_program_info &program = library.info->programs[i];
    char name[FUSCO_NAME_BYTES];
    std::snprintf(name, sizeof(name), "%s", program.name);
    std::replace(name, name + std::strlen(name), '.', '$');
    char what[FUSCO_NAME_BYTES + 32];
    std::snprintf(what, sizeof(what), "finding the kernel '%s'", name);
    status = check(
        getDriver().moduleGetFunction(&kernels[i], module.get(), name), what);
    if (status != FUSCO_OK)
      return status;
    // More than 48 KiB must be asked for.
    std::snprintf(what, sizeof(what), "giving '%s' its shared memory", name);
    status = check(getDriver().funcSetAttribute(
                       kernels[i],
                       cuda::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                       program.sharedBytes),
                   what);
    if (status != FUSCO_OK)
      return status;
  }
  return FUSCO_OK;
}

static fusco_status createStream(const Gpu &gpu, cuda::Stream &stream) {
  // Others would wait for what a host does on the default stream.
  cuda::CUstream made = nullptr;
  if (fusco_status status = gpu.check(
          gpu.getDriver().streamCreate(&made, cuda::CU_STREAM_NON_BLOCKING),
          "making a stream"))
    return status;
  stream = cuda::Stream(gpu.getContext(), made);
  return FUSCO_OK;
}

fusco_status Gpu::open(const fusco_library &library, std::int32_t numRanks,
                       int ordinal, std::unique_ptr<Gpu> &gpu) {
  std::unique_ptr<Gpu> made(new (std::nothrow) Gpu);
  if (!made)
    return fail(FUSCO_OUT_OF_MEMORY, "no memory for a GPU's description");
  if (fusco_status status = made->findDevice(*library.info, ordinal))
    return status;
  if (fusco_status status = made->findRoom(*library.info, numRanks))
    return status;
  cuda::ContextGuard guard(made->where);
  if (fusco_status status = made->loadKernels(library))
    return status;
  if (fusco_status status = createStream(*made, made->stream))
    return status;
  gpu = std::move(made);
  return FUSCO_OK;
}

Gpu::~Gpu() {
  // Before the context that they are in.
  stream = cuda::Stream();
  module = cuda::Module();
  if (isRetained)
    getDriver().devicePrimaryCtxRelease(ordinal);
}

//===--- Memory -----------------------------------------------------------===//

fusco_status Gpu::finish(cuda::CUresult result, const char *what) const {
  if (result == cuda::CUDA_SUCCESS)
    result = getDriver().streamSynchronize(stream.get());
  return check(result, what);
}

fusco_status Gpu::allocateZeroed(std::uint64_t bytes, const char *what,
                                 char *&data) const {
  char purpose[96];
  std::snprintf(purpose, sizeof(purpose),
                "allocating %" PRIu64 " bytes of GPU %d for %s", bytes, ordinal,
                what);
  cuda::ContextGuard guard(where);
  cuda::CUdeviceptr made = 0;
  if (fusco_status status = check(getDriver().memAlloc(&made, bytes), purpose))
    return status;
  data = reinterpret_cast<char *>(made);
  fusco_status status =
      finish(getDriver().memsetD8Async(made, 0, bytes, stream.get()), purpose);
  if (status != FUSCO_OK)
    free(data);
  return status;
}

void Gpu::free(char *data) const {
  cuda::ContextGuard guard(where);
  getDriver().memFree(toDevice(data)); // nobody to tell of an error
}

fusco_status Gpu::fillWithZeros(char *data, std::uint64_t bytes) const {
  cuda::ContextGuard guard(where);
  return finish(
      getDriver().memsetD8Async(toDevice(data), 0, bytes, stream.get()),
      "clearing memory of the GPU");
}

fusco_status Gpu::exportMemory(char *data, cuda::CUipcMemHandle &handle) const {
  cuda::ContextGuard guard(where);
  return check(getDriver().ipcGetMemHandle(&handle, toDevice(data)),
               "sharing memory of the GPU with other processes");
}

fusco_status Gpu::mapPeer(const cuda::CUipcMemHandle &handle, std::int32_t rank,
                          char *&data) const {
  char what[64];
  std::snprintf(what, sizeof(what), "mapping the memory of rank %" PRId32,
                rank);
  cuda::ContextGuard guard(where);
  cuda::CUdeviceptr mapped = 0;
  if (fusco_status status =
          check(getDriver().ipcOpenMemHandle(
                    &mapped, handle, cuda::CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS),
                what))
    return status;
  data = reinterpret_cast<char *>(mapped);
  return FUSCO_OK;
}

void Gpu::unmapPeer(char *data) const {
  cuda::ContextGuard guard(where);
  getDriver().ipcCloseMemHandle(toDevice(data)); // nobody to tell of an error
}

fusco_status Gpu::copyToHost(void *to, const void *from,
                             std::uint64_t bytes) const {
  cuda::ContextGuard guard(where);
  return finish(
      getDriver().memcpyDtoHAsync(to, toDevice(from), bytes, stream.get()),
      "copying from the GPU");
}

fusco_status Gpu::copyFromHost(void *to, const void *from,
                               std::uint64_t bytes) const {
  cuda::ContextGuard guard(where);
  return finish(
      getDriver().memcpyHtoDAsync(toDevice(to), from, bytes, stream.get()),
      "copying to the GPU");
}

//===--- Ranks ------------------------------------------------------------===//

/// Sets \p mapped to all zeros.
template <typename T>
static fusco_status allocateMapped(const Gpu &gpu, Mapped<T> &mapped) {
  cuda::ContextGuard guard(gpu.getContext());
  void *data = nullptr;
  if (fusco_status status = gpu.check(
          gpu.getDriver().memHostAlloc(&data, sizeof(T),
                                       cuda::CU_MEMHOSTALLOC_PORTABLE |
                                           cuda::CU_MEMHOSTALLOC_DEVICEMAP),
          "allocating host memory for the GPU"))
    return status;
  mapped.memory = cuda::PinnedMemory(gpu.getContext(), data);
  std::memset(data, 0, sizeof(T));
  return gpu.check(
      gpu.getDriver().memHostGetDevicePointer(&mapped.onGpu, data, 0),
      "mapping host memory for the GPU");
}

fusco_status GpuRank::create(const Gpu &gpu, std::unique_ptr<GpuRank> &rank) {
  std::unique_ptr<GpuRank> made(new (std::nothrow) GpuRank);
  if (!made)
    return fail(FUSCO_OUT_OF_MEMORY, "no memory for a context");
  if (fusco_status status =
          runtime::allocateZeroed(&gpu, sizeof(fusco_device_control),
                                  "a rank's control", made->control))
    return status;
  cuda::ContextGuard guard(gpu.getContext());
  if (fusco_status status = createStream(gpu, made->stream))
    return status;
  if (fusco_status status = allocateMapped(gpu, made->error))
    return status;
  rank = std::move(made);
  return FUSCO_OK;
}

fusco_status GpuRank::startPuts(const Gpu &gpu, CountedPuts &network,
                                const char *heap,
                                PutProxy::OnFailure onFailure) {
  if (fusco_status status = allocateMapped(gpu, puts))
    return status;
  return PutProxy::start(network, puts.get(), heap, std::move(onFailure),
                         proxy);
}
