//===- StatusTest.cpp - Statuses and the last error -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Names of statuses; the last error belongs to its thread and stays bounded.
//
//===----------------------------------------------------------------------===//

#include "fusco/library.h"

#include "FakeLibrary.h"

#include <gtest/gtest.h>
#include <string>
#include <thread>

// C99Test.c
extern "C" fusco_context_config fuscoTestMakeConfigInC(void);

using namespace fusco::test;

TEST(Status, EveryStatusHasItsName) {
  EXPECT_STREQ(fusco_status_name(FUSCO_OK), "FUSCO_OK");
  EXPECT_STREQ(fusco_status_name(FUSCO_INVALID_ARGUMENT),
               "FUSCO_INVALID_ARGUMENT");
  EXPECT_STREQ(fusco_status_name(FUSCO_INVALID_ROUTING),
               "FUSCO_INVALID_ROUTING");
  EXPECT_STREQ(fusco_status_name(FUSCO_CAPACITY), "FUSCO_CAPACITY");
  EXPECT_STREQ(fusco_status_name(FUSCO_TIMEOUT), "FUSCO_TIMEOUT");
  EXPECT_STREQ(fusco_status_name(FUSCO_PEER_FAILED), "FUSCO_PEER_FAILED");
  EXPECT_STREQ(fusco_status_name(FUSCO_VERSION_MISMATCH),
               "FUSCO_VERSION_MISMATCH");
  EXPECT_STREQ(fusco_status_name(FUSCO_OUT_OF_MEMORY), "FUSCO_OUT_OF_MEMORY");
  EXPECT_STREQ(fusco_status_name(FUSCO_UNSUPPORTED), "FUSCO_UNSUPPORTED");
  EXPECT_STREQ(fusco_status_name(FUSCO_BAD_STATE), "FUSCO_BAD_STATE");
  EXPECT_STREQ(fusco_status_name(FUSCO_DEVICE_ERROR), "FUSCO_DEVICE_ERROR");
  EXPECT_STREQ(fusco_status_name(static_cast<fusco_status>(11)),
               "unknown fusco_status");
}

TEST(Status, LastErrorIsTheThreadsOwn) {
  ASSERT_EQ(fusco_plan_create(nullptr, nullptr), FUSCO_INVALID_ARGUMENT);
  EXPECT_STREQ(fusco_last_error(),
               "fusco_plan_create: expected a context, got NULL");
  std::string fresh = "not run";
  std::thread([&] { fresh = fusco_last_error(); }).join();
  EXPECT_EQ(fresh, "");
}

TEST(Status, LongTextsAreCut) {
  FakeLibrary fake(1);
  std::string name(4000, 'n');
  fusco_domain_config config = FUSCO_DOMAIN_CONFIG_INIT;
  config.transport = name.c_str();
  fusco_domain *domain = nullptr;
  EXPECT_EQ(fusco_domain_join(&fake.library, &config, &domain),
            FUSCO_UNSUPPORTED);
  EXPECT_EQ(std::string(fusco_last_error()).size(), 511u);
}

TEST(Status, HeadersAreC99) {
  fusco_context_config config = fuscoTestMakeConfigInC();
  EXPECT_EQ(config.size, sizeof(config));
  EXPECT_EQ(config.timeoutUs, 30000000u);
}
