//===- network_heaps.cpp - Memory that kernels and networks share ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Shared pages of the host, registered with the GPU by each process that maps
/// them.
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/network_heaps.h"

#include "runtime/status.h"

#include <cinttypes>
#include <cstdio>
#include <new>

using namespace fusco;
using namespace fusco::runtime;

fusco_status NetworkHeaps::create(const Gpu &gpu, std::uint64_t bytes,
                                  std::int32_t rank, std::int32_t numRanks,
                                  std::unique_ptr<NetworkHeaps> &heaps) {
  std::unique_ptr<NetworkHeaps> made(new NetworkHeaps(gpu, numRanks));
  if (fusco_status status = Arena::create(/*gpu=*/nullptr, bytes,
                                          /*tensorBytes=*/0, made->own))
    return status;
  if (fusco_status status =
          made->registerBase(rank, made->own->getBase(), made->own->getBytes()))
    return status;
  heaps = std::move(made);
  return FUSCO_OK;
}

fusco_status NetworkHeaps::registerBase(std::int32_t rank, char *base,
                                        std::uint64_t bytes) {
  char what[96];
  std::snprintf(what, sizeof(what),
                "mapping %" PRIu64 " bytes of rank %" PRId32
                " on the host for the GPU",
                bytes, rank);
  const cuda::Driver &driver = gpu.getDriver();
  cuda::ContextGuard guard(gpu.getContext());
  if (fusco_status status = gpu.check(
          driver.memHostRegister(base, bytes,
                                 cuda::CU_MEMHOSTREGISTER_PORTABLE |
                                     cuda::CU_MEMHOSTREGISTER_DEVICEMAP),
          what))
    return status;
  registered[rank] = cuda::RegisteredMemory(gpu.getContext(), base);
  cuda::CUdeviceptr seen = 0;
  fusco_status status =
      gpu.check(driver.memHostGetDevicePointer(&seen, base, 0), what);
  onGpu[rank] = reinterpret_cast<char *>(seen);
  return status;
}

fusco_status NetworkHeaps::map(std::int32_t peer, const ArenaHandle &handle) {
  if (fusco_status status =
          mapArena(/*gpu=*/nullptr, handle, peer, mappings[peer]))
    return status;
  return registerBase(peer, mappings[peer].get(), handle.bytes);
}

fusco_status NetworkHeaps::showToGpu() {
  const std::uint64_t bytes = onGpu.size() * sizeof(char *);
  if (fusco_status status =
          runtime::allocateZeroed(&gpu, bytes, "the addresses of heaps", table))
    return status;
  return gpu.copyFromHost(table.get(), onGpu.data(), bytes);
}
