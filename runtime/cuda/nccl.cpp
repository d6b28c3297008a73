//===- nccl.cpp - NCCL, opened at run time --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What we look up, and what its errors say.
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/nccl.h"

#include "runtime/status.h"
#include "runtime/transport_library.h"

using namespace fusco::nccl;
using namespace fusco::runtime;

static void findFunctions(Symbols &symbols, Nccl &nccl) {
  symbols.find("ncclGetErrorString", nccl.getErrorString);
  symbols.find("ncclGetLastError", nccl.getLastError);
  symbols.find("ncclGetUniqueId", nccl.getUniqueId);
  symbols.find("ncclCommInitRankConfig", nccl.commInitRankConfig);
  symbols.find("ncclCommGetAsyncError", nccl.commGetAsyncError);
  symbols.find("ncclCommCount", nccl.commCount);
  symbols.find("ncclCommUserRank", nccl.commUserRank);
  symbols.find("ncclCommFinalize", nccl.commFinalize);
  symbols.find("ncclCommDestroy", nccl.commDestroy);
  symbols.find("ncclCommAbort", nccl.commAbort);
  symbols.find("ncclMemAlloc", nccl.memAlloc);
  symbols.find("ncclMemFree", nccl.memFree);
  symbols.find("ncclCommWindowRegister", nccl.commWindowRegister);
  symbols.find("ncclCommWindowDeregister", nccl.commWindowDeregister);
  symbols.find("ncclGetPeerDevicePointer", nccl.getPeerDevicePointer);
}

fusco_status Nccl::open(const Nccl *&nccl) {
  static const TransportLibrary<Nccl> library(
      "nccl", "FUSCO_LIBNCCL", "libnccl.so.2",
      "NCCL 2.29.2 or later (PyPI: nvidia-nccl-cu12 or nvidia-nccl-cu13)",
      findFunctions);
  return library.get(nccl);
}

fusco_status Nccl::check(ncclResult_t result, const char *what,
                         ncclComm_t comm) const {
  if (result == ncclSuccess)
    return FUSCO_OK;
  const char *more = getLastError(comm);
  const bool hasMore = more && *more;
  return fail(FUSCO_DEVICE_ERROR, "%s failed: %s%s%s%s", what,
              getErrorString(result), hasMore ? " (" : "", hasMore ? more : "",
              hasMore ? ")" : "");
}
