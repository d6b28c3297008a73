//===- PutProxyTest.cpp - Puts that kernels ask for -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The host's end of a queue, with threads of the test in place of the blocks
/// of a kernel, over a network within this process.
//
//===----------------------------------------------------------------------===//

#include "ChildProcess.h"
#include "LoopNetwork.h"

#include "runtime/network/put_proxy.h"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

using namespace fusco::runtime;
using namespace fusco::test;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t patienceUs = 30 * 1000 * 1000;
constexpr std::uint64_t shortPatienceUs = 200 * 1000;

/// What a kernel has of a queue.
class Kernel {
public:
  explicit Kernel(fusco_put_queue &queue) : queue(queue) {}

  /// As fusco_put of codegen/cuda/DeviceLibrary.cpp. Returns false where there
  /// was no room for \p patienceUs.
  bool put(std::int64_t peer, std::int64_t to, std::int64_t from,
           std::int64_t bytes, std::int64_t counter,
           std::uint64_t patienceUs = ::patienceUs) {
    const std::uint64_t number = ++numPuts;
    const auto deadline = Clock::now() + std::chrono::microseconds(patienceUs);
    while (static_cast<std::int64_t>(
               __atomic_load_n(&queue.taken, __ATOMIC_ACQUIRE)) <
           static_cast<std::int64_t>(number) - FUSCO_PUT_QUEUE_DEPTH) {
      if (Clock::now() >= deadline)
        return false;
      std::this_thread::yield();
    }
    fusco_put_request &request =
        queue.requests[(number - 1) % FUSCO_PUT_QUEUE_DEPTH];
    request.peer = peer;
    request.to = to;
    request.from = from;
    request.bytes = bytes;
    request.counter = counter;
    __atomic_store_n(&request.number, number, __ATOMIC_RELEASE);
    return true;
  }

private:
  fusco_put_queue &queue;
  std::atomic<std::uint64_t> numPuts{0};
};

class PutProxyTest : public testing::Test {
protected:
  /// Over a network with \p faults.
  void start(const char *faults = "", std::uint64_t patienceUs = ::patienceUs) {
    puts = makePuts(ranks, /*keepsOrder=*/false, faults, patienceUs);
    auto onFailure = [this](std::int32_t peer, fusco_status status) {
      if (status == FUSCO_OK)
        lostPeer = peer;
      else
        failedPeer = peer;
    };
    ASSERT_EQ(PutProxy::start(*puts, queue, heap.data(), onFailure, proxy),
              FUSCO_OK);
  }
  /// Ends the proxy, and waits until all has arrived.
  void finish() {
    proxy.reset();
    EXPECT_EQ(puts->flushAll(patienceUs), FUSCO_OK) << fusco_last_error();
    puts.reset();
  }

  Ranks ranks{65536};
  std::vector<char> heap = std::vector<char>(65536);
  fusco_put_queue queue = {};
  Kernel kernel{queue};
  std::atomic<std::int32_t> lostPeer{-1}, failedPeer{-1};
  std::unique_ptr<CountedPuts> puts;
  std::unique_ptr<PutProxy> proxy;
};

} // namespace

TEST_F(PutProxyTest, AllArriveOnceAroundAndAroundTheQueue) {
  constexpr int numBlocks = 3, numPuts = 5 * FUSCO_PUT_QUEUE_DEPTH;
  constexpr std::int64_t bytesPerRow = 16, rowsAt = 32768;
  for (std::size_t i = 0; i < heap.size(); ++i)
    heap[i] = static_cast<char>(i * 7 / 5);
  // A row of each put, when its count says so.
  ranks.onAdd = [&](std::int32_t peer, std::uint64_t counter) {
    const std::uint64_t at = counter / 8 * bytesPerRow;
    EXPECT_EQ(
        std::memcmp(&ranks.memory[peer][rowsAt + at], &heap[at], bytesPerRow),
        0)
        << "rank " << peer << ", counter " << counter;
  };
  for (const char *faults : {"", "delay_ms=2,reorder,duplicate,seed=3"}) {
    for (std::vector<char> &memory : ranks.memory)
      std::fill(memory.begin(), memory.end(), 0);
    start(faults);
    std::vector<std::thread> blocks;
    for (int block = 0; block < numBlocks; ++block)
      blocks.emplace_back([&, block] {
        for (std::int64_t i = block; i < numPuts; i += numBlocks)
          EXPECT_TRUE(kernel.put(1 + i % 2, rowsAt + i * bytesPerRow,
                                 i * bytesPerRow, bytesPerRow, i * 8));
      });
    for (std::thread &block : blocks)
      block.join();
    finish();
    for (std::int64_t i = 0; i < numPuts; ++i)
      EXPECT_EQ(ranks.getCount(1 + i % 2, i * 8), 1u);
  }
  EXPECT_EQ(queue.taken, 2u * numPuts);
}

TEST_F(PutProxyTest, APutOfNothingCounts) {
  start();
  EXPECT_TRUE(kernel.put(2, 0, 0, 0, 24));
  finish();
  EXPECT_EQ(ranks.getCount(2, 24), 1u);
}

TEST_F(PutProxyTest, HoldsItsProducersWhereTheNetworkHoldsIt) {
  // Nothing ends before 100 ms: no more than the network has room for and the
  // queue behind it are asked for until then.
  start("delay_ms=100,seed=1", patienceUs);
  constexpr std::uint64_t numPuts = 4000;
  std::uint64_t mostAhead = 0;
  for (std::uint64_t i = 0; i < numPuts; ++i) {
    EXPECT_TRUE(kernel.put(1, 64, 64, 8, 0));
    mostAhead = std::max(
        mostAhead, i + 1 - __atomic_load_n(&queue.taken, __ATOMIC_ACQUIRE));
  }
  EXPECT_EQ(mostAhead, std::uint64_t(FUSCO_PUT_QUEUE_DEPTH));
  finish();
  EXPECT_EQ(ranks.getCount(1, 0), numPuts);
  EXPECT_EQ(queue.taken, numPuts);
}

TEST_F(PutProxyTest, AQueueThatNobodyTakesFromEndsAtTheDeadline) {
  for (int i = 0; i < FUSCO_PUT_QUEUE_DEPTH; ++i)
    EXPECT_TRUE(kernel.put(1, 64, 64, 8, 0, /*patienceUs=*/0));
  EXPECT_FALSE(kernel.put(1, 64, 64, 8, 0, shortPatienceUs));
  // What stands in it is made all the same, and what never came is not waited
  // for.
  start();
  finish();
  EXPECT_EQ(ranks.getCount(1, 0), std::uint64_t(FUSCO_PUT_QUEUE_DEPTH));
}

TEST_F(PutProxyTest, EndsWithAQueueThatIsNotEmpty) {
  for (int i = 0; i < FUSCO_PUT_QUEUE_DEPTH; ++i)
    EXPECT_TRUE(kernel.put(1, 64, 64, 8, 0));
  start();
  proxy.reset();
  EXPECT_EQ(queue.taken, std::uint64_t(FUSCO_PUT_QUEUE_DEPTH));
  EXPECT_EQ(puts->flushAll(patienceUs), FUSCO_OK);
  EXPECT_EQ(ranks.getCount(1, 0), std::uint64_t(FUSCO_PUT_QUEUE_DEPTH));
}

TEST_F(PutProxyTest, ASilentPeerKeepsNobodyForEver) {
  start("silent=1", shortPatienceUs);
  const auto begin = Clock::now();
  for (int i = 0; i < 2000; ++i)
    EXPECT_TRUE(kernel.put(1, 64, 64, 8, 0));
  EXPECT_TRUE(becomesTrue([&] { return failedPeer == 1; }));
  ASSERT_NE(proxy->getFailure(), nullptr);
  EXPECT_EQ(proxy->getFailure()->peer, 1);
  EXPECT_EQ(proxy->getFailure()->status, FUSCO_TIMEOUT);
  EXPECT_NE(
      std::string(proxy->getFailure()->text).find("waiting for room to send"),
      std::string::npos)
      << proxy->getFailure()->text;
  proxy.reset();
  EXPECT_EQ(queue.taken, 2000u);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
}

TEST_F(PutProxyTest, SaysThatAPeerIsGone) {
  start("gone=1,after=2");
  EXPECT_TRUE(kernel.put(1, 64, 64, 8, 0));
  EXPECT_TRUE(becomesTrue([&] { return queue.taken == 1; }));
  EXPECT_EQ(lostPeer, -1);
  // The network learns of it when it tries; the proxy notices without a put.
  EXPECT_TRUE(kernel.put(1, 64, 64, 8, 0));
  EXPECT_TRUE(becomesTrue([&] { return lostPeer == 1; }));
  EXPECT_EQ(proxy->getFailure(), nullptr);
  // Later puts fail with the cause, and are dropped.
  for (int i = 0; i < 3 * FUSCO_PUT_QUEUE_DEPTH; ++i)
    EXPECT_TRUE(kernel.put(2, 64, 64, 8, 0));
  EXPECT_TRUE(becomesTrue([&] { return failedPeer == 2; }));
  EXPECT_STREQ(proxy->getFailure()->text,
               "rank 1 is made unreachable by a fault");
  proxy.reset();
  EXPECT_EQ(ranks.getCount(1, 0), 1u);
  EXPECT_EQ(ranks.getCount(2, 0), 0u);
}
