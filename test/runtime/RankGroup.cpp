//===- RankGroup.cpp - Ranks that call the fake library -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Set-up that most tests share. It throws where it fails: GoogleTest reports
/// that as the test's failure.
//
//===----------------------------------------------------------------------===//

#include "RankGroup.h"

#include <cstring>
#include <stdexcept>
#include <thread>

using namespace fusco::test;

static void require(fusco_status status) {
  if (status != FUSCO_OK)
    throw std::runtime_error(fusco_last_error());
}

Tensor fusco::test::makeTensor(fusco_context *context, DLDataType dtype,
                               std::vector<std::int64_t> shape) {
  DLManagedTensor *tensor;
  require(
      fusco_tensor_create(context, dtype, shape.size(), shape.data(), &tensor));
  return Tensor(tensor);
}

Outcome fusco::test::makeOutcome(fusco_status status) {
  return {status, status == FUSCO_OK ? "" : fusco_last_error()};
}

std::int32_t *Rank::getIds() const {
  return static_cast<std::int32_t *>(dispatchTensors[Ids].data);
}

template <std::size_t numTensors>
static Outcome run(Rank &rank, Program program,
                   const std::array<DLTensor, numTensors> &tensors) {
  std::array<const DLTensor *, numTensors> pointers;
  for (std::size_t i = 0; i < numTensors; ++i)
    pointers[i] = &tensors[i];
  return makeOutcome(fusco_program_run(rank.library, program, rank.context,
                                       rank.plan, pointers.data(), nullptr));
}

Outcome Rank::dispatch() { return run(*this, Dispatch, dispatchTensors); }
Outcome Rank::combine() { return run(*this, Combine, combineTensors); }

bool Rank::hasOwnRows() const {
  const DLTensor &x = dispatchTensors[X];
  return std::memcmp(x.data, combineTensors[Y].data, x.shape[0] * hidden * 2) ==
         0;
}

static void makeRank(FakeLibrary &fake, fusco_domain *domain,
                     std::int32_t index, std::uint64_t timeoutUs, Rank &rank) {
  fusco_context_config config = FUSCO_CONTEXT_CONFIG_INIT;
  config.timeoutUs = timeoutUs;
  rank.library = &fake.library;
  require(fusco_context_create(&fake.library, domain, index, &config,
                               &rank.context));
  require(fusco_plan_create(rank.context, &rank.plan));

  const DLDataType bf16 = {kDLBfloat, 16, 1};
  const DLDataType i32 = {kDLInt, 32, 1};
  std::int64_t tokens = index + 1;
  auto make = [&](DLDataType dtype, std::vector<std::int64_t> shape) {
    rank.tensors.push_back(makeTensor(rank.context, dtype, std::move(shape)));
    return rank.tensors.back()->dl_tensor;
  };
  rank.dispatchTensors = {make(bf16, {tokens, hidden}),
                          make(i32, {tokens, topk}),
                          make(bf16, {maxTokens, hidden}), make(i32, {4})};
  rank.combineTensors = {rank.dispatchTensors[RowsOut],
                         make(bf16, {tokens, hidden})};
  std::memset(rank.dispatchTensors[X].data, index + 1, tokens * hidden * 2);
}

RankGroup::RankGroup(std::int32_t numRanks, std::uint64_t timeoutUs)
    : fake(numRanks), ranks(numRanks) {
  require(fusco_domain_create(&fake.library, &domain));
  for (std::int32_t rank = 0; rank < numRanks; ++rank)
    makeRank(fake, domain, rank, timeoutUs, ranks[rank]);
}

RankGroup::~RankGroup() {
  for (Rank &rank : ranks) {
    rank.tensors.clear();
    fusco_plan_destroy(rank.plan);
    fusco_context_destroy(rank.context);
  }
  fusco_domain_destroy(domain);
}

std::vector<Outcome>
RankGroup::run(const std::function<Outcome(Rank &)> &call) {
  std::vector<Outcome> outcomes(ranks.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < ranks.size(); ++i)
    threads.emplace_back([&, i] { outcomes[i] = call(ranks[i]); });
  for (std::thread &thread : threads)
    thread.join();
  return outcomes;
}
