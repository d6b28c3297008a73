//===- driver.cpp - The CUDA driver, opened at run time -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Finds the driver and its functions.
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/driver.h"

#include "runtime/symbols.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <mutex>

using namespace fusco::cuda;

static constexpr const char *driverFile = "libcuda.so.1";

/// Fills \p driver from the open \p object. Returns the name of a function that
/// is not there, NULL if all are.
static const char *findFunctions(void *object, Driver &driver) {
  fusco::runtime::Symbols symbols = {object};
  symbols.find("cuInit", driver.init);
  symbols.find("cuDriverGetVersion", driver.driverGetVersion);
  symbols.find("cuGetErrorName", driver.getErrorName);
  symbols.find("cuGetErrorString", driver.getErrorString);
  symbols.find("cuDeviceGetCount", driver.deviceGetCount);
  symbols.find("cuDeviceGet", driver.deviceGet);
  symbols.find("cuDeviceGetName", driver.deviceGetName);
  symbols.find("cuDeviceGetAttribute", driver.deviceGetAttribute);
  symbols.find("cuDeviceTotalMem_v2", driver.deviceTotalMem);
  symbols.find("cuDevicePrimaryCtxRetain", driver.devicePrimaryCtxRetain);
  symbols.find("cuDevicePrimaryCtxRelease_v2", driver.devicePrimaryCtxRelease);
  symbols.find("cuCtxGetCurrent", driver.ctxGetCurrent);
  symbols.find("cuCtxGetDevice", driver.ctxGetDevice);
  symbols.find("cuCtxPushCurrent_v2", driver.ctxPushCurrent);
  symbols.find("cuCtxPopCurrent_v2", driver.ctxPopCurrent);
  symbols.find("cuModuleLoadDataEx", driver.moduleLoadDataEx);
  symbols.find("cuModuleUnload", driver.moduleUnload);
  symbols.find("cuModuleGetFunction", driver.moduleGetFunction);
  symbols.find("cuFuncSetAttribute", driver.funcSetAttribute);
  symbols.find("cuLaunchKernel", driver.launchKernel);
  symbols.find("cuMemAlloc_v2", driver.memAlloc);
  symbols.find("cuMemFree_v2", driver.memFree);
  symbols.find("cuMemHostAlloc", driver.memHostAlloc);
  symbols.find("cuMemFreeHost", driver.memFreeHost);
  symbols.find("cuMemHostRegister_v2", driver.memHostRegister);
  symbols.find("cuMemHostUnregister", driver.memHostUnregister);
  symbols.find("cuMemHostGetDevicePointer_v2", driver.memHostGetDevicePointer);
  symbols.find("cuMemcpyHtoDAsync_v2", driver.memcpyHtoDAsync);
  symbols.find("cuMemcpyDtoHAsync_v2", driver.memcpyDtoHAsync);
  symbols.find("cuMemcpyDtoDAsync_v2", driver.memcpyDtoDAsync);
  symbols.find("cuMemsetD8Async", driver.memsetD8Async);
  symbols.find("cuIpcGetMemHandle", driver.ipcGetMemHandle);
  symbols.find("cuIpcOpenMemHandle_v2", driver.ipcOpenMemHandle);
  symbols.find("cuIpcCloseMemHandle", driver.ipcCloseMemHandle);
  symbols.find("cuStreamCreate", driver.streamCreate);
  symbols.find("cuStreamDestroy_v2", driver.streamDestroy);
  symbols.find("cuStreamSynchronize", driver.streamSynchronize);
  symbols.find("cuStreamWaitEvent", driver.streamWaitEvent);
  symbols.find("cuStreamBeginCapture_v2", driver.streamBeginCapture);
  symbols.find("cuStreamEndCapture", driver.streamEndCapture);
  symbols.find("cuEventCreate", driver.eventCreate);
  symbols.find("cuEventDestroy_v2", driver.eventDestroy);
  symbols.find("cuEventRecord", driver.eventRecord);
  symbols.find("cuEventElapsedTime", driver.eventElapsedTime);
  symbols.find("cuGraphInstantiateWithFlags", driver.graphInstantiate);
  symbols.find("cuGraphLaunch", driver.graphLaunch);
  symbols.find("cuGraphExecDestroy", driver.graphExecDestroy);
  symbols.find("cuGraphDestroy", driver.graphDestroy);
  return symbols.missing;
}

/// Opens the driver into \p driver. Returns whether it can be used.
static bool openDriver(Driver &driver, ErrorText &error) {
  const char *named = std::getenv("FUSCO_LIBCUDA");
  const char *file = named ? named : driverFile;
  // Never closed: the driver keeps threads of its own.
  void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!object) {
    // The default is absent where there is no GPU; why another file cannot be
    // opened is not so plain, and the text of dlerror starts with its name.
    std::snprintf(error.data, sizeof(error.data), "cannot open %s",
                  named ? dlerror() : file);
    return false;
  }
  if (const char *missing = findFunctions(object, driver)) {
    std::snprintf(error.data, sizeof(error.data),
                  "%s lacks %s; update the GPU's driver to one for CUDA 12",
                  file, missing);
    return false;
  }
  if (CUresult result = driver.init(0)) {
    error = driver.describe("starting the driver", result);
    return false;
  }
  return true;
}

const Driver *fusco::cuda::getDriver(ErrorText &error) {
  static std::mutex mutex;
  static Driver driver;
  static bool isOpen = false;
  std::lock_guard<std::mutex> lock(mutex);
  isOpen = isOpen || openDriver(driver, error);
  return isOpen ? &driver : nullptr;
}

ErrorText Driver::describe(const char *what, CUresult result) const {
  const char *name = nullptr;
  const char *text = nullptr;
  ErrorText line;
  if (getErrorName(result, &name) || getErrorString(result, &text) || !name ||
      !text)
    std::snprintf(line.data, sizeof(line.data), "%s failed: CUDA error %d",
                  what, static_cast<int>(result));
  else
    std::snprintf(line.data, sizeof(line.data), "%s failed: %s (%s)", what,
                  name, text);
  return line;
}
