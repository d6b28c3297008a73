//===- network_heaps.h - Memory that kernels and networks share -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Where the ranks of a job are on GPUs and nodes reach each other through a
/// network: the part of heaps that the network reads and writes, in memory of
/// the host that the processes of a node share and their GPUs map.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_CUDA_NETWORK_HEAPS_H
#define FUSCO_RUNTIME_CUDA_NETWORK_HEAPS_H

#include "runtime/arena.h"
#include "runtime/cuda/gpu.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace fusco::runtime {

class NetworkHeaps {
public:
  /// Makes that of \p rank, \p bytes zero bytes, for kernels of \p gpu, which
  /// must outlive it.
  static fusco_status create(const Gpu &gpu, std::uint64_t bytes,
                             std::int32_t rank, std::int32_t numRanks,
                             std::unique_ptr<NetworkHeaps> &heaps);

  /// For other processes of this host.
  fusco_status getHandle(ArenaHandle &handle) const {
    return own->getHandle(handle);
  }
  /// Maps that of \p peer, another process of this host.
  fusco_status map(std::int32_t peer, const ArenaHandle &handle);
  /// Tells kernels where all are that are there now.
  fusco_status showToGpu();

  /// The own one, as the host sees it.
  char *getBase() const { return own->getBase(); }
  /// fusco_device_args::networkPeers
  char *const *getPeersOnGpu() const {
    return reinterpret_cast<char *const *>(table.get());
  }

private:
  NetworkHeaps(const Gpu &gpu, std::int32_t numRanks)
      : gpu(gpu), mappings(numRanks), registered(numRanks), onGpu(numRanks) {}
  fusco_status registerBase(std::int32_t rank, char *base, std::uint64_t bytes);

  const Gpu &gpu;
  std::unique_ptr<Arena> own;
  // By rank.
  std::vector<Mapping> mappings;
  std::vector<cuda::RegisteredMemory> registered; ///< ended before these are
  std::vector<char *> onGpu; ///< as kernels see them; NULL: not at all
  Memory table;              ///< the same, on the GPU
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_CUDA_NETWORK_HEAPS_H
