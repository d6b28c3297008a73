//===- TensorTest.cpp - Tensors for callers -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// fusco_tensor_create: what it allocates, and what it refuses.
//
//===----------------------------------------------------------------------===//

#include "RankGroup.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <limits>

using namespace fusco::test;

namespace {
class TensorTest : public testing::Test {
protected:
  Outcome tryTensor(DLDataType dtype, std::int32_t ndim,
                    const std::int64_t *shape) {
    DLManagedTensor *tensor = nullptr;
    Outcome outcome = makeOutcome(fusco_tensor_create(
        group.ranks[0].context, dtype, ndim, shape, &tensor));
    EXPECT_EQ(tensor != nullptr, outcome.status == FUSCO_OK);
    Tensor owner(tensor);
    return outcome;
  }

  RankGroup group{1};
  const DLDataType f32 = {kDLFloat, 32, 1};
};
} // namespace

TEST_F(TensorTest, IsZeroedAlignedAndCompact) {
  Tensor owner = makeTensor(group.ranks[0].context, f32, {3, 5});
  const DLTensor &tensor = owner->dl_tensor;
  EXPECT_EQ(tensor.device.device_type, kDLCPU);
  EXPECT_EQ(tensor.device.device_id, 0);
  EXPECT_EQ(tensor.dtype.code, kDLFloat);
  EXPECT_EQ(tensor.dtype.bits, 32);
  EXPECT_EQ(tensor.dtype.lanes, 1);
  ASSERT_EQ(tensor.ndim, 2);
  EXPECT_EQ(tensor.shape[0], 3);
  EXPECT_EQ(tensor.shape[1], 5);
  EXPECT_EQ(tensor.strides, nullptr);
  EXPECT_EQ(tensor.byte_offset, 0u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data) % FUSCO_ALIGNMENT,
            0u);
  auto *values = static_cast<float *>(tensor.data);
  EXPECT_TRUE(std::all_of(values, values + 15, [](float v) { return v == 0; }));
  std::fill_n(values, 15, 1.0f);
}

TEST_F(TensorTest, HasAShapeOfItsOwn) {
  std::int64_t shape[] = {7};
  DLManagedTensor *tensor = nullptr;
  ASSERT_EQ(fusco_tensor_create(group.ranks[0].context, f32, 1, shape, &tensor),
            FUSCO_OK);
  Tensor owner(tensor);
  shape[0] = 1;
  EXPECT_EQ(tensor->dl_tensor.shape[0], 7);
}

TEST_F(TensorTest, MayBeAScalarOrEmpty) {
  EXPECT_EQ(tryTensor(f32, 0, nullptr).status, FUSCO_OK);
  // No bytes, although the other extents would overflow.
  std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(makeTensor(group.ranks[0].context, f32, {largest, largest, 0})
                ->dl_tensor.data,
            nullptr);
}

TEST_F(TensorTest, LargeOnesCostOnlyWhatIsTouched) {
  // More than the machines that run this have.
  std::int64_t bytes = std::int64_t(1) << 40;
  Tensor owner =
      makeTensor(group.ranks[0].context, {kDLUInt, 8, 1}, {bytes / 64, 64});
  auto *data = static_cast<unsigned char *>(owner->dl_tensor.data);
  data[bytes - 1] = 3;
  EXPECT_EQ(data[bytes / 2], 0);
  EXPECT_EQ(data[bytes - 1], 3);
}

TEST_F(TensorTest, RefusesDtypesOfNoWholeBytes) {
  std::int64_t shape[] = {1};
  EXPECT_EQ(tryTensor({kDLInt, 4, 1}, 1, shape).error,
            "fusco_tensor_create: expected a dtype of whole bytes and 1 lane, "
            "got 4 bits and 1 lanes");
  EXPECT_EQ(tryTensor({kDLInt, 0, 1}, 1, shape).status, FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(tryTensor({kDLInt, 8, 2}, 1, shape).status, FUSCO_INVALID_ARGUMENT);
}

TEST_F(TensorTest, RefusesBadShapes) {
  std::int64_t negative[] = {4, -1};
  EXPECT_EQ(tryTensor(f32, 2, negative).error,
            "fusco_tensor_create: expected extents of 0 or more, got -1 for "
            "dimension 1");
  EXPECT_EQ(tryTensor(f32, -1, negative).status, FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(tryTensor(f32, 1, nullptr).status, FUSCO_INVALID_ARGUMENT);
  std::int64_t huge[] = {std::int64_t(1) << 31, std::int64_t(1) << 30};
  EXPECT_EQ(tryTensor(f32, 2, huge).error,
            "fusco_tensor_create: expected a shape of less than 2^63 bytes, "
            "got more");
  std::int64_t tooLarge[] = {std::int64_t(1) << 60};
  EXPECT_EQ(tryTensor({kDLInt, 8, 1}, 1, tooLarge).status, FUSCO_OUT_OF_MEMORY);
}

TEST_F(TensorTest, RefusesNull) {
  std::int64_t shape[] = {1};
  DLManagedTensor *tensor = nullptr;
  EXPECT_EQ(fusco_tensor_create(nullptr, f32, 1, shape, &tensor),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(fusco_tensor_create(group.ranks[0].context, f32, 1, shape, nullptr),
            FUSCO_INVALID_ARGUMENT);
}

TEST_F(TensorTest, KnowsTheParametersOfPrograms) {
  fusco_context *context = group.ranks[0].context;
  const fusco_tensor_spec &spec = group.fake.info.programs[0].tensors[0];
  DLManagedTensor *tensor = nullptr;
  ASSERT_EQ(fusco_tensor_create_for(context, "dispatch", spec.name, 3, &tensor),
            FUSCO_OK);
  Tensor owner(tensor);
  EXPECT_EQ(tensor->dl_tensor.dtype.code, spec.dtypeCode);
  EXPECT_EQ(tensor->dl_tensor.dtype.bits, spec.dtypeBits);
  ASSERT_EQ(tensor->dl_tensor.ndim, spec.ndim);
  EXPECT_EQ(tensor->dl_tensor.shape[0], 3);
  EXPECT_EQ(tensor->dl_tensor.shape[1], spec.shape[1]);
}

TEST_F(TensorTest, RefusesUnknownParameters) {
  fusco_context *context = group.ranks[0].context;
  DLManagedTensor *tensor = nullptr;
  EXPECT_EQ(fusco_tensor_create_for(context, "sort", "x", 3, &tensor),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_STREQ(fusco_last_error(),
               "fusco_tensor_create_for: m has no program 'sort'");
  EXPECT_EQ(fusco_tensor_create_for(context, "dispatch", "q", 3, &tensor),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_STREQ(fusco_last_error(),
               "fusco_tensor_create_for: m_dispatch has no tensor 'q'");
  EXPECT_EQ(fusco_tensor_create_for(context, "dispatch", nullptr, 3, &tensor),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(tensor, nullptr);
}
