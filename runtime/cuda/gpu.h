//===- gpu.h - The GPU of a domain ------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The GPU that the ranks of a domain share, with the library's kernels on it,
/// and what each rank has there.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_CUDA_GPU_H
#define FUSCO_RUNTIME_CUDA_GPU_H

#include "fusco/library.h"
#include "runtime/cuda/driver.h"
#include "runtime/memory.h"
#include "runtime/network/put_proxy.h"

#include <memory>

namespace fusco::runtime {

class Gpu {
public:
  /// Opens the GPU of the calling thread's CUDA context; if it has none GPU
  /// \p ordinal, modulo their number. Loads the kernels of \p library. Refuses
  /// a GPU that cannot run \p numRanks ranks at once, as many as this process
  /// has.
  static fusco_status open(const fusco_library &library, std::int32_t numRanks,
                           int ordinal, std::unique_ptr<Gpu> &gpu);
  Gpu(const Gpu &) = delete;
  Gpu &operator=(const Gpu &) = delete;
  ~Gpu();

  const cuda::Driver &getDriver() const { return *where.driver; }
  /// What must be current for calls of the driver.
  cuda::ContextRef getContext() const { return where; }
  int getOrdinal() const { return ordinal; }
  /// Thread blocks of each rank's kernels.
  int getNumBlocks() const { return numBlocks; }
  cuda::CUfunction getKernel(std::int32_t program) const {
    return kernels[program];
  }

  /// FUSCO_OK, or the failure of \p what.
  fusco_status check(cuda::CUresult result, const char *what) const;

  fusco_status allocateZeroed(std::uint64_t bytes, const char *what,
                              char *&data) const;
  void free(char *data) const;
  fusco_status fillWithZeros(char *data, std::uint64_t bytes) const;

  /// Lets other processes of this host map what allocateZeroed() gave.
  fusco_status exportMemory(char *data, cuda::CUipcMemHandle &handle) const;
  /// Maps what the process of \p rank exported; for kernels of this GPU.
  fusco_status mapPeer(const cuda::CUipcMemHandle &handle, std::int32_t rank,
                       char *&data) const;
  void unmapPeer(char *data) const;

  /// Copies that are over when the call returns. They wait for no kernel.
  fusco_status copyToHost(void *to, const void *from,
                          std::uint64_t bytes) const;
  fusco_status copyFromHost(void *to, const void *from,
                            std::uint64_t bytes) const;

private:
  Gpu() = default;
  fusco_status findDevice(const fusco_library_info &info, int preferred);
  fusco_status findRoom(const fusco_library_info &info, std::int32_t numRanks);
  fusco_status loadKernels(const fusco_library &library);
  fusco_status loadModule(const void *image);
  /// Waits for what was started with \p result on the stream of its own.
  fusco_status finish(cuda::CUresult result, const char *what) const;

  cuda::ContextRef where;
  cuda::CUdevice ordinal = 0;
  bool isRetained = false; ///< the context is the primary one, kept by us
  int numBlocks = 0;
  cuda::Module module;
  cuda::CUfunction kernels[FUSCO_MAX_PROGRAMS] = {};
  cuda::Stream stream; ///< for copies and for zeroing
};

/// A \p T of the host that kernels see too.
template <typename T> struct Mapped {
  T &get() const { return *static_cast<T *>(memory.get()); }

  cuda::PinnedMemory memory;
  cuda::CUdeviceptr onGpu = 0; ///< the same, as kernels see it
};

/// What a rank has on the GPU beside its heap.
struct GpuRank {
  static fusco_status create(const Gpu &gpu, std::unique_ptr<GpuRank> &rank);
  /// From now on the host makes the puts that the rank's kernels ask for, as
  /// PutProxy::start says.
  fusco_status startPuts(const Gpu &gpu, CountedPuts &network, const char *heap,
                         PutProxy::OnFailure onFailure);

  cuda::Stream stream; ///< of its own, waits for no other
  Memory control;      ///< fusco_device_control
  Mapped<fusco_device_error> error;
  Mapped<fusco_put_queue> puts;    ///< none before startPuts()
  std::unique_ptr<PutProxy> proxy; ///< likewise NULL; ended before them
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_CUDA_GPU_H
