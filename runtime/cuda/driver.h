//===- driver.h - The CUDA driver, opened at run time -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// libcuda as a table of functions, and owners of what it hands out. Declares
/// the part of CUDA's driver API that fusco uses, so that building needs no
/// CUDA and a library loads on machines without it.
///
/// FUSCO_LIBCUDA in the environment names another file in place of
/// libcuda.so.1.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_CUDA_DRIVER_H
#define FUSCO_RUNTIME_CUDA_DRIVER_H

#include <cstddef>
#include <cstdint>
#include <utility>

namespace fusco::cuda {

//===--- The driver's types, as in cuda.h ---------------------------------===//

using CUdevice = int;
using CUdeviceptr = std::uint64_t;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;
using CUevent = struct CUevent_st *;
using CUgraph = struct CUgraph_st *;
using CUgraphExec = struct CUgraphExec_st *;

enum CUresult : int {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_INVALID_IMAGE = 200,
  CUDA_ERROR_NO_BINARY_FOR_GPU = 209
};

enum CUdevice_attribute : int {
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76
};

enum CUfunction_attribute : int {
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8
};

enum CUjit_option : int {
  CU_JIT_ERROR_LOG_BUFFER = 5,
  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6
};

enum : unsigned {
  CU_STREAM_NON_BLOCKING = 1,
  CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS = 1,
  CU_EVENT_DEFAULT = 0,
  CU_MEMHOSTALLOC_PORTABLE = 1,
  CU_MEMHOSTALLOC_DEVICEMAP = 2,
  CU_MEMHOSTREGISTER_PORTABLE = 1,
  CU_MEMHOSTREGISTER_DEVICEMAP = 2
};

/// Memory of a process, for others.
struct CUipcMemHandle {
  char reserved[64];
};
enum CUstreamCaptureMode : int { CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1 };

//===--- The driver -------------------------------------------------------===//

/// One line about a failure.
struct ErrorText {
  char data[256];
};

/// The driver's functions, called as without the `cu` and the version suffix.
struct Driver {
  CUresult (*init)(unsigned flags);
  CUresult (*driverGetVersion)(int *version);
  CUresult (*getErrorName)(CUresult result, const char **name);
  CUresult (*getErrorString)(CUresult result, const char **text);

  CUresult (*deviceGetCount)(int *count);
  CUresult (*deviceGet)(CUdevice *device, int ordinal);
  CUresult (*deviceGetName)(char *name, int bytes, CUdevice device);
  CUresult (*deviceGetAttribute)(int *value, CUdevice_attribute attribute,
                                 CUdevice device);
  CUresult (*deviceTotalMem)(std::size_t *bytes, CUdevice device);
  CUresult (*devicePrimaryCtxRetain)(CUcontext *context, CUdevice device);
  CUresult (*devicePrimaryCtxRelease)(CUdevice device);
  CUresult (*ctxGetCurrent)(CUcontext *context);
  CUresult (*ctxGetDevice)(CUdevice *device);
  CUresult (*ctxPushCurrent)(CUcontext context);
  CUresult (*ctxPopCurrent)(CUcontext *context);

  CUresult (*moduleLoadDataEx)(CUmodule *module, const void *image,
                               unsigned numOptions, CUjit_option *options,
                               void **values);
  CUresult (*moduleUnload)(CUmodule module);
  CUresult (*moduleGetFunction)(CUfunction *function, CUmodule module,
                                const char *name);
  CUresult (*funcSetAttribute)(CUfunction function,
                               CUfunction_attribute attribute, int value);
  CUresult (*launchKernel)(CUfunction function, unsigned gridX, unsigned gridY,
                           unsigned gridZ, unsigned blockX, unsigned blockY,
                           unsigned blockZ, unsigned sharedBytes,
                           CUstream stream, void **parameters, void **extra);

  CUresult (*memAlloc)(CUdeviceptr *data, std::size_t bytes);
  CUresult (*memFree)(CUdeviceptr data);
  CUresult (*memHostAlloc)(void **data, std::size_t bytes, unsigned flags);
  CUresult (*memFreeHost)(void *data);
  CUresult (*memHostRegister)(void *data, std::size_t bytes, unsigned flags);
  CUresult (*memHostUnregister)(void *data);
  CUresult (*memHostGetDevicePointer)(CUdeviceptr *onDevice, void *data,
                                      unsigned flags);
  CUresult (*memcpyHtoDAsync)(CUdeviceptr to, const void *from,
                              std::size_t bytes, CUstream stream);
  CUresult (*memcpyDtoHAsync)(void *to, CUdeviceptr from, std::size_t bytes,
                              CUstream stream);
  CUresult (*memcpyDtoDAsync)(CUdeviceptr to, CUdeviceptr from,
                              std::size_t bytes, CUstream stream);
  CUresult (*memsetD8Async)(CUdeviceptr data, unsigned char value,
                            std::size_t bytes, CUstream stream);
  CUresult (*ipcGetMemHandle)(CUipcMemHandle *handle, CUdeviceptr data);
  CUresult (*ipcOpenMemHandle)(CUdeviceptr *data, CUipcMemHandle handle,
                               unsigned flags);
  CUresult (*ipcCloseMemHandle)(CUdeviceptr data);

  CUresult (*streamCreate)(CUstream *stream, unsigned flags);
  CUresult (*streamDestroy)(CUstream stream);
  CUresult (*streamSynchronize)(CUstream stream);
  CUresult (*streamWaitEvent)(CUstream stream, CUevent event, unsigned flags);
  CUresult (*streamBeginCapture)(CUstream stream, CUstreamCaptureMode mode);
  CUresult (*streamEndCapture)(CUstream stream, CUgraph *graph);
  CUresult (*eventCreate)(CUevent *event, unsigned flags);
  CUresult (*eventDestroy)(CUevent event);
  CUresult (*eventRecord)(CUevent event, CUstream stream);
  CUresult (*eventElapsedTime)(float *ms, CUevent start, CUevent end);
  CUresult (*graphInstantiate)(CUgraphExec *exec, CUgraph graph,
                               unsigned long long flags);
  CUresult (*graphLaunch)(CUgraphExec exec, CUstream stream);
  CUresult (*graphExecDestroy)(CUgraphExec exec);
  CUresult (*graphDestroy)(CUgraph graph);

  /// "\p what failed: CUDA_ERROR_NAME (the driver's text)".
  ErrorText describe(const char *what, CUresult result) const;
};

/// The driver, opened and initialised by the first call that succeeds; NULL
/// with the reason in \p error if there is none, or it cannot start.
const Driver *getDriver(ErrorText &error);

//===--- Owners -----------------------------------------------------------===//

/// A context of the driver, which holds everything else.
struct ContextRef {
  const Driver *driver = nullptr;
  CUcontext context = nullptr;
};

/// Makes a context the calling thread's current one for as long as it lives.
class ContextGuard {
public:
  explicit ContextGuard(ContextRef where)
      : driver(*where.driver),
        isPushed(driver.ctxPushCurrent(where.context) == CUDA_SUCCESS) {}
  ~ContextGuard() {
    CUcontext popped;
    if (isPushed)
      driver.ctxPopCurrent(&popped);
  }
  ContextGuard(const ContextGuard &) = delete;
  ContextGuard &operator=(const ContextGuard &) = delete;

private:
  const Driver &driver;
  const bool isPushed;
};

/// A handle that the driver made and that ends with its owner.
template <typename Handle, CUresult (*Driver::*destroy)(Handle)> class Owned {
public:
  Owned() = default;
  Owned(ContextRef where, Handle handle) : where(where), handle(handle) {}
  Owned(Owned &&other) noexcept
      : where(other.where), handle(std::exchange(other.handle, Handle())) {}
  Owned &operator=(Owned &&other) noexcept {
    std::swap(where, other.where);
    std::swap(handle, other.handle);
    return *this;
  }
  ~Owned() {
    if (!handle)
      return;
    ContextGuard guard(where);
    (where.driver->*destroy)(handle); // nobody to tell of an error
  }

  Handle get() const { return handle; }

private:
  ContextRef where;
  Handle handle = Handle();
};

using Module = Owned<CUmodule, &Driver::moduleUnload>;
using Stream = Owned<CUstream, &Driver::streamDestroy>;
using Event = Owned<CUevent, &Driver::eventDestroy>;
using Graph = Owned<CUgraph, &Driver::graphDestroy>;
using GraphExec = Owned<CUgraphExec, &Driver::graphExecDestroy>;
using DeviceMemory = Owned<CUdeviceptr, &Driver::memFree>;
using PinnedMemory = Owned<void *, &Driver::memFreeHost>;
using RegisteredMemory = Owned<void *, &Driver::memHostUnregister>;

} // namespace fusco::cuda

#endif // FUSCO_RUNTIME_CUDA_DRIVER_H
