//===- nccl.cpp - NCCL, opened at run time --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// dlopen and dlsym.
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/nccl.h"

#include "runtime/status.h"
#include "runtime/symbols.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

using namespace fusco::nccl;
using namespace fusco::runtime;

namespace {
/// What opening gave: the functions, or the reason why there are none.
struct Opened {
  Nccl nccl;
  bool isUsable = false;
  char reason[errorTextBytes];
};
} // namespace

/// Fills \p nccl from the open \p library. Returns the name of a function that
/// is not there, NULL if all are.
static const char *findFunctions(void *library, Nccl &nccl) {
  Symbols symbols = {library};
  symbols.find("ncclGetVersion", nccl.getVersion);
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
  return symbols.missing;
}

static Opened openOnce() {
  Opened opened;
  const char *given = std::getenv("FUSCO_LIBNCCL");
  const char *path = given && *given ? given : "libnccl.so.2";
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  const char *reason =
      library ? findFunctions(library, opened.nccl) : dlerror();
  opened.isUsable = !reason;
  if (opened.isUsable)
    return opened;
  char version[32] = "";
  int code = 0;
  if (library && opened.nccl.getVersion &&
      opened.nccl.getVersion(&code) == ncclSuccess)
    std::snprintf(version, sizeof(version), " (NCCL %d.%d.%d)", code / 10000,
                  code / 100 % 100, code % 100);
  std::snprintf(opened.reason, sizeof(opened.reason),
                "transport 'nccl' cannot use '%s'%s: %s%s; install NCCL 2.29.2 "
                "or later (PyPI: nvidia-nccl-cu12 or nvidia-nccl-cu13), or "
                "name its libnccl with FUSCO_LIBNCCL",
                path, version, library ? "it lacks " : "", reason);
  return opened;
}

fusco_status Nccl::open(const Nccl *&nccl) {
  static const Opened opened = openOnce();
  if (!opened.isUsable)
    return fail(FUSCO_UNSUPPORTED, "%s", opened.reason);
  nccl = &opened.nccl;
  return FUSCO_OK;
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
