//===- FakeCuda.cpp - A CUDA driver that runs nothing ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The functions that the runtime looks up, by their names in libcuda.
//
//===----------------------------------------------------------------------===//

#include "FakeCuda.h"

#include "runtime/cuda/driver.h"

#include <cstdlib>
#include <cstring>
#include <set>

using namespace fusco::cuda;

extern "C" FUSCO_API fusco::test::FakeCuda fakeCuda;
fusco::test::FakeCuda fakeCuda;

static thread_local std::vector<CUcontext> contexts;
/// A kernel is the address of its name.
static std::set<std::string> kernelNames;

static CUresult toResult(int value) { return static_cast<CUresult>(value); }

template <typename Handle> static CUresult make(Handle *handle) {
  *handle = reinterpret_cast<Handle>(std::malloc(1));
  ++fakeCuda.numAlive;
  return CUDA_SUCCESS;
}

template <typename Handle> static CUresult end(Handle handle) {
  std::free(handle);
  --fakeCuda.numAlive;
  return CUDA_SUCCESS;
}

/// CUDA_ERROR_INVALID_CONTEXT where no context is current.
static CUresult requireContext() {
  return toResult(contexts.empty() ? 201 : 0);
}

static void *toHost(CUdeviceptr data) { return reinterpret_cast<void *>(data); }

#define FAKE extern "C" FUSCO_API CUresult

FAKE cuInit(unsigned) { return toResult(fakeCuda.initResult); }
FAKE cuDriverGetVersion(int *version) {
  *version = 12080;
  return CUDA_SUCCESS;
}
FAKE cuGetErrorName(CUresult result, const char **name) {
  static thread_local std::string text;
  text = "CUDA_ERROR_" + std::to_string(result);
  *name = text.c_str();
  return CUDA_SUCCESS;
}
FAKE cuGetErrorString(CUresult, const char **text) {
  *text = "as the test wants it";
  return CUDA_SUCCESS;
}

FAKE cuDeviceGetCount(int *count) {
  *count = fakeCuda.numDevices;
  return CUDA_SUCCESS;
}
FAKE cuDeviceGet(CUdevice *device, int ordinal) {
  *device = ordinal;
  return CUDA_SUCCESS;
}
FAKE cuDeviceGetName(char *name, int bytes, CUdevice) {
  std::strncpy(name, "fake", bytes);
  return CUDA_SUCCESS;
}
FAKE cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice) {
  *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
               ? fakeCuda.major
           : attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
               ? fakeCuda.minor
               : fakeCuda.numMultiprocessors;
  return CUDA_SUCCESS;
}
FAKE cuDeviceTotalMem_v2(std::size_t *bytes, CUdevice) {
  *bytes = std::size_t(1) << 30;
  return CUDA_SUCCESS;
}

static CUcontext primary;
FAKE cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) {
  make(&primary);
  *context = primary;
  return CUDA_SUCCESS;
}
FAKE cuDevicePrimaryCtxRelease_v2(CUdevice) { return end(primary); }
FAKE cuCtxGetCurrent(CUcontext *context) {
  *context = contexts.empty() ? nullptr : contexts.back();
  return CUDA_SUCCESS;
}
FAKE cuCtxGetDevice(CUdevice *device) {
  *device = 3;
  return requireContext();
}
FAKE cuCtxPushCurrent_v2(CUcontext context) {
  contexts.push_back(context);
  return CUDA_SUCCESS;
}
FAKE cuCtxPopCurrent_v2(CUcontext *context) {
  *context = contexts.back();
  contexts.pop_back();
  return CUDA_SUCCESS;
}

FAKE cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned,
                        CUjit_option *, void **values) {
  fakeCuda.images.push_back(static_cast<const char *>(image));
  bool isPtx = fakeCuda.images.back() == "ptx";
  int result = isPtx ? fakeCuda.ptxResult : fakeCuda.cubinResult;
  if (result && isPtx)
    std::strcpy(static_cast<char *>(values[0]), "line 7; no such thing\nmore");
  return result ? toResult(result) : make(module);
}
FAKE cuModuleUnload(CUmodule module) { return end(module); }
FAKE cuModuleGetFunction(CUfunction *function, CUmodule, const char *name) {
  const std::string &kept = *kernelNames.insert(name).first;
  *function = reinterpret_cast<CUfunction>(const_cast<std::string *>(&kept));
  return requireContext();
}
static const std::string &nameOf(CUfunction function) {
  return *reinterpret_cast<const std::string *>(function);
}
FAKE cuFuncSetAttribute(CUfunction function, CUfunction_attribute, int value) {
  fakeCuda.sharedBytes[nameOf(function)] = value;
  return CUDA_SUCCESS;
}
FAKE cuLaunchKernel(CUfunction function, unsigned gridX, unsigned, unsigned,
                    unsigned blockX, unsigned, unsigned, unsigned sharedBytes,
                    CUstream stream, void **parameters, void **) {
  fakeCuda.launches.push_back(
      {nameOf(function), gridX, blockX, sharedBytes, stream,
       *static_cast<const fusco_device_args *>(parameters[0])});
  if (fakeCuda.onLaunch)
    fakeCuda.onLaunch(fakeCuda.launches.back());
  return fakeCuda.launchResult ? toResult(fakeCuda.launchResult)
                               : requireContext();
}

FAKE cuMemAlloc_v2(CUdeviceptr *data, std::size_t bytes) {
  void *made = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(made, 0xcd, bytes);
  *data = reinterpret_cast<CUdeviceptr>(made);
  ++fakeCuda.numAlive;
  return requireContext();
}
FAKE cuMemFree_v2(CUdeviceptr data) { return end(toHost(data)); }
FAKE cuMemHostAlloc(void **data, std::size_t bytes, unsigned) {
  *data = std::malloc(bytes);
  ++fakeCuda.numAlive;
  return requireContext();
}
FAKE cuMemFreeHost(void *data) { return end(data); }
FAKE cuMemHostRegister_v2(void *, std::size_t, unsigned) {
  ++fakeCuda.numAlive;
  return requireContext();
}
FAKE cuMemHostUnregister(void *) {
  --fakeCuda.numAlive;
  return requireContext();
}
FAKE cuMemHostGetDevicePointer_v2(CUdeviceptr *onDevice, void *data, unsigned) {
  *onDevice = reinterpret_cast<CUdeviceptr>(data);
  return CUDA_SUCCESS;
}
// No other process sees this memory: CUDA_ERROR_NOT_SUPPORTED.
FAKE cuIpcGetMemHandle(CUipcMemHandle *, CUdeviceptr) { return toResult(801); }
FAKE cuIpcOpenMemHandle_v2(CUdeviceptr *, CUipcMemHandle, unsigned) {
  return toResult(801);
}
FAKE cuIpcCloseMemHandle(CUdeviceptr) { return toResult(801); }
FAKE cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, std::size_t bytes,
                          CUstream) {
  std::memcpy(toHost(to), from, bytes);
  return requireContext();
}
FAKE cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, std::size_t bytes,
                          CUstream) {
  std::memcpy(to, toHost(from), bytes);
  return requireContext();
}
FAKE cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes,
                          CUstream) {
  std::memcpy(toHost(to), toHost(from), bytes);
  return requireContext();
}
FAKE cuMemsetD8Async(CUdeviceptr data, unsigned char value, std::size_t bytes,
                     CUstream) {
  std::memset(toHost(data), value, bytes);
  return requireContext();
}

FAKE cuStreamCreate(CUstream *stream, unsigned) { return make(stream); }
FAKE cuStreamDestroy_v2(CUstream stream) { return end(stream); }
FAKE cuStreamSynchronize(CUstream) {
  return toResult(fakeCuda.synchronizeResult);
}
FAKE cuStreamWaitEvent(CUstream, CUevent, unsigned) { return CUDA_SUCCESS; }
FAKE cuStreamBeginCapture_v2(CUstream, CUstreamCaptureMode) {
  return CUDA_SUCCESS;
}
FAKE cuStreamEndCapture(CUstream, CUgraph *graph) { return make(graph); }
FAKE cuEventCreate(CUevent *event, unsigned) { return make(event); }
FAKE cuEventDestroy_v2(CUevent event) { return end(event); }
FAKE cuEventRecord(CUevent, CUstream) { return CUDA_SUCCESS; }
FAKE cuEventElapsedTime(float *ms, CUevent, CUevent) {
  *ms = 0;
  return CUDA_SUCCESS;
}
FAKE cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph,
                                 unsigned long long) {
  return make(exec);
}
FAKE cuGraphLaunch(CUgraphExec, CUstream) { return CUDA_SUCCESS; }
FAKE cuGraphExecDestroy(CUgraphExec exec) { return end(exec); }
FAKE cuGraphDestroy(CUgraph graph) { return end(graph); }
