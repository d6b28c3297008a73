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
#include "runtime/transport_library.h"

#include <cstdlib>

using namespace fusco::runtime;

static void findFunctions(Symbols &symbols, Ucp &ucp) {
  symbols.find("ucp_get_version", ucp.getVersion);
  symbols.find("ucp_config_read", ucp.configRead);
  symbols.find("ucp_config_modify", ucp.configModify);
  symbols.find("ucp_config_release", ucp.configRelease);
  symbols.find("ucp_init_version", ucp.initVersion);
  symbols.find("ucp_cleanup", ucp.cleanup);
  symbols.find("ucp_mem_map", ucp.memMap);
  symbols.find("ucp_mem_unmap", ucp.memUnmap);
  symbols.find("ucp_rkey_pack", ucp.rkeyPack);
  symbols.find("ucp_rkey_buffer_release", ucp.rkeyBufferRelease);
  symbols.find("ucp_ep_rkey_unpack", ucp.rkeyUnpack);
  symbols.find("ucp_rkey_destroy", ucp.rkeyDestroy);
  symbols.find("ucp_worker_create", ucp.workerCreate);
  symbols.find("ucp_worker_destroy", ucp.workerDestroy);
  symbols.find("ucp_worker_get_address", ucp.workerGetAddress);
  symbols.find("ucp_worker_release_address", ucp.workerReleaseAddress);
  symbols.find("ucp_worker_get_efd", ucp.workerGetEfd);
  symbols.find("ucp_worker_arm", ucp.workerArm);
  symbols.find("ucp_worker_progress", ucp.workerProgress);
  symbols.find("ucp_ep_create", ucp.epCreate);
  symbols.find("ucp_ep_close_nbx", ucp.epClose);
  symbols.find("ucp_ep_flush_nbx", ucp.epFlush);
  symbols.find("ucp_put_nbx", ucp.put);
  symbols.find("ucp_ep_print_info", ucp.epPrintInfo);
  symbols.find("ucp_am_send_nbx", ucp.amSend);
  symbols.find("ucp_worker_set_am_recv_handler", ucp.setAmRecvHandler);
  symbols.find("ucp_request_check_status", ucp.requestCheckStatus);
  symbols.find("ucp_request_free", ucp.requestFree);
  // Of libucs, on which libucp depends.
  symbols.find("ucs_status_string", ucp.statusString);
}

static TransportLibrary<Ucp> openOnce() {
  // Errors come back as statuses; lines of UCX's own would only repeat them.
  const bool isQuiet = !std::getenv("UCX_LOG_LEVEL");
  if (isQuiet)
    setenv("UCX_LOG_LEVEL", "fatal", 1);
  TransportLibrary<Ucp> opened("ucx", "FUSCO_LIBUCP", "libucp.so.0",
                               "UCX 1.13 or later (Debian: libucx0)",
                               findFunctions);
  if (isQuiet)
    unsetenv("UCX_LOG_LEVEL");
  return opened;
}

fusco_status Ucp::open(const Ucp *&ucp) {
  static const TransportLibrary<Ucp> library = openOnce();
  return library.get(ucp);
}
