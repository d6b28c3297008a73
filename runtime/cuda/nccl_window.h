//===- nccl_window.h - Memory in a window of NCCL ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Where GPUs reach each other by loads and stores without being on one host:
/// memory that all ranks of a communicator make at once, and that NCCL maps.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_CUDA_NCCL_WINDOW_H
#define FUSCO_RUNTIME_CUDA_NCCL_WINDOW_H

#include "runtime/cuda/gpu.h"
#include "runtime/cuda/nccl.h"

#include <cstdint>
#include <functional>
#include <memory>

namespace fusco::runtime {

class NcclWindow {
public:
  /// How a rank and a communicator find each other.
  struct Place {
    std::int32_t rank, numRanks;
    nccl::ncclUniqueId id; ///< the same on all ranks, of one rank's makeId()
    /// The host's own, of these ranks, which it keeps longer; NULL: the window
    /// makes one from `id`.
    nccl::ncclComm_t given;
  };

  static fusco_status makeId(nccl::ncclUniqueId &id);

  /// \p bytes zero bytes of \p gpu, which must outlive them, for no one else
  /// yet.
  static fusco_status create(const Gpu &gpu, std::uint64_t bytes,
                             std::unique_ptr<NcclWindow> &window);
  NcclWindow(const NcclWindow &) = delete;
  NcclWindow &operator=(const NcclWindow &) = delete;
  /// Ends as expose() did, or at once after abandon().
  ~NcclWindow();

  /// Lets all ranks map it; they call it together, with windows of the same
  /// size. Ends after \p timeoutUs, or once \p shallStop; with a communicator
  /// of the host that blocks, when NCCL does.
  fusco_status expose(const Place &place, std::uint64_t timeoutUs,
                      std::function<bool()> shallStop);
  /// Where kernels see that of \p peer; NULL where loads and stores do not
  /// reach it.
  fusco_status findPeer(std::int32_t peer, char *&base) const;
  /// The other ranks may no longer be there.
  void abandon() { isAbandoned = true; }

  char *getBase() const { return static_cast<char *>(data); }

private:
  NcclWindow(const nccl::Nccl &library, const Gpu &gpu, std::uint64_t bytes)
      : library(library), gpu(gpu), bytes(bytes) {}
  /// Waits until what began with \p result is over.
  fusco_status finish(nccl::ncclResult_t result, const char *what);
  fusco_status join(const Place &place);
  fusco_status adopt(const Place &place);

  const nccl::Nccl &library;
  const Gpu &gpu;
  const std::uint64_t bytes;
  void *data = nullptr;
  nccl::ncclComm_t comm = nullptr;
  bool isOwn = false; ///< comm is
  nccl::ncclWindow_t window = nullptr;
  bool isAbandoned = false;
  std::uint64_t timeoutUs = 0;
  std::function<bool()> shallStop;
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_CUDA_NCCL_WINDOW_H
