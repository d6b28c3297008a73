//===- Nccl.cpp - The part of NCCL that we call, in the emulator ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// libfusco-nccl-emulator.so: communicators of processes of this machine, and
/// windows over memory of the emulator that they open by its IPC. Nothing
/// blocks: what other ranks have to come for is in progress until they do.
///
/// The ranks share a file without a name, which the maker of the id keeps open.
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Cuda.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <sys/mman.h>
#include <unistd.h>

#define NCCL_API extern "C" __attribute__((visibility("default")))

enum ncclResult_t : int {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclInProgress = 7
};

/// As Driver.cpp has it: opaque, 64 bytes.
struct IpcHandle {
  char opaque[64];
};
extern "C" CUresult cuMemAlloc_v2(CUdeviceptr *data, std::size_t bytes);
extern "C" CUresult cuMemFree_v2(CUdeviceptr data);
extern "C" CUresult cuIpcGetMemHandle(IpcHandle *handle, CUdeviceptr data);
extern "C" CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *data, IpcHandle handle,
                                          unsigned flags);
extern "C" CUresult cuIpcCloseMemHandle(CUdeviceptr data);

static constexpr int mostRanks = 64;

/// What the ranks of a communicator share, of one window.
struct Shared {
  std::atomic<int> numJoined, numRegistered, numFinalized;
  IpcHandle handles[mostRanks];
  std::uint64_t bytes[mostRanks];
};

struct ncclUniqueId {
  char internal[128];
};
struct ncclConfig_t {
  std::size_t size;
  unsigned magic, version;
  int blocking; ///< and more
};

struct ncclComm {
  int rank, numRanks;
  Shared *shared;
  /// What was begun last is over when this many are there.
  std::atomic<int> *awaited = nullptr;
  struct ncclWindow_vidmem **opened = nullptr; ///< then set
};

struct ncclWindow_vidmem {
  ncclComm *comm;
  CUdeviceptr own;
  std::map<int, CUdeviceptr> peers;
};

static thread_local char lastError[200] = "";

static ncclResult_t refuse(ncclResult_t result, const char *text) {
  std::snprintf(lastError, sizeof(lastError), "%s", text);
  return result;
}

/// The number in the environment variable \p name.
static int getSetting(const char *name, int otherwise) {
  const char *text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

NCCL_API ncclResult_t ncclGetVersion(int *version) {
  *version = 22902;
  return ncclSuccess;
}

NCCL_API const char *ncclGetErrorString(ncclResult_t result) {
  switch (result) {
  case ncclSuccess:
    return "no error";
  case ncclUnhandledCudaError:
    return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
  case ncclSystemError:
    return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
  case ncclInvalidArgument:
    return "invalid argument (run with NCCL_DEBUG=WARN for details)";
  case ncclInvalidUsage:
    return "invalid usage (run with NCCL_DEBUG=WARN for details)";
  case ncclInProgress:
    return "NCCL operation in progress";
  }
  return "unknown result code";
}

NCCL_API const char *ncclGetLastError(ncclComm *) { return lastError; }

NCCL_API ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
  int file = memfd_create("fusco-nccl", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, sizeof(Shared)) != 0)
    return refuse(ncclSystemError, "cannot make shared memory");
  std::memset(id, 0, sizeof(*id));
  std::snprintf(id->internal, sizeof(id->internal), "/proc/%d/fd/%d", getpid(),
                file);
  return ncclSuccess;
}

NCCL_API ncclResult_t ncclCommInitRankConfig(ncclComm **comm, int numRanks,
                                             ncclUniqueId id, int rank,
                                             ncclConfig_t *config) {
  if (config->magic != 0xcafebeef || config->blocking != 0)
    return refuse(ncclInvalidArgument, "expected a communicator that does not "
                                       "block");
  if (numRanks > mostRanks || rank < 0 || rank >= numRanks)
    return refuse(ncclInvalidArgument, "expected one of at most 64 ranks");
  int file = open(id.internal, O_RDWR | O_CLOEXEC);
  if (file < 0)
    return refuse(ncclSystemError, "the maker of the id is gone");
  void *pages = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                     MAP_SHARED, file, 0);
  close(file);
  if (pages == MAP_FAILED)
    return refuse(ncclSystemError, "cannot map shared memory");
  *comm = new ncclComm{rank, numRanks, static_cast<Shared *>(pages)};
  (*comm)->awaited = &(*comm)->shared->numJoined;
  ++(*comm)->shared->numJoined;
  return ncclInProgress;
}

NCCL_API ncclResult_t ncclCommGetAsyncError(ncclComm *comm,
                                            ncclResult_t *result) {
  *result = ncclInProgress;
  if (comm->awaited && comm->awaited->load() < comm->numRanks)
    return ncclSuccess;
  comm->awaited = nullptr;
  *result = ncclSuccess;
  const std::uint64_t *bytes = comm->shared->bytes;
  if (comm->opened &&
      std::count(bytes, bytes + comm->numRanks, bytes[0]) != comm->numRanks)
    *result = refuse(ncclInvalidUsage, "windows differ in size");
  comm->opened = nullptr;
  return ncclSuccess;
}

NCCL_API ncclResult_t ncclCommCount(ncclComm *comm, int *count) {
  *count = comm->numRanks;
  return ncclSuccess;
}

NCCL_API ncclResult_t ncclCommUserRank(ncclComm *comm, int *rank) {
  *rank = comm->rank;
  return ncclSuccess;
}

NCCL_API ncclResult_t ncclCommFinalize(ncclComm *comm) {
  comm->awaited = &comm->shared->numFinalized;
  ++comm->shared->numFinalized;
  return ncclInProgress;
}

NCCL_API ncclResult_t ncclCommAbort(ncclComm *comm) {
  munmap(comm->shared, sizeof(Shared));
  delete comm;
  return ncclSuccess;
}

NCCL_API ncclResult_t ncclCommDestroy(ncclComm *comm) {
  return comm->awaited ? refuse(ncclInvalidUsage, "not finalized")
                       : ncclCommAbort(comm);
}

NCCL_API ncclResult_t ncclMemAlloc(void **data, std::size_t bytes) {
  CUdeviceptr made = 0;
  if (cuMemAlloc_v2(&made, bytes) != CUDA_SUCCESS)
    return refuse(ncclUnhandledCudaError, "cannot allocate");
  *data = reinterpret_cast<void *>(made);
  return ncclSuccess;
}

NCCL_API ncclResult_t ncclMemFree(void *data) {
  return cuMemFree_v2(reinterpret_cast<CUdeviceptr>(data)) == CUDA_SUCCESS
             ? ncclSuccess
             : ncclUnhandledCudaError;
}

NCCL_API ncclResult_t ncclCommWindowRegister(ncclComm *comm, void *data,
                                             std::size_t bytes,
                                             ncclWindow_vidmem **window,
                                             int flags) {
  if (comm->awaited)
    return refuse(ncclInvalidUsage, "something else is in progress");
  if (flags != 1)
    return refuse(ncclInvalidArgument, "expected NCCL_WIN_COLL_SYMMETRIC");
  *window = nullptr;
  if (getSetting("NCCL_CUMEM_ENABLE", 1) == 0)
    return ncclSuccess; // as NCCL does
  const auto own = reinterpret_cast<CUdeviceptr>(data);
  if (cuIpcGetMemHandle(&comm->shared->handles[comm->rank], own) !=
      CUDA_SUCCESS)
    return refuse(ncclUnhandledCudaError, "cannot share the memory");
  comm->shared->bytes[comm->rank] = bytes;
  *window = new ncclWindow_vidmem{comm, own, {}};
  comm->awaited = &comm->shared->numRegistered;
  comm->opened = window;
  ++comm->shared->numRegistered;
  return ncclInProgress;
}

NCCL_API ncclResult_t ncclCommWindowDeregister(ncclComm *,
                                               ncclWindow_vidmem *window) {
  for (auto [peer, data] : window->peers)
    cuIpcCloseMemHandle(data);
  delete window;
  return ncclSuccess;
}

NCCL_API ncclResult_t ncclGetPeerDevicePointer(ncclWindow_vidmem *window,
                                               std::size_t offset, int peer,
                                               void **data) {
  const ncclComm &comm = *window->comm;
  *data = nullptr;
  if (peer < 0 || peer >= comm.numRanks)
    return refuse(ncclInvalidArgument, "no such rank");
  // Of which ranks reach each other so many, in order.
  const int reached = getSetting("FUSCO_EMULATOR_NCCL_LSA", comm.numRanks);
  if (peer / reached != comm.rank / reached)
    return ncclSuccess;
  CUdeviceptr base = window->own;
  if (peer != comm.rank) {
    CUdeviceptr &opened = window->peers[peer];
    if (!opened && cuIpcOpenMemHandle_v2(&opened, comm.shared->handles[peer],
                                         0) != CUDA_SUCCESS)
      return refuse(ncclUnhandledCudaError, "cannot map a peer's memory");
    base = opened;
  }
  *data = reinterpret_cast<void *>(base + offset);
  return ncclSuccess;
}
