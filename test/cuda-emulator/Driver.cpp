//===- Driver.cpp - The CUDA driver's functions ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The symbols of libcuda.so.1 that the runtime and the tests look up, with the
/// driver's rules: a current context, errors that stick until the context goes.
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Stream.h"

#include <algorithm>
#include <cstdio>

using namespace fusco::emulator;

#define CUDA_API extern "C" __attribute__((visibility("default"))) CUresult

struct CUctx_st {
  int numReferences = 0;
};

struct CUfunc_st {
  std::shared_ptr<const Module> module;
  const Function *function;
  int maxDynamicSharedBytes = 48 << 10; ///< more only if asked for
};

struct CUmod_st {
  std::shared_ptr<const Module> module;
  std::map<std::string, std::unique_ptr<CUfunc_st>> functions;
};

static constexpr int maxSharedBytes = 227 << 10;

static CUctx_st primaryContext;
static bool isInitialised = false;
static thread_local std::vector<CUcontext> contexts;

using Lock = std::unique_lock<std::mutex>;

/// Runs \p function with the GPU's mutex if there is a context and no error.
template <class Fn> static CUresult run(Fn function) {
  Lock lock(Gpu::get().mutex);
  if (!isInitialised)
    return CUDA_ERROR_NOT_INITIALIZED;
  if (contexts.empty() || !contexts.back())
    return CUDA_ERROR_INVALID_CONTEXT;
  if (int error = Gpu::get().getError())
    return CUresult(error);
  CUresult result = function(lock);
  // What was waited for may have failed.
  int error = Gpu::get().getError();
  return error ? CUresult(error) : result;
}

//===----------------------------------------------------------------------===//
// Errors, devices, contexts
//===----------------------------------------------------------------------===//

namespace {
struct ErrorText {
  CUresult result;
  const char *name, *text;
};
} // namespace

static constexpr ErrorText errorTexts[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED",
     "initialization error"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE",
     "invalid device ordinal"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT",
     "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX",
     "a PTX JIT compilation failed"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE",
     "invalid resource handle"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {CUDA_ERROR_MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS",
     "misaligned address"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED",
     "unspecified launch failure"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
     "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
     "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"}};

static CUresult findError(CUresult error, const char **text,
                          const char *ErrorText::*member) {
  for (const ErrorText &entry : errorTexts)
    if (entry.result == error) {
      *text = entry.*member;
      return CUDA_SUCCESS;
    }
  *text = nullptr;
  return CUDA_ERROR_INVALID_VALUE;
}

CUDA_API cuGetErrorName(CUresult error, const char **name) {
  return findError(error, name, &ErrorText::name);
}

CUDA_API cuGetErrorString(CUresult error, const char **text) {
  return findError(error, text, &ErrorText::text);
}

CUDA_API cuInit(unsigned) {
  Lock lock(Gpu::get().mutex);
  isInitialised = true;
  return CUDA_SUCCESS;
}

CUDA_API cuDriverGetVersion(int *version) {
  *version = 12080;
  return CUDA_SUCCESS;
}

CUDA_API cuDeviceGetCount(int *count) {
  *count = 1;
  return isInitialised ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

CUDA_API cuDeviceGet(CUdevice *device, int ordinal) {
  *device = 0;
  return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUDA_API cuDeviceGetName(char *name, int bytes, CUdevice) {
  std::snprintf(name, bytes, "fusco emulated GPU");
  return CUDA_SUCCESS;
}

CUDA_API cuDeviceTotalMem_v2(std::size_t *bytes, CUdevice) {
  *bytes = Memory::arenaBytes;
  return CUDA_SUCCESS;
}

CUDA_API cuDeviceGetAttribute(int *value, int attribute, CUdevice) {
  switch (attribute) {
  case 1: // MAX_THREADS_PER_BLOCK
    *value = 1024;
    break;
  case 8: // MAX_SHARED_MEMORY_PER_BLOCK
    *value = 48 << 10;
    break;
  case 10: // WARP_SIZE
    *value = warpSize;
    break;
  case 16: // MULTIPROCESSOR_COUNT
    *value = Gpu::get().getNumMultiprocessors();
    break;
  case 41: // UNIFIED_ADDRESSING
    *value = 1;
    break;
  case 75: // COMPUTE_CAPABILITY_MAJOR
    *value = 9;
    break;
  case 97: // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    *value = maxSharedBytes;
    break;
  default:
    *value = 0;
  }
  return CUDA_SUCCESS;
}

CUDA_API cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) {
  Lock lock(Gpu::get().mutex);
  if (!isInitialised)
    return CUDA_ERROR_NOT_INITIALIZED;
  ++primaryContext.numReferences;
  *context = &primaryContext;
  return CUDA_SUCCESS;
}

/// The last release ends the context: its memory, its work, its error.
CUDA_API cuDevicePrimaryCtxRelease_v2(CUdevice) {
  Lock lock(Gpu::get().mutex);
  if (primaryContext.numReferences == 0)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (--primaryContext.numReferences)
    return CUDA_SUCCESS;
  Gpu::get().reset(lock);
  resetStreams();
  Memory::get().freeAll();
  return CUDA_SUCCESS;
}

CUDA_API cuCtxGetCurrent(CUcontext *context) {
  *context = contexts.empty() ? nullptr : contexts.back();
  return isInitialised ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

CUDA_API cuCtxSetCurrent(CUcontext context) {
  if (!contexts.empty())
    contexts.pop_back();
  if (context)
    contexts.push_back(context);
  return CUDA_SUCCESS;
}

CUDA_API cuCtxPushCurrent_v2(CUcontext context) {
  contexts.push_back(context);
  return CUDA_SUCCESS;
}

CUDA_API cuCtxPopCurrent_v2(CUcontext *context) {
  if (contexts.empty())
    return CUDA_ERROR_INVALID_CONTEXT;
  if (context)
    *context = contexts.back();
  contexts.pop_back();
  return CUDA_SUCCESS;
}

CUDA_API cuCtxGetDevice(CUdevice *device) {
  *device = 0;
  return contexts.empty() ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

CUDA_API cuCtxSynchronize() {
  return run([](Lock &lock) {
    Gpu::get().waitForAll(lock);
    return CUDA_SUCCESS;
  });
}

//===----------------------------------------------------------------------===//
// Modules and kernels
//===----------------------------------------------------------------------===//

CUDA_API cuModuleLoadDataEx(CUmodule *module, const void *image,
                            unsigned numOptions, const int *options,
                            void **values) {
  return run([&](Lock &) {
    if (std::memcmp(image, "\177ELF", 4) == 0)
      return CUDA_ERROR_NO_BINARY_FOR_GPU;
    try {
      std::shared_ptr<const Module> parsed =
          parseModule(static_cast<const char *>(image));
      *module = new CUmod_st{std::move(parsed), {}};
      return CUDA_SUCCESS;
    } catch (const ParseError &error) {
      std::fprintf(stderr, "CUDA emulator: PTX %s\n", error.what());
      enum { ErrorLogBuffer = 5, ErrorLogBufferBytes = 6 };
      char *log = nullptr;
      std::size_t bytes = 0;
      for (unsigned i = 0; i < numOptions; ++i) {
        if (options[i] == ErrorLogBuffer)
          log = static_cast<char *>(values[i]);
        if (options[i] == ErrorLogBufferBytes)
          bytes = reinterpret_cast<std::uintptr_t>(values[i]);
      }
      if (log && bytes)
        std::snprintf(log, bytes, "%s", error.what());
      return CUDA_ERROR_INVALID_PTX;
    }
  });
}

CUDA_API cuModuleLoadData(CUmodule *module, const void *image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

CUDA_API cuModuleUnload(CUmodule module) {
  return run([&](Lock &lock) {
    Gpu::get().waitForAll(lock);
    for (const auto &[name, address] : module->module->globals)
      Memory::get().free(address, Memory::Device);
    delete module;
    return CUDA_SUCCESS;
  });
}

CUDA_API cuModuleGetFunction(CUfunction *function, CUmodule module,
                             const char *name) {
  return run([&](Lock &) {
    const auto &all = module->module->functions;
    auto found = all.find(name);
    if (found == all.end() || !found->second->isKernel)
      return CUDA_ERROR_NOT_FOUND;
    std::unique_ptr<CUfunc_st> &handle = module->functions[name];
    if (!handle)
      handle.reset(new CUfunc_st{module->module, found->second.get()});
    *function = handle.get();
    return CUDA_SUCCESS;
  });
}

enum { MaxDynamicSharedSizeBytes = 8 };

CUDA_API cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  return run([&](Lock &) {
    if (attribute != MaxDynamicSharedSizeBytes)
      return CUDA_SUCCESS;
    if (value < 0 ||
        value + int(function->module->staticSharedBytes) > maxSharedBytes)
      return CUDA_ERROR_INVALID_VALUE;
    function->maxDynamicSharedBytes = value;
    return CUDA_SUCCESS;
  });
}

CUDA_API cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
  return run([&](Lock &) {
    switch (attribute) {
    case 0: // MAX_THREADS_PER_BLOCK
      *value = function->function->maxThreads;
      break;
    case 1: // SHARED_SIZE_BYTES
      *value = function->module->staticSharedBytes;
      break;
    case 3: // LOCAL_SIZE_BYTES
      *value = function->module->localBytes;
      break;
    case MaxDynamicSharedSizeBytes:
      *value = function->maxDynamicSharedBytes;
      break;
    default:
      *value = 0;
    }
    return CUDA_SUCCESS;
  });
}

CUDA_API cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY,
                        unsigned gridZ, unsigned blockX, unsigned blockY,
                        unsigned blockZ, unsigned sharedBytes, CUstream stream,
                        void **params, void **extra) {
  return run([&](Lock &) {
    Dim3 grid{gridX, gridY, gridZ}, block{blockX, blockY, blockZ};
    const Function &code = *function->function;
    if (grid.getCount() == 0 || block.getCount() == 0 || extra ||
        block.getCount() > unsigned(code.maxThreads) ||
        sharedBytes > unsigned(function->maxDynamicSharedBytes))
      return CUDA_ERROR_INVALID_VALUE;
    auto kernel = std::make_shared<Kernel>();
    kernel->module = function->module;
    kernel->function = &code;
    kernel->grid = grid;
    kernel->block = block;
    kernel->dynamicSharedBytes = sharedBytes;
    kernel->params.resize(code.kernelParamBytes);
    for (std::size_t i = 0; i < code.parameters.size(); ++i)
      std::memcpy(&kernel->params[code.parameters[i].offset], params[i],
                  code.parameters[i].bytes);
    Work work;
    work.launch = std::move(kernel);
    submit(getStream(stream), std::move(work));
    return CUDA_SUCCESS;
  });
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

CUDA_API cuMemAlloc_v2(CUdeviceptr *address, std::size_t bytes) {
  return run([&](Lock &) {
    if (bytes == 0)
      return CUDA_ERROR_INVALID_VALUE;
    char *data = Memory::get().allocate(bytes, Memory::Device);
    *address = reinterpret_cast<CUdeviceptr>(data);
    return data ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
  });
}

static CUresult freeMemory(std::uint64_t address, Memory::Kind kind) {
  return run([&](Lock &lock) {
    if (address == 0)
      return CUDA_SUCCESS;
    Gpu::get().waitForAll(lock);
    return Memory::get().free(address, kind) ? CUDA_SUCCESS
                                             : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDA_API cuMemFree_v2(CUdeviceptr address) {
  return freeMemory(address, Memory::Device);
}

namespace {
/// What the driver's own handle looks like from outside.
struct IpcHandle {
  union {
    Memory::Shared shared;
    char reserved[64];
  };
};
} // namespace

CUDA_API cuIpcGetMemHandle(IpcHandle *handle, CUdeviceptr address) {
  return run([&](Lock &) {
    auto shared = Memory::get().share(address);
    if (!shared)
      return CUDA_ERROR_INVALID_VALUE;
    std::memset(handle, 0, sizeof(*handle));
    handle->shared = *shared;
    return CUDA_SUCCESS;
  });
}

CUDA_API cuIpcOpenMemHandle_v2(CUdeviceptr *address, IpcHandle handle,
                               unsigned) {
  return run([&](Lock &) {
    *address = Memory::get().map(handle.shared);
    return *address ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDA_API cuIpcCloseMemHandle(CUdeviceptr address) {
  return run([&](Lock &lock) {
    Gpu::get().waitForAll(lock);
    return Memory::get().unmap(address) ? CUDA_SUCCESS
                                        : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDA_API cuMemHostAlloc(void **data, std::size_t bytes, unsigned) {
  return run([&](Lock &) {
    *data = Memory::get().allocate(bytes, Memory::Host);
    return *data ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
  });
}

CUDA_API cuMemFreeHost(void *data) {
  return freeMemory(reinterpret_cast<std::uint64_t>(data), Memory::Host);
}

CUDA_API cuMemHostRegister_v2(void *data, std::size_t bytes, unsigned) {
  return run([&](Lock &) {
    return Memory::get().registerPages(data, bytes) ? CUDA_SUCCESS
                                                    : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDA_API cuMemHostUnregister(void *data) {
  return run([&](Lock &lock) {
    Gpu::get().waitForAll(lock);
    return Memory::get().unregisterPages(data) ? CUDA_SUCCESS
                                               : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDA_API cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *data,
                                      unsigned) {
  return run([&](Lock &) {
    if ((*address = Memory::get().findRegistered(data)))
      return CUDA_SUCCESS;
    *address = reinterpret_cast<CUdeviceptr>(data);
    return Memory::get().getKind(*address) == Memory::Host
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDA_API cuPointerGetAttribute(void *value, int attribute,
                               CUdeviceptr address) {
  return run([&](Lock &) {
    auto kind = Memory::get().getKind(address);
    if (!kind)
      return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
    case 2: // MEMORY_TYPE: CU_MEMORYTYPE_HOST or _DEVICE
      *static_cast<unsigned *>(value) = *kind == Memory::Host ? 1 : 2;
      return CUDA_SUCCESS;
    case 9: // DEVICE_ORDINAL
      *static_cast<int *>(value) = 0;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
    }
  });
}

/// Copies in the order of \p stream. Memory that the driver does not know is
/// read at once and written before the call returns.
static CUresult copy(Lock &lock, std::uint64_t to, std::uint64_t from,
                     std::size_t bytes, CUstream stream, bool isAsync) {
  Memory &memory = Memory::get();
  auto isKnown = [&](std::uint64_t address) {
    return memory.getKind(address).has_value();
  };
  if ((isKnown(to) && !memory.contains(to, bytes)) ||
      (isKnown(from) && !memory.contains(from, bytes)))
    return CUDA_ERROR_INVALID_VALUE;
  if (stream->capture && !isAsync)
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  auto *target = reinterpret_cast<char *>(to);
  auto *source = reinterpret_cast<const char *>(from);
  Work work;
  if (isKnown(from) || stream->capture || bytes == 0)
    work.action = [=] { std::memmove(target, source, bytes); };
  else
    work.action = [target, data = std::vector<char>(source, source + bytes)] {
      std::memcpy(target, data.data(), data.size());
    };
  submit(stream, std::move(work));
  if (!stream->capture && (!isAsync || !isKnown(to)))
    Gpu::get().wait(lock, WorkPtr(stream->last));
  return CUDA_SUCCESS;
}

static CUresult copyNow(std::uint64_t to, std::uint64_t from,
                        std::size_t bytes) {
  return run([&](Lock &lock) {
    return copy(lock, to, from, bytes, getStream(nullptr), false);
  });
}

static CUresult copyLater(std::uint64_t to, std::uint64_t from,
                          std::size_t bytes, CUstream stream) {
  return run([&](Lock &lock) {
    return copy(lock, to, from, bytes, getStream(stream), true);
  });
}

/// The same when device memory must be at \p address.
static bool isOutside(CUdeviceptr address, std::size_t bytes) {
  Lock lock(Gpu::get().mutex);
  return bytes && !Memory::get().contains(address, bytes);
}

CUDA_API cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, std::size_t bytes) {
  if (isOutside(to, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  return copyNow(to, reinterpret_cast<std::uint64_t>(from), bytes);
}

CUDA_API cuMemcpyDtoH_v2(void *to, CUdeviceptr from, std::size_t bytes) {
  if (isOutside(from, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  return copyNow(reinterpret_cast<std::uint64_t>(to), from, bytes);
}

CUDA_API cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes) {
  if (isOutside(to, bytes) || isOutside(from, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  return copyNow(to, from, bytes);
}

CUDA_API cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from,
                              std::size_t bytes, CUstream stream) {
  if (isOutside(to, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  return copyLater(to, reinterpret_cast<std::uint64_t>(from), bytes, stream);
}

CUDA_API cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, std::size_t bytes,
                              CUstream stream) {
  if (isOutside(from, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  return copyLater(reinterpret_cast<std::uint64_t>(to), from, bytes, stream);
}

CUDA_API cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from,
                              std::size_t bytes, CUstream stream) {
  if (isOutside(to, bytes) || isOutside(from, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  return copyLater(to, from, bytes, stream);
}

CUDA_API cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, std::size_t bytes,
                       CUstream stream) {
  return copyLater(to, from, bytes, stream);
}

CUDA_API cuMemsetD8Async(CUdeviceptr address, unsigned char value,
                         std::size_t bytes, CUstream stream) {
  return run([&](Lock &) {
    if (bytes && !Memory::get().contains(address, bytes))
      return CUDA_ERROR_INVALID_VALUE;
    Work work;
    work.action = [=] {
      std::memset(reinterpret_cast<void *>(address), value, bytes);
    };
    submit(getStream(stream), std::move(work));
    return CUDA_SUCCESS;
  });
}

CUDA_API cuMemsetD8_v2(CUdeviceptr address, unsigned char value,
                       std::size_t bytes) {
  return cuMemsetD8Async(address, value, bytes, nullptr);
}

//===----------------------------------------------------------------------===//
// Streams, events, graphs
//===----------------------------------------------------------------------===//

CUDA_API cuStreamCreate(CUstream *stream, unsigned flags) {
  return run([&](Lock &) {
    *stream = createStream(/*isBlocking=*/(flags & 1) == 0);
    return CUDA_SUCCESS;
  });
}

CUDA_API cuStreamDestroy_v2(CUstream stream) {
  return run([&](Lock &) {
    destroyStream(stream);
    return CUDA_SUCCESS;
  });
}

CUDA_API cuStreamSynchronize(CUstream stream) {
  return run([&](Lock &lock) {
    if (getStream(stream)->capture)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    Gpu::get().wait(lock, WorkPtr(getStream(stream)->last));
    return CUDA_SUCCESS;
  });
}

CUDA_API cuStreamQuery(CUstream stream) {
  return run([&](Lock &) {
    if (getStream(stream)->capture)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    const WorkPtr &last = getStream(stream)->last;
    return !last || last->isDone ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
  });
}

CUDA_API cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
  return run([&](Lock &) { return waitForEvent(getStream(stream), event); });
}

CUDA_API cuEventCreate(CUevent *event, unsigned) {
  return run([&](Lock &) {
    *event = new CUevent_st;
    return CUDA_SUCCESS;
  });
}

CUDA_API cuEventDestroy_v2(CUevent event) {
  return run([&](Lock &) {
    delete event;
    return CUDA_SUCCESS;
  });
}

CUDA_API cuEventRecord(CUevent event, CUstream stream) {
  return run([&](Lock &) {
    recordEvent(event, getStream(stream));
    return CUDA_SUCCESS;
  });
}

CUDA_API cuEventQuery(CUevent event) {
  return run([&](Lock &) {
    return !event->work || event->work->isDone ? CUDA_SUCCESS
                                               : CUDA_ERROR_NOT_READY;
  });
}

CUDA_API cuEventSynchronize(CUevent event) {
  return run([&](Lock &lock) {
    Gpu::get().wait(lock, WorkPtr(event->work));
    return CUDA_SUCCESS;
  });
}

CUDA_API cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
  return run([&](Lock &) {
    if (!start->work || !end->work)
      return CUDA_ERROR_INVALID_HANDLE;
    if (!start->work->isDone || !end->work->isDone)
      return CUDA_ERROR_NOT_READY;
    *milliseconds = std::chrono::duration<float, std::milli>(
                        end->work->doneAt - start->work->doneAt)
                        .count();
    return CUDA_SUCCESS;
  });
}

CUDA_API cuStreamBeginCapture_v2(CUstream stream, int) {
  return run([&](Lock &) { return beginCapture(getStream(stream)); });
}

CUDA_API cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  return run([&](Lock &) { return endCapture(getStream(stream), *graph); });
}

CUDA_API cuStreamIsCapturing(CUstream stream, int *status) {
  return run([&](Lock &) {
    *status = getStream(stream)->capture != nullptr;
    return CUDA_SUCCESS;
  });
}

CUDA_API cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph,
                                     unsigned long long) {
  return run([&](Lock &) {
    *executable = new CUgraphExec_st{*graph};
    return CUDA_SUCCESS;
  });
}

CUDA_API cuGraphLaunch(CUgraphExec executable, CUstream stream) {
  return run([&](Lock &) {
    launchGraph(executable->graph, getStream(stream));
    return CUDA_SUCCESS;
  });
}

CUDA_API cuGraphExecDestroy(CUgraphExec executable) {
  return run([&](Lock &) {
    delete executable;
    return CUDA_SUCCESS;
  });
}

CUDA_API cuGraphDestroy(CUgraph graph) {
  return run([&](Lock &) {
    delete graph;
    return CUDA_SUCCESS;
  });
}
