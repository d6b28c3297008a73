//===- RankGroup.h - Ranks that call the fake library -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Contexts, plans and tensors of all ranks of a fake library, and threads that
/// call it from each.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TEST_RUNTIME_RANKGROUP_H
#define FUSCO_TEST_RUNTIME_RANKGROUP_H

#include "FakeLibrary.h"

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace fusco::test {

struct EndTensor {
  void operator()(DLManagedTensor *tensor) const { tensor->deleter(tensor); }
};
using Tensor = std::unique_ptr<DLManagedTensor, EndTensor>;

/// Makes a tensor of at most two dimensions; throws if that fails.
Tensor makeTensor(fusco_context *context, DLDataType dtype,
                  std::vector<std::int64_t> shape);

/// How a call ended.
struct Outcome {
  fusco_status status = FUSCO_OK;
  std::string error; ///< empty if status is FUSCO_OK
};
Outcome makeOutcome(fusco_status status);

/// One rank with arguments that are right; tests spoil them by hand.
struct Rank {
  const fusco_library *library = nullptr;
  fusco_context *context = nullptr;
  fusco_plan *plan = nullptr;
  std::vector<Tensor> tensors;
  std::array<DLTensor, 4> dispatchTensors{};
  std::array<DLTensor, 2> combineTensors{};

  std::int32_t *getIds() const;
  Outcome dispatch();
  Outcome combine();
  /// Whether combine brought back what dispatch sent.
  bool hasOwnRows() const;
};

/// All ranks of one domain. Rank r has r + 1 tokens, so that sizes differ.
class RankGroup {
public:
  explicit RankGroup(std::int32_t numRanks,
                     std::uint64_t timeoutUs = 30 * 1000 * 1000);
  RankGroup(const RankGroup &) = delete;
  RankGroup &operator=(const RankGroup &) = delete;
  ~RankGroup();

  /// Calls \p call once per rank, each on a thread of its own.
  std::vector<Outcome> run(const std::function<Outcome(Rank &)> &call);

  FakeLibrary fake;
  fusco_domain *domain = nullptr;
  std::vector<Rank> ranks;
};

} // namespace fusco::test

#endif // FUSCO_TEST_RUNTIME_RANKGROUP_H
