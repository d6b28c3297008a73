//===- ucp.cpp - UCX, opened at run time ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// dlopen and dlsym.
//
//===----------------------------------------------------------------------===//

#include "runtime/network/ucp.h"

#include "runtime/status.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <string>

using namespace fusco::runtime;

namespace {
/// What opening gave: the functions, or the reason why there are none.
struct Opened {
  Ucp ucp;
  bool isUsable = false;
  char reason[errorTextBytes];
};
} // namespace

template <typename Function>
static bool resolve(void *library, const char *name, Function &function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

static bool resolveAll(void *library, Ucp &ucp) {
  return resolve(library, "ucp_get_version", ucp.getVersion) &&
         resolve(library, "ucp_config_read", ucp.configRead) &&
         resolve(library, "ucp_config_modify", ucp.configModify) &&
         resolve(library, "ucp_config_release", ucp.configRelease) &&
         resolve(library, "ucp_init_version", ucp.initVersion) &&
         resolve(library, "ucp_cleanup", ucp.cleanup) &&
         resolve(library, "ucp_mem_map", ucp.memMap) &&
         resolve(library, "ucp_mem_unmap", ucp.memUnmap) &&
         resolve(library, "ucp_rkey_pack", ucp.rkeyPack) &&
         resolve(library, "ucp_rkey_buffer_release", ucp.rkeyBufferRelease) &&
         resolve(library, "ucp_ep_rkey_unpack", ucp.rkeyUnpack) &&
         resolve(library, "ucp_rkey_destroy", ucp.rkeyDestroy) &&
         resolve(library, "ucp_worker_create", ucp.workerCreate) &&
         resolve(library, "ucp_worker_destroy", ucp.workerDestroy) &&
         resolve(library, "ucp_worker_get_address", ucp.workerGetAddress) &&
         resolve(library, "ucp_worker_release_address",
                 ucp.workerReleaseAddress) &&
         resolve(library, "ucp_worker_get_efd", ucp.workerGetEfd) &&
         resolve(library, "ucp_worker_arm", ucp.workerArm) &&
         resolve(library, "ucp_worker_progress", ucp.workerProgress) &&
         resolve(library, "ucp_ep_create", ucp.epCreate) &&
         resolve(library, "ucp_ep_close_nbx", ucp.epClose) &&
         resolve(library, "ucp_ep_flush_nbx", ucp.epFlush) &&
         resolve(library, "ucp_put_nbx", ucp.put) &&
         resolve(library, "ucp_ep_print_info", ucp.epPrintInfo) &&
         resolve(library, "ucp_am_send_nbx", ucp.amSend) &&
         resolve(library, "ucp_worker_set_am_recv_handler",
                 ucp.setAmRecvHandler) &&
         resolve(library, "ucp_request_check_status", ucp.requestCheckStatus) &&
         resolve(library, "ucp_request_free", ucp.requestFree) &&
         // Of libucs, on which libucp depends.
         resolve(library, "ucs_status_string", ucp.statusString);
}

static Opened openOnce() {
  Opened opened;
  const char *given = std::getenv("FUSCO_LIBUCP");
  const char *path = given && *given ? given : "libucp.so.0";
  // Errors come back as statuses; lines of UCX's own would only repeat them.
  const bool isQuiet = !std::getenv("UCX_LOG_LEVEL");
  if (isQuiet)
    setenv("UCX_LOG_LEVEL", "fatal", 1);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  opened.isUsable = library && resolveAll(library, opened.ucp);
  if (isQuiet)
    unsetenv("UCX_LOG_LEVEL");
  if (!opened.isUsable) {
    const char *reason = dlerror();
    std::snprintf(opened.reason, sizeof(opened.reason),
                  "transport 'ucx' cannot use '%s': %s; install UCX 1.13 or "
                  "later (Debian: libucx0), or name its libucp with "
                  "FUSCO_LIBUCP",
                  path, reason ? reason : "unknown");
  }
  return opened;
}

fusco_status Ucp::open(const Ucp *&ucp) {
  static const Opened opened = openOnce();
  if (!opened.isUsable)
    return fail(FUSCO_UNSUPPORTED, "%s", opened.reason);
  ucp = &opened.ucp;
  return FUSCO_OK;
}
