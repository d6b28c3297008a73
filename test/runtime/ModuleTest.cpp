//===- ModuleTest.cpp - The runtime inside a shared object ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A generated library as a host sees it: opened with dlopen, with its own
/// runtime inside and nothing but fusco_* outside.
//
//===----------------------------------------------------------------------===//

#include "fusco/library.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <memory>

namespace {
class ModuleTest : public testing::Test {
protected:
  void SetUp() override {
    module.reset(dlopen(FUSCO_FAKE_MODULE, RTLD_NOW | RTLD_LOCAL));
    ASSERT_TRUE(module) << dlerror();
  }

  template <typename Function> Function *find(const char *name) {
    return reinterpret_cast<Function *>(dlsym(module.get(), name));
  }

  struct Close {
    void operator()(void *handle) const { dlclose(handle); }
  };
  std::unique_ptr<void, Close> module;
};
} // namespace

TEST_F(ModuleTest, RunsWithTheRuntimeInsideIt) {
  auto *get = find<const fusco_library *(void)>("fusco_library_get");
  auto *launch = find<decltype(fusco_launch_threads)>("fusco_launch_threads");
  ASSERT_TRUE(get && launch);
  int numRanks = 0;
  fusco_status status = launch(
      get(), nullptr,
      [](fusco_context *, void *user) {
        __atomic_fetch_add(static_cast<int *>(user), 1, __ATOMIC_RELAXED);
        return FUSCO_OK;
      },
      &numRanks);
  EXPECT_EQ(status, FUSCO_OK);
  EXPECT_EQ(numRanks, 2);
}

TEST_F(ModuleTest, ExportsTheWholeApi) {
  for (const char *name :
       {"fusco_status_name", "fusco_last_error", "fusco_domain_create",
        "fusco_domain_destroy", "fusco_context_create", "fusco_context_destroy",
        "fusco_context_rank", "fusco_context_num_ranks", "fusco_plan_create",
        "fusco_plan_destroy", "fusco_plan_get_info", "fusco_tensor_create",
        "fusco_launch_threads", "fusco_program_run", "fusco_program_wait",
        "fusco_program_fail"})
    EXPECT_TRUE(dlsym(module.get(), name)) << name;
}
