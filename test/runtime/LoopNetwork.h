//===- LoopNetwork.h - A network within a process ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Ranks that are memory of the test, and a network between them.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TEST_RUNTIME_LOOPNETWORK_H
#define FUSCO_TEST_RUNTIME_LOOPNETWORK_H

#include "runtime/network/counted_puts.h"
#include "runtime/network/faults.h"

#include <cstring>
#include <deque>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <vector>

namespace fusco::test {

/// The memory of ranks 0 to 2, and what the network between them shall do.
struct Ranks {
  explicit Ranks(std::uint64_t bytes = 4096)
      : memory(3, std::vector<char>(bytes)) {}
  std::vector<std::vector<char>> memory;
  std::function<void(std::int32_t peer, std::uint64_t counter)> onAdd =
      [](std::int32_t, std::uint64_t) {};
  bool isBusy = false; ///< always something to do

  std::uint64_t getCount(std::int32_t rank, std::uint64_t counter) const {
    std::uint64_t count;
    std::memcpy(&count, memory[rank].data() + counter, sizeof(count));
    return count;
  }
};

/// Operations happen in progress(), in order or in any.
class LoopNetwork : public runtime::Network {
public:
  LoopNetwork(Ranks &ranks, bool keepsOrder)
      : ranks(ranks), keepsOrder(keepsOrder) {}

  void setListener(runtime::NetworkListener &heard) override {
    listener = &heard;
  }
  bool isOrdered(std::int32_t) const override { return keepsOrder; }
  void write(std::int32_t peer, std::uint64_t to, const void *from,
             std::uint64_t bytes, std::uint64_t id) override {
    if (bytes > ranks.memory[peer].size() - to) {
      runtime::fail(FUSCO_INVALID_ARGUMENT, "out of bounds");
      return listener->finished(id, FUSCO_INVALID_ARGUMENT, 0);
    }
    queue.push_back({bytes, id, [=] {
                       std::memcpy(ranks.memory[peer].data() + to, from, bytes);
                     }});
  }
  void add(std::int32_t peer, std::uint64_t counter,
           std::uint64_t id) override {
    queue.push_back({sizeof(std::uint64_t), id, [=] {
                       ranks.onAdd(peer, counter);
                       std::uint64_t count = ranks.getCount(peer, counter) + 1;
                       std::memcpy(ranks.memory[peer].data() + counter, &count,
                                   sizeof(count));
                     }});
  }
  bool progress() override {
    bool hasMoved = !queue.empty();
    for (std::size_t i = queue.size(); i > 0; --i) {
      auto next = queue.begin();
      if (!keepsOrder)
        next += static_cast<std::ptrdiff_t>(random() % queue.size());
      Operation operation = std::move(*next);
      queue.erase(next);
      operation.run();
      listener->finished(operation.id, FUSCO_OK, operation.bytes);
    }
    return hasMoved || ranks.isBusy;
  }
  bool arm() override { return queue.empty() && !ranks.isBusy; }
  int getEventFile() const override { return -1; }

private:
  struct Operation {
    std::uint64_t bytes, id;
    std::function<void()> run;
  };

  Ranks &ranks;
  const bool keepsOrder;
  runtime::NetworkListener *listener = nullptr;
  std::deque<Operation> queue;
  std::mt19937 random{1};
};

/// Puts over such a network, with \p faults.
inline std::unique_ptr<runtime::CountedPuts>
makePuts(Ranks &ranks, bool keepsOrder, const char *faults = "",
         std::uint64_t patienceUs = 30 * 1000 * 1000) {
  std::unique_ptr<runtime::Network> network =
      std::make_unique<LoopNetwork>(ranks, keepsOrder);
  std::unique_ptr<runtime::CountedPuts> puts;
  EXPECT_EQ(*faults ? runtime::makeFaulty(faults, network) : FUSCO_OK,
            FUSCO_OK);
  EXPECT_EQ(runtime::CountedPuts::create(std::move(network), patienceUs, puts),
            FUSCO_OK);
  return puts;
}

} // namespace fusco::test

#endif // FUSCO_TEST_RUNTIME_LOOPNETWORK_H
