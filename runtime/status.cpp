//===- status.cpp - Statuses and the last error ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Names of the statuses and the thread's last error text: a fixed buffer,
/// because reporting that memory is short must not need memory.
//
//===----------------------------------------------------------------------===//

#include "runtime/status.h"

#include <cstdarg>
#include <cstdio>

using namespace fusco::runtime;

static thread_local char lastError[errorTextBytes] = "";

fusco_status fusco::runtime::fail(fusco_status status, const char *format,
                                  ...) {
  va_list values;
  va_start(values, format);
  std::vsnprintf(lastError, sizeof(lastError), format, values);
  va_end(values);
  return status;
}

fusco_status fusco::runtime::failIn(const EntryPoint &where,
                                    fusco_status status, const char *format,
                                    ...) {
  char text[errorTextBytes];
  va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof(text), format, values);
  va_end(values);
  return fail(status, "%s_%s: %s", where.model, where.function, text);
}

const char *fusco_status_name(fusco_status status) {
  switch (status) {
  case FUSCO_OK:
    return "FUSCO_OK";
  case FUSCO_INVALID_ARGUMENT:
    return "FUSCO_INVALID_ARGUMENT";
  case FUSCO_INVALID_ROUTING:
    return "FUSCO_INVALID_ROUTING";
  case FUSCO_CAPACITY:
    return "FUSCO_CAPACITY";
  case FUSCO_TIMEOUT:
    return "FUSCO_TIMEOUT";
  case FUSCO_PEER_FAILED:
    return "FUSCO_PEER_FAILED";
  case FUSCO_VERSION_MISMATCH:
    return "FUSCO_VERSION_MISMATCH";
  case FUSCO_OUT_OF_MEMORY:
    return "FUSCO_OUT_OF_MEMORY";
  case FUSCO_UNSUPPORTED:
    return "FUSCO_UNSUPPORTED";
  case FUSCO_BAD_STATE:
    return "FUSCO_BAD_STATE";
  case FUSCO_DEVICE_ERROR:
    return "FUSCO_DEVICE_ERROR";
  }
  return "unknown fusco_status";
}

const char *fusco_last_error(void) { return lastError; }
