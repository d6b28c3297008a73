//===- Gpu.cpp - What fusco-run itself does on a GPU ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// See Gpu.h.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Gpu.h"

#include "tools/common/Error.h"

#include <fmt/format.h>

#include <cstdlib>

namespace fusco::run {

void allowConcurrentStreams() {
  // The most that there are; the driver's default is 8.
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", /*overwrite=*/0);
}

const cuda::Driver &gpuDriver() {
  cuda::ErrorText error;
  const cuda::Driver *driver = cuda::getDriver(error);
  if (!driver)
    throw Error(error.data);
  return *driver;
}

void requireGpu(cuda::CUresult result, const char *what) {
  if (result != cuda::CUDA_SUCCESS)
    throw Error(gpuDriver().describe(what, result).data);
}

cuda::ContextRef currentGpuContext() {
  cuda::ContextRef where = {&gpuDriver(), nullptr};
  requireGpu(where.driver->ctxGetCurrent(&where.context),
             "finding the CUDA context");
  return where;
}

cuda::Stream makeStream() {
  cuda::CUstream stream = nullptr;
  requireGpu(gpuDriver().streamCreate(&stream, cuda::CU_STREAM_NON_BLOCKING),
             "making a stream");
  return cuda::Stream(currentGpuContext(), stream);
}

cuda::Event makeEvent() {
  cuda::CUevent event = nullptr;
  requireGpu(gpuDriver().eventCreate(&event, cuda::CU_EVENT_DEFAULT),
             "making an event");
  return cuda::Event(currentGpuContext(), event);
}

cuda::DeviceMemory makeDeviceMemory(int64_t bytes) {
  cuda::CUdeviceptr data = 0;
  requireGpu(gpuDriver().memAlloc(&data, size_t(bytes)),
             "allocating memory of the GPU");
  return cuda::DeviceMemory(currentGpuContext(), data);
}

ProcessGpu::ProcessGpu(int device) : device(device) {
  const cuda::Driver &driver = gpuDriver();
  cuda::ContextRef where = {&driver, nullptr};
  requireGpu(driver.devicePrimaryCtxRetain(&where.context, device),
             "making a CUDA context");
  guard.emplace(where);
}

ProcessGpu::~ProcessGpu() {
  guard.reset();
  gpuDriver().devicePrimaryCtxRelease(device);
}

GpuDescription describeGpu() {
  const cuda::Driver &driver = gpuDriver();
  // fusco-run has no context of its own, so that libraries take the first GPU.
  cuda::CUdevice device = 0;
  requireGpu(driver.deviceGet(&device, 0), "finding the GPU");
  char name[256] = "";
  requireGpu(driver.deviceGetName(name, sizeof name, device),
             "asking for the GPU's name");
  int version = 0;
  requireGpu(driver.driverGetVersion(&version),
             "asking for the driver's version");
  return {name, fmt::format("{}.{}", version / 1000, version % 1000 / 10)};
}

} // namespace fusco::run
