//===- ContextTest.cpp - Domains, contexts and plans ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What the create calls give, and everything that they refuse.
//
//===----------------------------------------------------------------------===//

#include "RankGroup.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace fusco::test;

namespace {
class ContextTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(fusco_domain_create(&fake.library, &domain), FUSCO_OK);
  }
  void TearDown() override { fusco_domain_destroy(domain); }

  /// Tries to make a context and, if that works, ends it again. Whatever is
  /// refused must leave the output alone.
  Outcome tryContext(std::int32_t rank = 0,
                     const fusco_context_config *config = nullptr) {
    fusco_context *context = nullptr;
    Outcome outcome = makeOutcome(
        fusco_context_create(&fake.library, domain, rank, config, &context));
    EXPECT_EQ(context != nullptr, outcome.status == FUSCO_OK);
    fusco_context_destroy(context);
    return outcome;
  }

  FakeLibrary fake{4};
  fusco_domain *domain = nullptr;
};
} // namespace

TEST_F(ContextTest, KnowsItsRankAndTheirNumber) {
  fusco_context *context = nullptr;
  ASSERT_EQ(fusco_context_create(&fake.library, domain, 3, nullptr, &context),
            FUSCO_OK);
  EXPECT_EQ(fusco_context_rank(context), 3);
  EXPECT_EQ(fusco_context_num_ranks(context), 4);
  fusco_context_destroy(context);
  EXPECT_EQ(fusco_context_rank(nullptr), -1);
  EXPECT_EQ(fusco_context_num_ranks(nullptr), 0);
}

TEST_F(ContextTest, RanksAreCountedOverAllNodes) {
  FakeLibrary twoNodes(3);
  twoNodes.info.numNodes = 2;
  fusco_domain *large = nullptr;
  ASSERT_EQ(fusco_domain_create(&twoNodes.library, &large), FUSCO_OK);
  fusco_context *context = nullptr;
  ASSERT_EQ(
      fusco_context_create(&twoNodes.library, large, 5, nullptr, &context),
      FUSCO_OK);
  EXPECT_EQ(fusco_context_num_ranks(context), 6);
  fusco_context_destroy(context);
  fusco_domain_destroy(large);
}

TEST(Destroy, AcceptsNull) {
  fusco_plan_destroy(nullptr);
  fusco_context_destroy(nullptr);
  fusco_domain_destroy(nullptr);
}

TEST_F(ContextTest, RefusesNull) {
  fusco_context *context = nullptr;
  fusco_domain *other = nullptr;
  EXPECT_EQ(fusco_domain_create(nullptr, &other), FUSCO_INVALID_ARGUMENT);
  EXPECT_STREQ(fusco_last_error(),
               "fusco_domain_create: expected a library, got NULL");
  EXPECT_EQ(fusco_domain_create(&fake.library, nullptr),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(fusco_context_create(nullptr, domain, 0, nullptr, &context),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(fusco_context_create(&fake.library, nullptr, 0, nullptr, &context),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_STREQ(fusco_last_error(),
               "fusco_context_create: expected a domain, got NULL");
  EXPECT_EQ(fusco_context_create(&fake.library, domain, 0, nullptr, nullptr),
            FUSCO_INVALID_ARGUMENT);
}

TEST_F(ContextTest, RefusesWhatIsNoLibraryOfThisVersion) {
  // The domain's own library is spoilt in place: it must be looked at first.
  auto expectRefused = [&](fusco_status status, const std::string &text) {
    fusco_domain *other = nullptr;
    EXPECT_EQ(fusco_domain_create(&fake.library, &other), status);
    EXPECT_EQ(other, nullptr);
    EXPECT_EQ(fusco_last_error(), "fusco_domain_create: " + text);
    EXPECT_EQ(tryContext().status, status);
    EXPECT_EQ(fusco_last_error(), "fusco_context_create: " + text);
  };
  const fusco_library_info good = fake.info;
  fake.info.magic = 0x1234;
  fake.info.abiVersion = 77; // not to be read after a wrong magic
  expectRefused(FUSCO_INVALID_ARGUMENT,
                "expected a fusco library, got one with magic 0x1234");
  fake.info = good;
  fake.info.abiVersion = FUSCO_ABI_VERSION + 1;
  fake.info.size = 1; // not to be read after a wrong version
  expectRefused(FUSCO_VERSION_MISMATCH,
                "expected a library of ABI version " +
                    std::to_string(FUSCO_ABI_VERSION) + ", got " +
                    std::to_string(FUSCO_ABI_VERSION + 1) +
                    "; compile the model again");
  fake.info = good;
  fake.info.size = 100;
  expectRefused(FUSCO_VERSION_MISMATCH,
                "expected a library description of " +
                    std::to_string(sizeof(fusco_library_info)) +
                    " bytes, got 100; compile the model again");
}

TEST_F(ContextTest, RefusesConfigOfAnotherVersion) {
  fusco_context_config config = FUSCO_CONTEXT_CONFIG_INIT;
  EXPECT_EQ(tryContext(0, &config).status, FUSCO_OK);
  config.size -= 8;
  EXPECT_EQ(tryContext(0, &config).status, FUSCO_VERSION_MISMATCH);
  config = FUSCO_CONTEXT_CONFIG_INIT;
  config.version = FUSCO_ABI_VERSION + 1;
  EXPECT_EQ(tryContext(0, &config).error,
            "fusco_context_create: expected a fusco_context_config of " +
                std::to_string(sizeof(config)) + " bytes and version " +
                std::to_string(FUSCO_ABI_VERSION) + ", got " +
                std::to_string(sizeof(config)) + " bytes and version " +
                std::to_string(FUSCO_ABI_VERSION + 1) +
                "; initialise it with its _INIT macro");
}

TEST_F(ContextTest, RefusesRanksThatDoNotExist) {
  EXPECT_EQ(tryContext(3).status, FUSCO_OK);
  EXPECT_EQ(tryContext(-1).status, FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(tryContext(4).error,
            "fusco_context_create: expected a rank from 0 to 3, got 4");
}

TEST_F(ContextTest, OneContextPerRankAtATime) {
  fusco_context *first = nullptr;
  ASSERT_EQ(fusco_context_create(&fake.library, domain, 1, nullptr, &first),
            FUSCO_OK);
  Outcome second = tryContext(1);
  EXPECT_EQ(second.status, FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(second.error,
            "fusco_context_create: rank 1 of this domain already has a "
            "context; destroy that one first");
  EXPECT_EQ(tryContext(2).status, FUSCO_OK);
  fusco_context_destroy(first);
  EXPECT_EQ(tryContext(1).status, FUSCO_OK);
}

TEST_F(ContextTest, RefusesDomainOfAnotherLibrary) {
  FakeLibrary other(4);
  fusco_context *context = nullptr;
  EXPECT_EQ(fusco_context_create(&other.library, domain, 0, nullptr, &context),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_STREQ(fusco_last_error(),
               "fusco_context_create: expected a domain of model 'm', got one "
               "that was made for another library");
}

TEST_F(ContextTest, RefusesCodeForAnotherMachine) {
  fake.info.cpuLevel = FUSCO_CPU_AVX512;
  bool hasAvx512 =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  EXPECT_EQ(tryContext().status, hasAvx512 ? FUSCO_OK : FUSCO_UNSUPPORTED);
  fake.info.cpuLevel = 7;
  EXPECT_EQ(tryContext().error, "fusco_context_create: expected a library for "
                                "CPU level 0 or 1, got 7");
  fake.info.cpuLevel = FUSCO_CPU_AVX2;
  std::strcpy(fake.info.target, "sm_90");
  Outcome outcome = tryContext();
  EXPECT_EQ(outcome.status, FUSCO_UNSUPPORTED);
  EXPECT_EQ(outcome.error, "fusco_context_create: expected a library for "
                           "target 'cpu', got 'sm_90'");
}

TEST(Domain, NeedsNoSymmetricMemory) {
  FakeLibrary fake(2);
  fake.info.symmetricBytes = 0;
  fusco_domain *domain = nullptr;
  EXPECT_EQ(fusco_domain_create(&fake.library, &domain), FUSCO_OK);
  fusco_domain_destroy(domain);
}

TEST(Domain, TooLargeIsOutOfMemory) {
  FakeLibrary fake(2);
  fake.info.symmetricBytes = std::uint64_t(1) << 60;
  fusco_domain *domain = nullptr;
  EXPECT_EQ(fusco_domain_create(&fake.library, &domain), FUSCO_OUT_OF_MEMORY);
  EXPECT_EQ(domain, nullptr);
  EXPECT_STREQ(fusco_last_error(),
               "cannot map 1152921504606846976 bytes for a rank's symmetric "
               "heap: Cannot allocate memory");
}

TEST(Plan, TooLargeIsOutOfMemory) {
  RankGroup group(1);
  group.fake.info.planBytes = std::uint64_t(1) << 60;
  fusco_plan *plan = nullptr;
  EXPECT_EQ(fusco_plan_create(group.ranks[0].context, &plan),
            FUSCO_OUT_OF_MEMORY);
  EXPECT_EQ(plan, nullptr);
}

TEST(Plan, RefusesNull) {
  RankGroup group(1);
  fusco_plan *plan = nullptr;
  fusco_plan_info info = FUSCO_PLAN_INFO_INIT;
  EXPECT_EQ(fusco_plan_create(nullptr, &plan), FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(fusco_plan_create(group.ranks[0].context, nullptr),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(fusco_plan_get_info(nullptr, &info), FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(fusco_plan_get_info(group.ranks[0].plan, nullptr),
            FUSCO_INVALID_ARGUMENT);
}

TEST(Plan, TellsWhatDispatchLeft) {
  RankGroup group(3);
  group.run([](Rank &rank) { return rank.dispatch(); });
  for (std::int64_t r = 0; r < 3; ++r) {
    fusco_plan_info info = FUSCO_PLAN_INFO_INIT;
    ASSERT_EQ(fusco_plan_get_info(group.ranks[r].plan, &info), FUSCO_OK);
    std::int64_t received = (r + 2) % 3 + 1;
    EXPECT_EQ(info.size, sizeof(info));
    EXPECT_EQ(info.version, std::uint32_t(FUSCO_ABI_VERSION));
    EXPECT_EQ(info.tokens, r + 1);
    EXPECT_EQ(info.assignments, 2);
    EXPECT_EQ(info.rowsUniqueRank, 3);
    EXPECT_EQ(info.rowsUniqueNode, 4);
    EXPECT_EQ(info.rowsScaleUp, 5);
    EXPECT_EQ(info.rowsScaleOut, 6);
    EXPECT_EQ(info.rowsReceived, received);
    EXPECT_EQ(info.rowsPadded, received);
  }
}

TEST(Plan, InfoNeedsTheRightStructAndAFilledPlan) {
  RankGroup group(1);
  fusco_plan_info info = FUSCO_PLAN_INFO_INIT;
  info.tokens = -7;
  EXPECT_EQ(fusco_plan_get_info(group.ranks[0].plan, &info), FUSCO_BAD_STATE);
  EXPECT_STREQ(fusco_last_error(),
               "fusco_plan_get_info: the plan is empty; run a dispatch that "
               "succeeds into it first");
  ASSERT_EQ(group.ranks[0].dispatch().status, FUSCO_OK);
  info.size = 8;
  EXPECT_EQ(fusco_plan_get_info(group.ranks[0].plan, &info),
            FUSCO_VERSION_MISMATCH);
  EXPECT_EQ(info.tokens, -7);
}

TEST(Plan, OutlivesItsContext) {
  RankGroup group(1);
  Rank &rank = group.ranks[0];
  ASSERT_EQ(rank.dispatch().status, FUSCO_OK);
  fusco_context_destroy(rank.context);
  rank.context = nullptr;
  ASSERT_EQ(fusco_context_create(&group.fake.library, group.domain, 0, nullptr,
                                 &rank.context),
            FUSCO_OK);
  EXPECT_EQ(rank.combine().status, FUSCO_OK);
  EXPECT_TRUE(rank.hasOwnRows());
}
