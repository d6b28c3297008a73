//===- ucp.h - UCX, opened at run time --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The functions of libucp that we call. The types are those of UCX's own
/// headers, 1.13 or later; nothing of it is linked.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_NETWORK_UCP_H
#define FUSCO_RUNTIME_NETWORK_UCP_H

#include "fusco/runtime.h"

#include <ucp/api/ucp.h>

namespace fusco::runtime {

struct Ucp {
  /// Opens FUSCO_LIBUCP, else libucp.so.0; once in a process, for good.
  static fusco_status open(const Ucp *&ucp);

  decltype(&ucp_get_version) getVersion;
  decltype(&ucp_config_read) configRead;
  decltype(&ucp_config_modify) configModify;
  decltype(&ucp_config_release) configRelease;
  decltype(&ucp_init_version) initVersion;
  decltype(&ucp_cleanup) cleanup;
  decltype(&ucp_mem_map) memMap;
  decltype(&ucp_mem_unmap) memUnmap;
  decltype(&ucp_rkey_pack) rkeyPack;
  decltype(&ucp_rkey_buffer_release) rkeyBufferRelease;
  decltype(&ucp_ep_rkey_unpack) rkeyUnpack;
  decltype(&ucp_rkey_destroy) rkeyDestroy;
  decltype(&ucp_worker_create) workerCreate;
  decltype(&ucp_worker_destroy) workerDestroy;
  decltype(&ucp_worker_get_address) workerGetAddress;
  decltype(&ucp_worker_release_address) workerReleaseAddress;
  decltype(&ucp_worker_get_efd) workerGetEfd;
  decltype(&ucp_worker_arm) workerArm;
  decltype(&ucp_worker_progress) workerProgress;
  decltype(&ucp_ep_create) epCreate;
  decltype(&ucp_ep_close_nbx) epClose;
  decltype(&ucp_ep_flush_nbx) epFlush;
  decltype(&ucp_put_nbx) put;
  decltype(&ucp_ep_print_info) epPrintInfo;
  decltype(&ucp_am_send_nbx) amSend;
  decltype(&ucp_worker_set_am_recv_handler) setAmRecvHandler;
  decltype(&ucp_request_check_status) requestCheckStatus;
  decltype(&ucp_request_free) requestFree;
  decltype(&ucs_status_string) statusString;
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_NETWORK_UCP_H
