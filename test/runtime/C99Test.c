/*===- C99Test.c - The headers in C99
 *--------------------------------------===//
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===*/
/**
 * \file
 * Compiled as pedantic C99: the public headers and their _INIT macros must be
 * usable from a host program in C.
 */
#include "fusco/library.h"

fusco_context_config fuscoTestMakeConfigInC(void);

fusco_context_config fuscoTestMakeConfigInC(void) {
  const fusco_plan_info info = FUSCO_PLAN_INFO_INIT;
  const fusco_context_config config = FUSCO_CONTEXT_CONFIG_INIT;
  (void)info;
  return config;
}
