//===- ReferenceTest.cpp - Tests of the reference interpreter -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Each rule of the semantics on a case small enough to compute by hand.
//
//===----------------------------------------------------------------------===//
#include "test/reference/TestShapes.h"
#include "tools/reference/Replicas.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

using namespace fusco::reference;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

using Counts = std::vector<int64_t>;

/// Combines one token of rank 0 whose assignments are to \p ids, with the float
/// \p values as outputs of its assignments in the order of k.
uint32_t combineOne(const Shape &shape, const std::vector<int64_t> &ids,
                    const std::vector<float> &weights,
                    const std::vector<float> &values) {
  std::vector<RankInput> inputs(size_t(shape.numRanks()));
  inputs[0] = inputOf(shape, ids, {0}, weights);
  auto dispatched = dispatch(shape, inputs);
  std::vector<Bytes> y;
  for (const RankDispatch &rank : dispatched)
    y.emplace_back(
        size_t(rank.offsets.back() * shape.bytesPerRow(shape.outputType)));
  for (size_t k = 0; k != ids.size(); ++k) {
    Slot slot = dispatched[0].slots[k];
    if (slot.rank >= 0)
      storeElement(shape.outputType, y[size_t(slot.rank)].data(), slot.row,
                   narrow(shape.outputType, values[k]));
  }
  return encodingsOf(shape.combinedType(),
                     combine(shape, inputs, dispatched, pointersTo(y))[0])[0];
}

TEST(Replicas, FillTheirRanksToOneLevel) {
  Shape shape = f32Shape(1, 3, 4, 1);
  shape.hasTable = true;
  shape.redundantExperts = 2; // physical experts 0 and 1, 2 and 3, 4 and 5
  // Expert 0 is on every rank, beside loads of 5, 1 and 3: the level is 6.
  EXPECT_EQ(quotasOf(shape, {9, 5, 1, 3}, {0, 1, 0, 2, 0, 3}),
            (Counts{1, 5, 5, 1, 3, 3}));
  // Of two replicas on a rank only the first takes part, and a rank that is
  // above the level takes nothing.
  EXPECT_EQ(quotasOf(shape, {4, 9, 1, 0}, {0, 1, 0, 0, 2, 3}),
            (Counts{0, 9, 4, 0, 1, 0}));
  // What does not divide goes to the first.
  EXPECT_EQ(quotasOf(shape, {5, 0, 0, 0}, {0, 1, 0, 2, 0, 3}),
            (Counts{2, 0, 2, 0, 1, 0}));
  EXPECT_EQ(quotasOf(shape, {0, 0, 0, 0}, {0, 1, 0, 2, 0, 3}), Counts(6, 0));
  EXPECT_THROW(quotasOf(shape, {0, 0, 0, 0}, {0, 1, 0, 2, 0, 2}),
               std::invalid_argument);
  EXPECT_THROW(quotasOf(shape, {0, 0, 0, 0}, {0, 1, 2, 3, 4, 0}),
               std::invalid_argument);
  EXPECT_THROW(quotasOf(shape, {0, 0, 0, 0}, {0, 1, 2, 3}),
               std::invalid_argument);
}

TEST(Replicas, TakeAssignmentsInOrderOfSources) {
  Shape shape = f32Shape(1, 2, 2, 2);
  shape.hasTable = true;
  shape.redundantExperts = 2;
  // Expert 0 is physical 0 and 2, with quotas of 3 and 2; expert 1 goes where
  // there is less.
  EXPECT_EQ(physicalIdsOf(shape, {{0, -1, 0, 1}, {0, 0, 0, -1}}, {0, 1, 0, 1}),
            (std::vector<Counts>{{0, -1, 0, 3}, {0, 2, 2, -1}}));
}

TEST(RankMajor, OncePerTokenAndRankWithLocalIdsAndWeights) {
  Shape shape = f32Shape(1, 2, 4, 3); // experts 0 and 1, 2 and 3
  shape.isRankMajor = true;
  shape.weighted = false;
  std::vector<RankInput> inputs;
  inputs.push_back(inputOf(shape, {3, 0, 2, -1, 1, 1}, {f32(10), f32(11)},
                           {1, 2, 3, 4, 5, 6}));
  inputs.push_back(inputOf(shape, {2, -1, -1}, {f32(12)}, {7, 8, 9}));
  auto dispatched = dispatch(shape, inputs);
  EXPECT_EQ(encodingsOf(shape.rowType, dispatched[0].rows),
            (Encodings{f32(10), f32(11)}));
  EXPECT_EQ(dispatched[0].rowIds, (Counts{-1, 0, -1, -1, 1, 1}));
  EXPECT_EQ(dispatched[0].rowWeights, (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(dispatched[0].counts, Counts{2});
  EXPECT_EQ(dispatched[0].offsets, (Counts{0, 2}));
  EXPECT_EQ(encodingsOf(shape.rowType, dispatched[1].rows),
            (Encodings{f32(10), f32(12)}));
  EXPECT_EQ(dispatched[1].rowIds, (Counts{1, -1, 0, 0, -1, -1}));
  EXPECT_EQ(dispatched[1].rowWeights, (std::vector<float>{1, 2, 3, 7, 8, 9}));
  EXPECT_EQ(dispatched[0].rowsUniqueRank, 3);

  // Each token gets one row of each rank that it was on.
  std::vector<Bytes> y{bytesOf(shape.outputType, {f32(1), f32(2)}),
                       bytesOf(shape.outputType, {f32(30), f32(40)})};
  auto out = combine(shape, inputs, dispatched, pointersTo(y));
  EXPECT_EQ(encodingsOf(shape.tokenType, out[0]), (Encodings{f32(31), f32(2)}));
  EXPECT_EQ(encodingsOf(shape.tokenType, out[1]), Encodings{f32(40)});
}

TEST(Placement, FirstRanksHoldOneExpertMoreIfTheyDoNotDivide) {
  Shape shape = f32Shape(1, 4, 10, 1);
  EXPECT_EQ(shape.maxLocalExperts(), 3);
  Counts first, count, rankOf;
  for (int rank = 0; rank != 4; ++rank) {
    first.push_back(shape.firstExpert(rank));
    count.push_back(shape.numLocalExperts(rank));
  }
  for (int64_t expert = 0; expert != 10; ++expert)
    rankOf.push_back(shape.rankOfExpert(expert));
  EXPECT_EQ(first, (Counts{0, 3, 6, 8}));
  EXPECT_EQ(count, (Counts{3, 3, 2, 2}));
  EXPECT_EQ(rankOf, (Counts{0, 0, 0, 1, 1, 1, 2, 2, 3, 3}));
}

TEST(Placement, FewerExpertsThanRanks) {
  Shape shape = f32Shape(1, 4, 2, 1);
  EXPECT_EQ(shape.maxLocalExperts(), 1);
  EXPECT_EQ(shape.rankOfExpert(1), 1);
  EXPECT_EQ(shape.numLocalExperts(2), 0);
  EXPECT_EQ(shape.numLocalExperts(3), 0);
}

TEST(Dispatch, OrderIsSourceRankThenTokenThenK) {
  Shape shape = f32Shape(1, 2, 4, 2);
  // Expert 3 (rank 1) gets: rank 0 token 0 k 1, rank 0 token 1 k 0, rank 1
  // token 0 k 0.
  auto out = dispatch(shape, {inputOf(shape, {0, 3, 3, 2}, {10, 11}),
                              inputOf(shape, {3, 1}, {20})});
  EXPECT_EQ(out[0].counts, (Counts{1, 1}));
  EXPECT_EQ(out[0].offsets, (Counts{0, 1, 2}));
  EXPECT_EQ(encodingsOf(shape.rowType, out[0].rows), (Encodings{10, 20}));
  EXPECT_EQ(out[1].counts, (Counts{1, 3}));
  EXPECT_EQ(out[1].offsets, (Counts{0, 1, 4}));
  EXPECT_EQ(encodingsOf(shape.rowType, out[1].rows),
            (Encodings{11, 10, 11, 20}));
  EXPECT_EQ(out[0].slots[1].rank, 1);
  EXPECT_EQ(out[0].slots[1].row, 1);
  EXPECT_EQ(out[1].slots[0].rank, 1);
  EXPECT_EQ(out[1].slots[0].row, 3);
}

TEST(Dispatch, SegmentsAreAlignedAndPadsAreZero) {
  Shape shape = f32Shape(1, 1, 3, 1);
  shape.alignRows = 3;
  auto out =
      dispatch(shape, {inputOf(shape, {2, 0, 2, 2, 2}, {1, 2, 3, 4, 5})});
  EXPECT_EQ(out[0].counts, (Counts{1, 0, 4}));
  EXPECT_EQ(out[0].offsets, (Counts{0, 3, 3, 9}));
  EXPECT_EQ(encodingsOf(shape.rowType, out[0].rows),
            (Encodings{2, 0, 0, 1, 3, 4, 5, 0, 0}));
}

TEST(Dispatch, TrailingEntriesOfARankWithFewerExperts) {
  Shape shape = f32Shape(1, 2, 3, 1); // experts 0, 1 on rank 0; 2 on rank 1
  shape.alignRows = 2;
  auto out = dispatch(
      shape, {inputOf(shape, {2, 0, 2}, {1, 2, 3}), inputOf(shape, {2}, {4})});
  EXPECT_EQ(out[1].counts, (Counts{3, 0}));
  EXPECT_EQ(out[1].offsets, (Counts{0, 4, 4}));
  EXPECT_EQ(encodingsOf(shape.rowType, out[1].rows), (Encodings{1, 3, 4, 0}));
}

TEST(Dispatch, SlotsOfEachExpertAreAsManyOnEachRank) {
  Shape shape = f32Shape(1, 2, 3, 1); // experts 0, 1 on rank 0; 2 on rank 1
  shape.capacityRows = 3;
  auto out = dispatch(
      shape, {inputOf(shape, {2, 1, 2}, {1, 2, 3}), inputOf(shape, {2}, {4})});
  EXPECT_EQ(out[0].counts, (Counts{0, 1}));
  EXPECT_EQ(out[0].offsets, (Counts{0, 3, 6}));
  EXPECT_EQ(out[0].slots[1].row, 3);
  EXPECT_EQ(out[1].counts, (Counts{3, 0}));
  EXPECT_EQ(out[1].offsets, (Counts{0, 3, 6}));
  EXPECT_EQ(encodingsOf(shape.rowType, out[1].rows),
            (Encodings{1, 3, 4, 0, 0, 0}));
  EXPECT_THROW(dispatch(shape, {inputOf(shape, {2, 2, 2}, {1, 2, 3}),
                                inputOf(shape, {2}, {4})}),
               std::invalid_argument);
}

TEST(Dispatch, RankWithoutExpertsHasNoRows) {
  Shape shape = f32Shape(1, 3, 2, 1);
  shape.alignRows = 16;
  auto out = dispatch(shape, {inputOf(shape, {}, {}), inputOf(shape, {}, {}),
                              inputOf(shape, {1, 0}, {7, 8})});
  EXPECT_EQ(out[2].counts, (Counts{0}));
  EXPECT_EQ(out[2].offsets, (Counts{0, 0}));
  EXPECT_TRUE(out[2].rows.empty());
  EXPECT_EQ(out[0].offsets, (Counts{0, 16}));
  EXPECT_EQ(encodingsOf(shape.rowType, out[0].rows)[0], 8u);
}

TEST(Dispatch, UnroutedAndRepeatedExperts) {
  Shape shape = f32Shape(1, 1, 2, 3);
  auto out = dispatch(shape, {inputOf(shape, {1, -1, 1, -1, -1, -1}, {5, 6})});
  EXPECT_EQ(out[0].counts, (Counts{0, 2}));
  EXPECT_EQ(encodingsOf(shape.rowType, out[0].rows), (Encodings{5, 5}));
  EXPECT_EQ(out[0].slots[0].row, 0);
  EXPECT_EQ(out[0].slots[1].rank, -1);
  EXPECT_EQ(out[0].slots[2].row, 1);
}

TEST(Dispatch, MovedRowsKeepTheirBits) {
  Shape shape = f32Shape(1, 1, 1, 1);
  setTypes(shape, ElementType::BF16);
  shape.hidden = 3;
  RankInput input;
  input.tokens = 1;
  input.ids = {0};
  input.weights = {1.0f};
  input.x =
      bytesOf(shape.tokenType, {0xFF81, 0x8000, 0x0001}); // signalling NaN, -0
  auto out = dispatch(shape, {input});
  EXPECT_EQ(encodingsOf(shape.rowType, out[0].rows),
            (Encodings{0xFF81, 0x8000, 0x0001}));
}

TEST(Dispatch, CastsOnTheWay) {
  Shape shape = f32Shape(1, 1, 1, 1);
  shape.rowType = ElementType::BF16;
  shape.alignRows = 4;
  // A tie to even, a denormal, an overflow and a NaN with a payload.
  auto out = dispatch(shape, {inputOf(shape, {0, 0, 0, 0, 0},
                                      {0x3F808000, 0x00010000, 0xFF7FFFFF,
                                       0xFFC00001, f32(-0.0f)})});
  EXPECT_EQ(encodingsOf(shape.rowType, out[0].rows),
            (Encodings{0x3F80, 0x0001, 0xFF80, 0x7FFF, 0x8000, 0, 0, 0}));
  EXPECT_EQ(out[0].offsets, (Counts{0, 8}));
  // Widening changes no value, but a NaN is a result of the conversion.
  std::swap(shape.tokenType, shape.rowType);
  out = dispatch(shape, {inputOf(shape, {0, 0}, {0x8001, 0x7F81})});
  EXPECT_EQ(encodingsOf(shape.rowType, out[0].rows),
            (Encodings{0x80010000, 0x7FFFFFFF, 0, 0}));
}

TEST(Dispatch, TrafficCountsEachRankAndEachOtherNodeOnce) {
  Shape shape = f32Shape(2, 2, 4, 4); // expert e on rank e; nodes {0,1}, {2,3}
  std::vector<RankInput> inputs(4);
  inputs[0] =
      inputOf(shape, {0, 1, 1, 2, 2, 3, 2, 3, -1, -1, -1, -1}, {1, 2, 3});
  inputs[3] = inputOf(shape, {0, 1, 2, 3}, {4});
  auto out = dispatch(shape, inputs);
  EXPECT_EQ(out[0].rowsUniqueRank, 3 + 2);
  EXPECT_EQ(out[0].rowsUniqueNode, 1 + 1);
  EXPECT_EQ(out[3].rowsUniqueRank, 4);
  EXPECT_EQ(out[3].rowsUniqueNode, 1);
  EXPECT_EQ(out[1].rowsUniqueRank, 0);
}

TEST(Dispatch, RefusesWhatDoesNotFit) {
  Shape shape = f32Shape(1, 1, 2, 1);
  EXPECT_THROW(dispatch(shape, {}), std::invalid_argument);
  EXPECT_THROW(dispatch(shape, {inputOf(shape, {2}, {0})}),
               std::invalid_argument);
  EXPECT_THROW(dispatch(shape, {inputOf(shape, {-2}, {0})}),
               std::invalid_argument);
  EXPECT_THROW(dispatch(shape, {inputOf(shape, {0, 0}, {0})}),
               std::invalid_argument);
}

TEST(Combine, WithinARankIsAFusedChainOverK) {
  Shape shape = f32Shape(1, 1, 1, 2);
  // (1 + u)^2 = 1 + 2u + u^2 with u = 2^-12: u^2 survives only in a fused
  // multiply-add whose addend cancels the rest.
  float v = 1.0f + 0x1p-12f;
  EXPECT_EQ(combineOne(shape, {0, 0}, {1.0f, v}, {-(1.0f + 0x1p-11f), v}),
            f32(0x1p-24f));
}

TEST(Combine, KAscends) {
  Shape shape = f32Shape(1, 1, 1, 3);
  EXPECT_EQ(combineOne(shape, {0, 0, 0}, {1, 1, 1}, {1e30f, -1e30f, 1.0f}),
            f32(1.0f));
  EXPECT_EQ(combineOne(shape, {0, 0, 0}, {1, 1, 1}, {1.0f, 1e30f, -1e30f}),
            f32(0.0f));
}

TEST(Combine, RanksAreSummedApartFromEachOther) {
  // k order is 1e30 (rank 0), 1 (rank 1), -1e30 (rank 0): rank 0 cancels first.
  Shape shape = f32Shape(1, 2, 2, 3);
  EXPECT_EQ(combineOne(shape, {0, 1, 0}, {1, 1, 1}, {1e30f, 1.0f, -1e30f}),
            f32(1.0f));
}

TEST(Combine, RanksAscendWhateverK) {
  Shape shape = f32Shape(1, 3, 3, 3);
  // ((1e30 of rank 0) + (-1e30 of rank 1)) + (1 of rank 2)
  EXPECT_EQ(combineOne(shape, {2, 0, 1}, {1, 1, 1}, {1.0f, 1e30f, -1e30f}),
            f32(1.0f));
}

TEST(Combine, NodesAreSummedApartFromEachOther) {
  // Nodes {0,1}, {2,3}: 1 + (1e30 - 1e30). One sum over all ranks would lose
  // the 1.
  Shape shape = f32Shape(2, 2, 4, 3);
  EXPECT_EQ(combineOne(shape, {0, 2, 3}, {1, 1, 1}, {1.0f, 1e30f, -1e30f}),
            f32(1.0f));
}

TEST(Combine, ZerosAndTokensWithoutAssignment) {
  Shape shape = f32Shape(2, 2, 4, 2);
  EXPECT_EQ(combineOne(shape, {-1, -1}, {1, 1}, {0, 0}), 0u);
  // +0 starts the chain: fma(1, -0, +0) is +0.
  EXPECT_EQ(combineOne(shape, {0, -1}, {1, 1}, {-0.0f, 0}), 0u);
  // An underflow of the final rounding keeps the sign.
  setTypes(shape, ElementType::BF16);
  EXPECT_EQ(combineOne(shape, {3, -1}, {-0x1p-100f, 1}, {0x1p-60f, 0}),
            0x8000u);
}

TEST(Combine, UnweightedIsWeightOne) {
  Shape shape = f32Shape(1, 2, 2, 2);
  shape.weighted = false;
  EXPECT_EQ(combineOne(shape, {1, 0}, {}, {0.25f, 0.5f}), f32(0.75f));
}

TEST(Combine, WeightsOfUnroutedAssignmentsDoNotMatter) {
  Shape shape = f32Shape(1, 1, 1, 2);
  EXPECT_EQ(combineOne(shape, {0, -1}, {2.0f, infinity}, {3.0f, 0}), f32(6.0f));
}

TEST(Combine, OneRoundingAtTheEnd) {
  Shape shape = f32Shape(1, 2, 2, 2);
  setTypes(shape, ElementType::BF16);
  // Each addend is half a unit of 1.0; rounded one by one they would vanish.
  EXPECT_EQ(combineOne(shape, {0, 1}, {1, 1}, {1.0f, 0x1p-8f}), 0x3F80u);
  EXPECT_EQ(combineOne(shape, {0, 1}, {1, 1}, {1.0f, 0x3p-8f}), 0x3F82u);
  Shape three = f32Shape(1, 1, 1, 3);
  setTypes(three, ElementType::BF16);
  EXPECT_EQ(combineOne(three, {0, 0, 0}, {1, 1, 1}, {1.0f, 0x1p-8f, 0x1p-8f}),
            0x3F81u);
}

TEST(Combine, TypesOfOutputsAndResultMayDiffer) {
  Shape shape = f32Shape(1, 2, 2, 2);
  shape.outputType = ElementType::F16;
  EXPECT_EQ(combineOne(shape, {0, 1}, {1, 1}, {1.0f, 0x1p-10f}),
            f32(1.0f + 0x1p-10f));
  shape.tokenType = ElementType::BF16;
  EXPECT_EQ(combineOne(shape, {0, 1}, {1, 1}, {1.0f, 0x1p-10f}), 0x3F80u);
}

TEST(Combine, ResultMayBeOfAnotherTypeThanTokens) {
  Shape shape = f32Shape(1, 2, 2, 2);
  shape.resultType = ElementType::F16;
  EXPECT_EQ(combineOne(shape, {0, 1}, {1, 1}, {1.0f, 0x1p-12f}), 0x3C00u);
}

TEST(Combine, RoundsSumsOfRanksAndOfNodes) {
  // Two nodes of two ranks, an expert on each. 2^-8 is half a unit of 1.
  Shape shape = f32Shape(2, 2, 4, 3);
  auto sum = [&](const std::vector<int64_t> &ids, float a, float b, float c) {
    return combineOne(shape, ids, {1, 1, 1}, {a, b, c});
  };
  const float small = 0x1p-8f;
  EXPECT_EQ(sum({0, 1, 2}, 1, small, small), f32(1 + 2 * small));
  shape.partialType = ElementType::BF16;
  // Of one rank, and of one node, each a tie to even.
  EXPECT_EQ(sum({0, 0, -1}, 1, small, 0), f32(1));
  EXPECT_EQ(sum({0, 1, -1}, 1, small, 0), f32(1));
  // The sum of nodes is not rounded.
  EXPECT_EQ(sum({0, 2, -1}, 1, small, 0), f32(1 + small));
  // Before it is added to another rank's, and to another node's.
  EXPECT_EQ(sum({0, 0, 1}, 1, small, small), f32(1));
  EXPECT_EQ(sum({0, 1, 2}, 1, small, small), f32(1 + small));
  // One rank alone rounds, too.
  Shape one = f32Shape(1, 1, 1, 2);
  one.partialType = ElementType::BF16;
  EXPECT_EQ(combineOne(one, {0, 0}, {1, 1}, {1, small}), f32(1));
}

TEST(Combine, AddsBiasAndThenResidual) {
  Shape shape = f32Shape(1, 1, 1, 1);
  shape.hasBias = shape.hasResidual = true;
  RankInput input = inputOf(shape, {0, -1}, {0, 0});
  input.bias = bytesOf(ElementType::F32, {f32(-1)});
  input.residual = bytesOf(ElementType::F32, {f32(0x1p-30f), f32(2)});
  const Bytes y = bytesOf(ElementType::F32, {f32(1)});
  const auto dispatched = dispatch(shape, {input});
  // In the other order the small one would vanish.
  EXPECT_EQ(encodingsOf(ElementType::F32,
                        combine(shape, {input}, dispatched, {y.data()})[0]),
            (Encodings{f32(0x1p-30f), f32(1)}));
  input.bias.clear();
  EXPECT_THROW(combine(shape, {input}, dispatched, {y.data()}),
               std::invalid_argument);
}

TEST(Dispatch, MovesQuantisedTokensAndTheirScales) {
  Shape shape = f32Shape(1, 2, 2, 1);
  shape.hidden = 2;
  shape.tokenType = shape.rowType = ElementType::F8E4M3FN;
  shape.summandType = ElementType::F32;
  shape.quantization =
      Quantization{ElementType::F8E4M3FN, 1, Quantization::ScaleType::F32};
  shape.isInputQuantized = true;
  shape.alignRows = 2;
  // Bits as they are, a NaN's too.
  RankInput input = inputOf(shape, {1, -1}, {0x7F, 0x81, 0x01, 0x02});
  input.xScales =
      bytesOf(ElementType::F32, {f32(3), 0xFFC00001u, f32(5), f32(6)});
  const RankInput none = inputOf(shape, {}, {});
  const auto dispatched = dispatch(shape, {input, none});
  EXPECT_TRUE(dispatched[0].rows.empty());
  EXPECT_EQ(dispatched[1].rows, (Bytes{0x7F, 0x81, 0, 0}));
  EXPECT_EQ(encodingsOf(ElementType::F32, dispatched[1].scales),
            (Encodings{f32(3), 0xFFC00001u, 0, 0}));
  input.xScales.pop_back();
  EXPECT_THROW(dispatch(shape, {input, none}), std::invalid_argument);
}

TEST(Combine, OverflowOnlyAtTheEnd) {
  Shape shape = f32Shape(1, 1, 1, 2);
  setTypes(shape, ElementType::F16);
  EXPECT_EQ(combineOne(shape, {0, 0}, {2.0f, -1.0f}, {60000.0f, 60000.0f}),
            narrow(ElementType::F16, 60000.0f));
  EXPECT_EQ(combineOne(shape, {0, 0}, {1.0f, 1.0f}, {60000.0f, 60000.0f}),
            0x7C00u);
}

TEST(Combine, DenormalsAreKept) {
  Shape shape = f32Shape(1, 2, 2, 2);
  EXPECT_EQ(combineOne(shape, {0, 1}, {1, 1}, {0x1p-149f, 0x1p-149f}), 2u);
  setTypes(shape, ElementType::BF16);
  EXPECT_EQ(combineOne(shape, {0, 1}, {0.5f, 0.5f}, {0x1p-132f, 0x1p-132f}),
            2u);
}

TEST(Combine, EveryNaNHasOneEncoding) {
  Shape shape = f32Shape(1, 2, 2, 2);
  EXPECT_EQ(combineOne(shape, {0, 1}, {1, 1}, {infinity, -infinity}),
            0x7FFFFFFFu);
  EXPECT_EQ(combineOne(shape, {0, 0}, {0.0f, 1}, {infinity, 0}), 0x7FFFFFFFu);
  setTypes(shape, ElementType::F16);
  EXPECT_EQ(combineOne(shape, {0, 1}, {std::nanf(""), 1}, {1, 1}), 0x7FFFu);
  setTypes(shape, ElementType::BF16);
  EXPECT_EQ(combineOne(shape, {0, 1}, {-std::nanf(""), 1}, {1, 1}), 0x7FFFu);
}

} // namespace
