//===- nccl_window.cpp - Memory in a window of NCCL -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Our own communicator does not block: whatever NCCL has to wait for is waited
/// for here, with a deadline.
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/nccl_window.h"

#include "runtime/deadline.h"
#include "runtime/status.h"

#include <chrono>
#include <cinttypes>
#include <new>
#include <thread>
#include <utility>

using namespace fusco::nccl;
using namespace fusco::runtime;

fusco_status NcclWindow::makeId(ncclUniqueId &id) {
  const Nccl *library = nullptr;
  if (fusco_status status = Nccl::open(library))
    return status;
  return library->check(library->getUniqueId(&id), "making an id for NCCL");
}

fusco_status NcclWindow::create(const Gpu &gpu, std::uint64_t bytes,
                                std::unique_ptr<NcclWindow> &window) {
  const Nccl *library = nullptr;
  if (fusco_status status = Nccl::open(library))
    return status;
  std::unique_ptr<NcclWindow> made(new (std::nothrow)
                                       NcclWindow(*library, gpu, bytes));
  if (!made)
    return fail(FUSCO_OUT_OF_MEMORY, "no memory for a window");
  cuda::ContextGuard guard(gpu.getContext());
  if (fusco_status status =
          library->check(library->memAlloc(&made->data, bytes),
                         "allocating memory of the GPU with NCCL"))
    return status;
  if (fusco_status status = gpu.fillWithZeros(made->getBase(), bytes))
    return status;
  window = std::move(made);
  return FUSCO_OK;
}

fusco_status NcclWindow::finish(ncclResult_t result, const char *what) {
  const auto deadline = deadlineAfter(timeoutUs);
  while (result == ncclInProgress) {
    if (shallStop())
      return fail(FUSCO_PEER_FAILED, "%s: another rank has failed", what);
    if (std::chrono::steady_clock::now() >= deadline)
      return fail(FUSCO_TIMEOUT, "%s: no end after %" PRIu64 " ms", what,
                  timeoutUs / 1000);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    if (ncclResult_t asked = library.commGetAsyncError(comm, &result))
      return library.check(asked, what, comm);
  }
  return library.check(result, what, comm);
}

fusco_status NcclWindow::join(const Place &place) {
  ncclConfig_t config;
  config.blocking = 0;
  isOwn = true;
  return finish(library.commInitRankConfig(&comm, place.numRanks, place.id,
                                           place.rank, &config),
                "making an NCCL communicator");
}

fusco_status NcclWindow::adopt(const Place &place) {
  comm = place.given;
  int count = -1, rank = -1;
  if (fusco_status status =
          library.check(library.commCount(comm, &count),
                        "asking for the size of the host's communicator", comm))
    return status;
  if (fusco_status status =
          library.check(library.commUserRank(comm, &rank),
                        "asking for the rank in the host's communicator", comm))
    return status;
  if (count == place.numRanks && rank == place.rank)
    return FUSCO_OK;
  return fail(FUSCO_INVALID_ARGUMENT,
              "expected ncclComm to be rank %" PRId32 " of %" PRId32
              ", as in this job, got rank %d of %d",
              place.rank, place.numRanks, rank, count);
}

fusco_status NcclWindow::expose(const Place &place, std::uint64_t timeout,
                                std::function<bool()> stop) {
  timeoutUs = timeout;
  shallStop = std::move(stop);
  cuda::ContextGuard guard(gpu.getContext());
  if (fusco_status status = place.given ? adopt(place) : join(place))
    return status;
  if (fusco_status status =
          finish(library.commWindowRegister(comm, data, bytes, &window,
                                            NCCL_WIN_COLL_SYMMETRIC),
                 "registering a window with NCCL"))
    return status;
  if (window)
    return FUSCO_OK;
  return fail(FUSCO_UNSUPPORTED,
              "NCCL has no symmetric memory for these GPUs: it needs CUDA's "
              "virtual memory (NCCL_CUMEM_ENABLE is not 0) and peer access "
              "among the GPUs of a host");
}

fusco_status NcclWindow::findPeer(std::int32_t peer, char *&base) const {
  cuda::ContextGuard guard(gpu.getContext());
  void *found = nullptr;
  fusco_status status =
      library.check(library.getPeerDevicePointer(window, 0, peer, &found),
                    "asking for a peer's memory", comm);
  base = static_cast<char *>(found);
  return status;
}

NcclWindow::~NcclWindow() {
  cuda::ContextGuard guard(gpu.getContext());
  // Nobody to tell of errors.
  if (window)
    library.commWindowDeregister(comm, window);
  if (comm && isOwn) {
    const bool isOver =
        !isAbandoned && finish(library.commFinalize(comm),
                               "ending an NCCL communicator") == FUSCO_OK;
    if (isOver)
      library.commDestroy(comm);
    else
      library.commAbort(comm);
  }
  if (data)
    library.memFree(data);
}
