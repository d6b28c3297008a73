//===- Gpu.h - What fusco-run itself does on a GPU --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Streams, events and graphs of ranks on a GPU. The library has made the CUDA
/// context and made it current on the thread of each rank.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_GPU_H
#define FUSCO_TOOLS_RUN_GPU_H

#include "runtime/cuda/driver.h"

#include <cstdint>
#include <optional>
#include <string>

namespace fusco::run {

/// Lets so many streams be under way at once that no rank's kernel queues up
/// behind another rank's that waits for it. To be called before the driver
/// starts.
void allowConcurrentStreams();

/// The driver that libraries use too. Throws Error if there is none.
const cuda::Driver &gpuDriver();

/// Throws Error if \p result says that \p what failed.
void requireGpu(cuda::CUresult result, const char *what);

cuda::Stream makeStream();
cuda::Event makeEvent();
/// Of \p bytes bytes, of any contents.
cuda::DeviceMemory makeDeviceMemory(int64_t bytes);
/// The calling thread's current context.
cuda::ContextRef currentGpuContext();

/// Makes the primary context of GPU \p device the calling thread's for as long
/// as it lives.
class ProcessGpu {
public:
  explicit ProcessGpu(int device);
  ~ProcessGpu();
  ProcessGpu(const ProcessGpu &) = delete;
  ProcessGpu &operator=(const ProcessGpu &) = delete;

private:
  const cuda::CUdevice device;
  std::optional<cuda::ContextGuard> guard;
};

/// The GPU that fusco-run uses, for reports.
struct GpuDescription {
  std::string name;
  std::string driver; ///< the newest CUDA that the driver knows: "12.8"
};
GpuDescription describeGpu();

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_GPU_H
