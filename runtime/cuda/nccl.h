//===- nccl.h - NCCL, opened at run time ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The part of nccl.h and nccl_device.h that we call, by our own declarations:
/// NCCL is needed neither to build nor to load us.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_CUDA_NCCL_H
#define FUSCO_RUNTIME_CUDA_NCCL_H

#include "fusco/runtime.h"

#include <climits>
#include <cstddef>

namespace fusco::nccl {

using ncclComm_t = struct ncclComm *;
using ncclWindow_t = struct ncclWindow_vidmem *;

enum ncclResult_t : int { ncclSuccess = 0, ncclInProgress = 7 };
enum : int { NCCL_WIN_COLL_SYMMETRIC = 1 };

struct ncclUniqueId {
  char internal[128];
};

/// As of NCCL 2.28; later ones take it for what it says it is.
struct ncclConfig_t {
  static constexpr int undefined = INT_MIN;

  std::size_t size = sizeof(ncclConfig_t);
  unsigned magic = 0xcafebeef;
  unsigned version = 22800;
  int blocking = undefined;
  int cgaClusterSize = undefined, minCTAs = undefined, maxCTAs = undefined;
  const char *netName = nullptr;
  int splitShare = undefined, trafficClass = undefined;
  const char *commName = nullptr;
  int collnetEnable = undefined, CTAPolicy = undefined, shrinkShare = undefined,
      nvlsCTAs = undefined, nChannelsPerNetPeer = undefined,
      nvlinkCentricSched = undefined;
};

struct Nccl {
  /// Opens FUSCO_LIBNCCL, else libnccl.so.2; once in a process, for good.
  static fusco_status open(const Nccl *&nccl);

  /// FUSCO_OK, or the failure of \p what, with what NCCL says of it.
  fusco_status check(ncclResult_t result, const char *what,
                     ncclComm_t comm = nullptr) const;

  const char *(*getErrorString)(ncclResult_t result);
  const char *(*getLastError)(ncclComm_t comm);
  ncclResult_t (*getUniqueId)(ncclUniqueId *id);
  ncclResult_t (*commInitRankConfig)(ncclComm_t *comm, int numRanks,
                                     ncclUniqueId id, int rank,
                                     ncclConfig_t *config);
  ncclResult_t (*commGetAsyncError)(ncclComm_t comm, ncclResult_t *result);
  ncclResult_t (*commCount)(ncclComm_t comm, int *count);
  ncclResult_t (*commUserRank)(ncclComm_t comm, int *rank);
  ncclResult_t (*commFinalize)(ncclComm_t comm);
  ncclResult_t (*commDestroy)(ncclComm_t comm);
  ncclResult_t (*commAbort)(ncclComm_t comm);
  ncclResult_t (*memAlloc)(void **data, std::size_t bytes);
  ncclResult_t (*memFree)(void *data);
  ncclResult_t (*commWindowRegister)(ncclComm_t comm, void *data,
                                     std::size_t bytes, ncclWindow_t *window,
                                     int flags);
  ncclResult_t (*commWindowDeregister)(ncclComm_t comm, ncclWindow_t window);
  /// NULL for a peer that loads and stores do not reach. Since NCCL 2.29.2.
  ncclResult_t (*getPeerDevicePointer)(ncclWindow_t window, std::size_t offset,
                                       int peer, void **data);
};

} // namespace fusco::nccl

#endif // FUSCO_RUNTIME_CUDA_NCCL_H
