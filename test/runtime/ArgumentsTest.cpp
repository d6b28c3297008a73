//===- ArgumentsTest.cpp - Checks of arguments ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Everything that fusco_program_run refuses before it lets a program move
/// rows, each with the text that tells the caller what to do.
//
//===----------------------------------------------------------------------===//

#include "RankGroup.h"

#include <functional>
#include <gtest/gtest.h>
#include <limits>

using namespace fusco::test;

namespace {
/// A way to spoil the arguments of one rank and what it must be told.
struct Spoilt {
  const char *name;
  Program program;
  std::function<void(Rank &)> spoil;
  fusco_status status;
  const char *error;
};

void PrintTo(const Spoilt &spoilt, std::ostream *stream) {
  *stream << spoilt.name;
}

class SpoiltArguments : public testing::TestWithParam<Spoilt> {};
} // namespace

static std::int64_t shapeBuffer[2];
static std::int64_t stridesBuffer[2];

static void setShape(DLTensor &tensor, std::int64_t rows,
                     std::int64_t columns) {
  shapeBuffer[0] = rows;
  shapeBuffer[1] = columns;
  tensor.shape = shapeBuffer;
}

static void setStrides(DLTensor &tensor, std::int64_t outer,
                       std::int64_t inner) {
  stridesBuffer[0] = outer;
  stridesBuffer[1] = inner;
  tensor.strides = stridesBuffer;
}

static Outcome call(Rank &rank, Program program) {
  return program == Dispatch ? rank.dispatch() : rank.combine();
}

TEST_P(SpoiltArguments, AreRefusedOnEveryRankAndDoNoHarm) {
  const Spoilt &spoilt = GetParam();
  RankGroup group(2);
  if (spoilt.program == Combine) {
    for (const Outcome &outcome :
         group.run([](Rank &rank) { return rank.dispatch(); }))
      ASSERT_EQ(outcome.status, FUSCO_OK) << outcome.error;
  }
  Rank &rank = group.ranks[0];
  auto dispatchTensors = rank.dispatchTensors;
  auto combineTensors = rank.combineTensors;
  fakeControl.numRefusedRuns = 0;
  fakeControl.numRefusedLeaks = 0;

  spoilt.spoil(rank);
  auto outcomes =
      group.run([&](Rank &rank) { return call(rank, spoilt.program); });
  EXPECT_EQ(outcomes[0].status, spoilt.status);
  EXPECT_EQ(outcomes[0].error, spoilt.error);
  EXPECT_EQ(outcomes[1].status, FUSCO_PEER_FAILED);
  EXPECT_EQ(
      outcomes[1].error,
      std::string(spoilt.program == Dispatch ? "m_dispatch" : "m_combine") +
          ": rank 0 failed with " + fusco_status_name(spoilt.status) +
          "; this rank moved nothing");
  EXPECT_EQ(fakeControl.numRefusedRuns, 1);
  EXPECT_EQ(fakeControl.numRefusedLeaks, 0);

  rank.dispatchTensors = dispatchTensors;
  rank.combineTensors = combineTensors;
  for (Program program : {Dispatch, Combine})
    for (const Outcome &outcome :
         group.run([&](Rank &rank) { return call(rank, program); }))
      EXPECT_EQ(outcome.status, FUSCO_OK) << outcome.error;
  for (const Rank &rank : group.ranks)
    EXPECT_TRUE(rank.hasOwnRows());
}

INSTANTIATE_TEST_SUITE_P(
    Dispatch, SpoiltArguments,
    testing::Values(
        Spoilt{
            "Device", Dispatch,
            [](Rank &r) { r.dispatchTensors[X].device.device_type = kDLCUDA; },
            FUSCO_INVALID_ARGUMENT,
            "m_dispatch: tensor 'x': expected a tensor in CPU memory, got "
            "one in the memory of GPU 0"},
        Spoilt{"DtypeCode", Dispatch,
               [](Rank &r) {
                 r.dispatchTensors[X].dtype = {kDLFloat, 16, 1};
               },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'x': expected dtype bfloat16, got float16"},
        Spoilt{"DtypeBits", Dispatch,
               [](Rank &r) {
                 r.dispatchTensors[Ids].dtype = {kDLInt, 64, 1};
               },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'ids': expected dtype int32, got int64"},
        Spoilt{"DtypeLanes", Dispatch,
               [](Rank &r) { r.dispatchTensors[Ids].dtype.lanes = 4; },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'ids': expected dtype int32, got int32 of 4 "
               "lanes"},
        Spoilt{"DtypeFloat8", Dispatch,
               [](Rank &r) {
                 r.dispatchTensors[X].dtype = {10, 8, 1};
               },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'x': expected dtype bfloat16, got "
               "float8_e4m3fn"},
        Spoilt{"DtypeUnknown", Dispatch,
               [](Rank &r) {
                 r.dispatchTensors[X].dtype = {99, 8, 1};
               },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'x': expected dtype bfloat16, got type code "
               "99 of 8 bits"},
        Spoilt{"Ndim", Dispatch, [](Rank &r) { r.dispatchTensors[X].ndim = 1; },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'x': expected 2 dimensions, got 1"},
        Spoilt{"NullShape", Dispatch,
               [](Rank &r) { r.dispatchTensors[X].shape = nullptr; },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'x': expected a shape, got NULL"},
        Spoilt{"Columns", Dispatch,
               [](Rank &r) { setShape(r.dispatchTensors[X], 1, 32); },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'x': expected shape [?, 64], got [1, 32]"},
        Spoilt{"StaticRows", Dispatch,
               [](Rank &r) { setShape(r.dispatchTensors[Counts], 5, 0); },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'counts': expected shape [4], got [5]"},
        Spoilt{"NegativeRows", Dispatch,
               [](Rank &r) { setShape(r.dispatchTensors[RowsOut], -1, 64); },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'rows': expected shape [?, 64], got [-1, "
               "64]"},
        Spoilt{"TooManyTokens", Dispatch,
               [](Rank &r) { setShape(r.dispatchTensors[X], 33, 64); },
               FUSCO_CAPACITY,
               "m_dispatch: tensor 'x': expected at most 32 rows, the model's "
               "max_tokens, got 33"},
        Spoilt{"UnequalTokens", Dispatch,
               [](Rank &r) { setShape(r.dispatchTensors[Ids], 2, 2); },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'ids': expected 1 rows, the tokens of x, "
               "got 2"},
        Spoilt{"RowStride", Dispatch,
               [](Rank &r) { setStrides(r.dispatchTensors[RowsOut], 128, 1); },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'rows': expected contiguous rows, got "
               "strides [128, 1] for shape [32, 64]; make a contiguous copy"},
        Spoilt{"ColumnStride", Dispatch,
               [](Rank &r) { setStrides(r.dispatchTensors[X], 1, 2); },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'x': expected contiguous rows, got strides "
               "[1, 2] for shape [1, 64]; make a contiguous copy"},
        Spoilt{"NullData", Dispatch,
               [](Rank &r) { r.dispatchTensors[X].data = nullptr; },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'x': expected data, got NULL"},
        Spoilt{"MisalignedData", Dispatch,
               [](Rank &r) {
                 char *data = static_cast<char *>(r.dispatchTensors[X].data);
                 r.dispatchTensors[X].data = data + 16;
               },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'x': expected data aligned to 64 bytes, got "
               "an address 16 bytes off; allocate it with "
               "fusco_tensor_create"},
        Spoilt{"MisalignedOffset", Dispatch,
               [](Rank &r) { r.dispatchTensors[X].byte_offset = 2; },
               FUSCO_INVALID_ARGUMENT,
               "m_dispatch: tensor 'x': expected data aligned to 64 bytes, got "
               "an address 2 bytes off; allocate it with "
               "fusco_tensor_create"}),
    [](const auto &info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Combine, SpoiltArguments,
    testing::Values(
        Spoilt{"TokensOfAnotherPlan", Combine,
               [](Rank &r) { setShape(r.combineTensors[Y], 2, 64); },
               FUSCO_INVALID_ARGUMENT,
               "m_combine: tensor 'y': expected 1 rows, the tokens of the "
               "plan, got 2"},
        Spoilt{"Dtype", Combine,
               [](Rank &r) {
                 r.combineTensors[RowsIn].dtype = {kDLFloat, 32, 1};
               },
               FUSCO_INVALID_ARGUMENT,
               "m_combine: tensor 'rows': expected dtype bfloat16, got "
               "float32"}),
    [](const auto &info) { return info.param.name; });

//===--- What is allowed --------------------------------------------------===//

TEST(Arguments, StridesOfSingleElementsDoNotMatter) {
  RankGroup group(1);
  setStrides(group.ranks[0].dispatchTensors[X], 12345, 1);
  Outcome outcome = group.ranks[0].dispatch();
  EXPECT_EQ(outcome.status, FUSCO_OK) << outcome.error;
}

TEST(Arguments, CompactStridesAreContiguous) {
  RankGroup group(1);
  setStrides(group.ranks[0].dispatchTensors[RowsOut], hidden, 1);
  Outcome outcome = group.ranks[0].dispatch();
  EXPECT_EQ(outcome.status, FUSCO_OK) << outcome.error;
}

TEST(Arguments, NoTokensNeedNoData) {
  RankGroup group(1);
  Rank &rank = group.ranks[0];
  for (DLTensor *tensor : {&rank.dispatchTensors[X], &rank.dispatchTensors[Ids],
                           &rank.combineTensors[Y]}) {
    tensor->shape[0] = 0;
    tensor->data = nullptr;
    tensor->byte_offset = 2;
  }
  Outcome outcome = rank.dispatch();
  EXPECT_EQ(outcome.status, FUSCO_OK) << outcome.error;
  outcome = rank.combine();
  EXPECT_EQ(outcome.status, FUSCO_OK) << outcome.error;
}

TEST(Arguments, ByteOffsetIsAdded) {
  RankGroup group(1);
  Rank &rank = group.ranks[0];
  // The fake reads the ids there: the first token's are zero, this one is not.
  rank.getIds()[16] = 99;
  rank.dispatchTensors[Ids].byte_offset = 64;
  EXPECT_EQ(rank.dispatch().error,
            "m_dispatch: rank 0: ids[0, 0] is 99, expected -1 or 0..15");
}

TEST(Arguments, AbsurdRowCountsAreNotMultiplied) {
  RankGroup group(1);
  setShape(group.ranks[0].dispatchTensors[RowsOut],
           std::numeric_limits<std::int64_t>::max(), hidden);
  setStrides(group.ranks[0].dispatchTensors[RowsOut], hidden, 1);
  EXPECT_EQ(group.ranks[0].dispatch().status, FUSCO_OK);
}

//===--- Pointers, plans, streams -----------------------------------------===//

namespace {
/// Calls with raw arguments, on a single rank.
class RawArguments : public testing::Test {
protected:
  void SetUp() override {
    for (std::size_t i = 0; i < tensors.size(); ++i)
      tensors[i] = &rank.dispatchTensors[i];
  }
  Outcome dispatch(fusco_plan *plan, const DLTensor *const *arguments,
                   void *stream = nullptr) {
    return makeOutcome(fusco_program_run(rank.library, Dispatch, rank.context,
                                         plan, arguments, stream));
  }

  RankGroup group{1};
  Rank &rank = group.ranks[0];
  std::array<const DLTensor *, 4> tensors;
};
} // namespace

TEST_F(RawArguments, NullContextEndsAtOnce) {
  EXPECT_EQ(fusco_program_run(rank.library, Dispatch, nullptr, rank.plan,
                              tensors.data(), nullptr),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_STREQ(fusco_last_error(), "m_dispatch: expected a context, got NULL");
  EXPECT_EQ(fusco_program_run(nullptr, Dispatch, rank.context, rank.plan,
                              tensors.data(), nullptr),
            FUSCO_INVALID_ARGUMENT);
}

TEST_F(RawArguments, ContextOfAnotherLibraryEndsAtOnce) {
  FakeLibrary other(1);
  EXPECT_EQ(fusco_program_run(&other.library, Dispatch, rank.context, rank.plan,
                              tensors.data(), nullptr),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_STREQ(fusco_last_error(),
               "m_dispatch: expected a context of model 'm', got one that was "
               "made for another library");
}

TEST_F(RawArguments, OtherNullsAreRefused) {
  EXPECT_EQ(dispatch(nullptr, tensors.data()).error,
            "m_dispatch: expected a plan, got NULL");
  EXPECT_EQ(dispatch(rank.plan, nullptr).error,
            "m_dispatch: expected tensors, got NULL");
  tensors[Ids] = nullptr;
  EXPECT_EQ(dispatch(rank.plan, tensors.data()).error,
            "m_dispatch: tensor 'ids': expected a tensor, got NULL");
}

TEST_F(RawArguments, StreamIsRefused) {
  EXPECT_EQ(dispatch(rank.plan, tensors.data(), &group).error,
            "m_dispatch: expected stream NULL on target 'cpu', got another");
}

TEST_F(RawArguments, PlanOfAnotherDomainIsRefused) {
  fusco_domain *domain = nullptr;
  fusco_context *context = nullptr;
  fusco_plan *plan = nullptr;
  ASSERT_EQ(fusco_domain_create(rank.library, &domain), FUSCO_OK);
  ASSERT_EQ(fusco_context_create(rank.library, domain, 0, nullptr, &context),
            FUSCO_OK);
  ASSERT_EQ(fusco_plan_create(context, &plan), FUSCO_OK);
  Outcome outcome = dispatch(plan, tensors.data());
  EXPECT_EQ(outcome.status, FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(outcome.error, "m_dispatch: expected a plan of the context's own "
                           "domain, got one of another domain");
  fusco_plan_destroy(plan);
  fusco_context_destroy(context);
  fusco_domain_destroy(domain);
}

TEST(Arguments, PlanOfAnotherRankIsRefused) {
  RankGroup group(2);
  group.run([](Rank &rank) { return rank.dispatch(); });
  std::swap(group.ranks[0].plan, group.ranks[1].plan);
  auto outcomes = group.run([](Rank &rank) { return rank.combine(); });
  EXPECT_EQ(outcomes[0].error,
            "m_combine: expected a plan of rank 0, got one of rank 1");
  EXPECT_EQ(outcomes[1].error,
            "m_combine: expected a plan of rank 1, got one of rank 0");
}

TEST(Arguments, CombineNeedsAFilledPlan) {
  RankGroup group(1);
  Rank &rank = group.ranks[0];
  const char *text = "m_combine: the plan is empty; run a dispatch that "
                     "succeeds into it first";
  Outcome outcome = rank.combine();
  EXPECT_EQ(outcome.status, FUSCO_BAD_STATE);
  EXPECT_EQ(outcome.error, text);
  ASSERT_EQ(rank.dispatch().status, FUSCO_OK);
  ASSERT_EQ(rank.combine().status, FUSCO_OK);
  // A dispatch that is refused or fails empties the plan again.
  rank.dispatchTensors[X].byte_offset = 2;
  ASSERT_EQ(rank.dispatch().status, FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(rank.combine().error, text);
  rank.dispatchTensors[X].byte_offset = 0;
  ASSERT_EQ(rank.dispatch().status, FUSCO_OK);
  rank.getIds()[0] = 99;
  ASSERT_EQ(rank.dispatch().status, FUSCO_INVALID_ROUTING);
  EXPECT_EQ(rank.combine().error, text);
}
