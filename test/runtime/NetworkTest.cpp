//===- NetworkTest.cpp - Counted puts over networks, good and bad ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Over a network within this process, over the same with faults, and over UCX
/// between two processes.
//
//===----------------------------------------------------------------------===//

#include "ChildProcess.h"
#include "LoopNetwork.h"

#include "runtime/network/counted_puts.h"
#include "runtime/network/faults.h"
#include "runtime/network/ucx_network.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

using namespace fusco::runtime;
using namespace fusco::test;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t timeoutUs = 30 * 1000 * 1000;
constexpr std::uint64_t shortTimeoutUs = 200 * 1000;

//===--- Puts -------------------------------------------------------------===//

/// Many puts to one peer, the same whoever draws them, each with a counter and
/// a place of its own.
struct Traffic {
  static constexpr std::uint64_t mostBytes = 100000;
  struct Put {
    std::uint64_t to, from, bytes, counter;
  };

  explicit Traffic(std::size_t numPuts = 2000, unsigned seed = 1)
      : pattern(2 * mostBytes) {
    std::mt19937 random(seed);
    std::generate(pattern.begin(), pattern.end(),
                  [&] { return static_cast<char>(random() | 1); });
    std::uniform_int_distribution<std::uint64_t> draw(0, mostBytes);
    bytes = numPuts * sizeof(std::uint64_t);
    for (std::size_t i = 0; i < numPuts; ++i) {
      // Those of no bytes, which count only, would be too rare.
      std::uint64_t count = i % 50 == 0 ? 0 : draw(random);
      puts.push_back({bytes, draw(random), count, i * sizeof(std::uint64_t)});
      bytes += count;
    }
  }

  /// Whether what was put has all arrived at \p base.
  bool isThere(const Put &put, const char *base) const {
    return std::memcmp(base + put.to, &pattern[put.from], put.bytes) == 0;
  }
  static std::uint64_t getCount(const Put &put, const char *base) {
    return __atomic_load_n(
        reinterpret_cast<const std::uint64_t *>(base + put.counter),
        __ATOMIC_ACQUIRE);
  }

  std::vector<char> pattern; ///< what is put are pieces of this
  std::vector<Put> puts;
  std::uint64_t bytes; ///< that the peer needs
};

struct NetworkCase {
  const char *name, *faults;
  bool keepsOrder;
};
class CountedPutsTest : public testing::TestWithParam<NetworkCase> {};

} // namespace

TEST_P(CountedPutsTest, AllArriveAndCountOnce) {
  const Traffic traffic;
  Ranks ranks(traffic.bytes);
  // When the count says so, not only in the end.
  ranks.onAdd = [&](std::int32_t peer, std::uint64_t counter) {
    EXPECT_TRUE(traffic.isThere(traffic.puts[counter / sizeof(std::uint64_t)],
                                ranks.memory[peer].data()))
        << "rank " << peer << ", counter " << counter;
  };
  auto puts = makePuts(ranks, GetParam().keepsOrder, GetParam().faults);
  for (std::int32_t peer : {1, 2})
    for (const Traffic::Put &put : traffic.puts)
      ASSERT_EQ(puts->put(peer, put.to, &traffic.pattern[put.from], put.bytes,
                          put.counter, /*waitsForSource=*/put.counter % 16),
                FUSCO_OK)
          << fusco_last_error();
  EXPECT_EQ(puts->flushSources(timeoutUs), FUSCO_OK) << fusco_last_error();
  EXPECT_EQ(puts->flushAll(timeoutUs), FUSCO_OK) << fusco_last_error();
  EXPECT_EQ(puts->getFailedPeer(), -1);
  puts.reset();
  for (std::int32_t peer : {1, 2})
    for (const Traffic::Put &put : traffic.puts)
      EXPECT_EQ(ranks.getCount(peer, put.counter), 1u);
}

TEST_P(CountedPutsTest, SourcesAreFreeAfterTheyAreFlushed) {
  const Traffic traffic(200, 2);
  Ranks ranks(traffic.bytes);
  auto puts = makePuts(ranks, GetParam().keepsOrder, GetParam().faults);
  std::vector<char> source(Traffic::mostBytes);
  for (const Traffic::Put &put : traffic.puts) {
    std::copy_n(&traffic.pattern[put.from], put.bytes, source.begin());
    ASSERT_EQ(puts->put(1, put.to, source.data(), put.bytes, put.counter,
                        /*waitsForSource=*/true),
              FUSCO_OK);
    ASSERT_EQ(puts->flushSources(timeoutUs), FUSCO_OK) << fusco_last_error();
  }
  EXPECT_EQ(puts->flushAll(timeoutUs), FUSCO_OK) << fusco_last_error();
  puts.reset();
  for (const Traffic::Put &put : traffic.puts)
    EXPECT_TRUE(traffic.isThere(put, ranks.memory[1].data()));
}

TEST_P(CountedPutsTest, FromSeveralThreads) {
  Ranks ranks;
  auto puts = makePuts(ranks, GetParam().keepsOrder, GetParam().faults);
  const char row[16] = "row";
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 3; ++thread)
    threads.emplace_back([&, thread] {
      puts->enter();
      for (int i = 0; i < 500; ++i)
        EXPECT_EQ(puts->put(1, 64 + thread * sizeof(row), row, sizeof(row),
                            thread * 8, /*waitsForSource=*/true),
                  FUSCO_OK);
      EXPECT_EQ(puts->flushSources(timeoutUs), FUSCO_OK);
      puts->leave();
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(puts->flushAll(timeoutUs), FUSCO_OK);
  puts.reset();
  for (std::uint64_t thread = 0; thread < 3; ++thread)
    EXPECT_EQ(ranks.getCount(1, thread * 8), 500u);
}

INSTANTIATE_TEST_SUITE_P(
    Networks, CountedPutsTest,
    testing::Values(NetworkCase{"Ordered", "", true},
                    NetworkCase{"Unordered", "", false},
                    NetworkCase{"Delayed", "delay_ms=2", true},
                    NetworkCase{"Reordered", "reorder", true},
                    NetworkCase{"Duplicated", "duplicate", true},
                    NetworkCase{"All", "delay_ms=1,reorder,duplicate,seed=7",
                                false}),
    [](const testing::TestParamInfo<NetworkCase> &info) {
      return info.param.name;
    });

//===--- Failures ---------------------------------------------------------===//

TEST(CountedPuts, MoveWithoutCallers) {
  Ranks ranks;
  std::atomic<bool> hasCounted{false};
  ranks.onAdd = [&](std::int32_t, std::uint64_t) { hasCounted = true; };
  auto puts = makePuts(ranks, true);
  EXPECT_EQ(puts->put(1, 64, "row", 4, 0, false), FUSCO_OK);
  EXPECT_TRUE(becomesTrue([&] { return hasCounted.load(); }));
}

TEST(CountedPuts, NoticeAShortWrite) {
  Ranks ranks;
  auto puts = makePuts(ranks, true, "short=5");
  char row[100] = "row";
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(puts->put(2, 64, row, sizeof(row), 0, true), FUSCO_OK);
    ASSERT_EQ(puts->flushAll(timeoutUs), FUSCO_OK) << fusco_last_error();
  }
  // Writes are counted, not what counts only.
  ASSERT_EQ(puts->put(2, 0, nullptr, 0, 8, false), FUSCO_OK);
  ASSERT_EQ(puts->flushAll(timeoutUs), FUSCO_OK);
  ASSERT_EQ(puts->put(2, 64, row, sizeof(row), 0, true), FUSCO_OK);
  const std::string expected = "the network wrote 99 of 100 bytes to rank 2";
  EXPECT_EQ(puts->flushAll(timeoutUs), FUSCO_PEER_FAILED);
  EXPECT_EQ(fusco_last_error(), expected);
  EXPECT_EQ(puts->getFailedPeer(), 2);
  EXPECT_EQ(puts->getFailure(), expected);
  EXPECT_EQ(puts->put(1, 64, row, sizeof(row), 0, true), FUSCO_PEER_FAILED);
  EXPECT_EQ(fusco_last_error(), expected);
  puts.reset();
  EXPECT_EQ(ranks.getCount(2, 0), 4u);
}

TEST(CountedPuts, DoNotWaitForEverForASilentPeer) {
  for (bool isBusy : {false, true}) {
    Ranks ranks;
    ranks.isBusy = isBusy;
    auto puts = makePuts(ranks, true, "silent=1", shortTimeoutUs);
    ASSERT_EQ(puts->put(1, 64, "row", 4, 0, true), FUSCO_OK);
    ASSERT_EQ(puts->put(2, 64, "row", 4, 0, false), FUSCO_OK);
    const auto start = Clock::now();
    EXPECT_EQ(puts->flushSources(shortTimeoutUs), FUSCO_TIMEOUT);
    EXPECT_STREQ(fusco_last_error(),
                 "sending rows took longer than 0.2 s: 1 puts are under way");
    EXPECT_EQ(puts->flushAll(shortTimeoutUs), FUSCO_TIMEOUT);
    EXPECT_STREQ(fusco_last_error(), "sending the last rows took longer than "
                                     "0.2 s: 1 puts are under way");
    // And when there is no more room for puts, no put does.
    fusco_status status = FUSCO_OK;
    int numPuts = 0;
    while (status == FUSCO_OK && numPuts < 5000) {
      status = puts->put(1, 64, "row", 4, 0, false);
      ++numPuts;
    }
    EXPECT_EQ(status, FUSCO_TIMEOUT);
    EXPECT_NE(std::strstr(fusco_last_error(), "waiting for room to send"),
              nullptr)
        << fusco_last_error();
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
    puts.reset();
    EXPECT_EQ(ranks.getCount(1, 0), 0u);
    EXPECT_EQ(ranks.getCount(2, 0), 1u);
  }
}

TEST(CountedPuts, NameAPeerThatIsGone) {
  Ranks ranks;
  auto puts = makePuts(ranks, true, "gone=1,after=2");
  // The first two operations, a write and its count, are spared.
  ASSERT_EQ(puts->put(1, 64, "row", 4, 0, true), FUSCO_OK);
  ASSERT_EQ(puts->flushAll(timeoutUs), FUSCO_OK) << fusco_last_error();
  puts->put(1, 64, "row", 4, 0, true);
  EXPECT_EQ(puts->flushSources(timeoutUs), FUSCO_PEER_FAILED);
  EXPECT_EQ(puts->getFailedPeer(), 1);
  EXPECT_EQ(puts->put(2, 64, "row", 4, 0, true), FUSCO_PEER_FAILED);
  EXPECT_STREQ(fusco_last_error(), "rank 1 is made unreachable by a fault");
  puts.reset();
  EXPECT_EQ(ranks.getCount(1, 0), 1u);
}

TEST(CountedPuts, DoNotCountAWriteThatFailed) {
  for (bool keepsOrder : {false, true}) {
    Ranks ranks;
    auto puts = makePuts(ranks, keepsOrder);
    std::vector<char> row(8192);
    puts->put(1, 64, row.data(), row.size(), 0, true);
    puts->flushAll(timeoutUs);
    EXPECT_EQ(puts->getFailedPeer(), 1);
    EXPECT_STREQ(puts->getFailure(), "out of bounds");
    puts.reset();
    EXPECT_EQ(ranks.getCount(1, 0), 0u) << "ordered: " << keepsOrder;
  }
}

TEST(Faults, RefusesWhatItDoesNotKnow) {
  Ranks ranks;
  for (const char *text :
       {"delay_ms", "delay_ms=", "x=1", "silent=-1", "short=5x", "short=5 ",
        "reorder=1", "reorder,,duplicate", "seed=99999999999999999999"}) {
    std::unique_ptr<Network> network =
        std::make_unique<LoopNetwork>(ranks, true);
    EXPECT_EQ(makeFaulty(text, network), FUSCO_INVALID_ARGUMENT) << text;
    EXPECT_NE(std::strstr(fusco_last_error(), "expected FUSCO_FAULTS to name"),
              nullptr)
        << fusco_last_error();
  }
}

//===--- UCX --------------------------------------------------------------===//

namespace {

/// What the two ranks of a test share. They are processes, and nothing of UCX
/// happens in their parent, which forks.
struct Pair {
  static constexpr std::uint64_t mostDescriptionBytes = 1 << 16;
  static constexpr std::uint64_t mostMemoryBytes = 256 << 20;
  std::atomic<std::uint64_t> descriptionBytes[2];
  std::atomic<int> step[2]; ///< how far a rank is, as the test likes
  char descriptions[2][mostDescriptionBytes];
  alignas(4096) char memory[2][mostMemoryBytes]; ///< what they register

  /// Opens the network of \p rank and connects it to the other.
  std::unique_ptr<CountedPuts> join(std::int32_t rank, std::uint64_t bytes) {
    setenv("UCX_TLS", "tcp", 1);
    std::unique_ptr<UcxNetwork> network;
    std::unique_ptr<CountedPuts> puts;
    std::vector<char> own;
    if (UcxNetwork::create(memory[rank], bytes, 2, network) != FUSCO_OK ||
        network->describe(own) != FUSCO_OK || own.size() > mostDescriptionBytes)
      throw std::runtime_error(fusco_last_error());
    std::copy(own.begin(), own.end(), descriptions[rank]);
    descriptionBytes[rank] = own.size();
    const std::int32_t peer = 1 - rank;
    if (!becomesTrue([&] { return descriptionBytes[peer] > 0; }))
      throw std::runtime_error("the other rank did not come");
    if (network->connect(peer, descriptions[peer], descriptionBytes[peer]) !=
            FUSCO_OK ||
        network->finishConnecting(timeoutUs) != FUSCO_OK ||
        CountedPuts::create(std::move(network), timeoutUs, puts) != FUSCO_OK)
      throw std::runtime_error(fusco_last_error());
    return puts;
  }
  /// Goes to \p next, and waits until the other rank is there too.
  void meet(std::int32_t rank, int next) {
    step[rank] = next;
    EXPECT_TRUE(haveMet(next));
  }
  bool haveMet(int at) const {
    return becomesTrue([&] { return step[0] >= at && step[1] >= at; });
  }
};

class UcxTest : public testing::Test {
protected:
  void SetUp() override {
    // In a child, since UCX does not live through a fork.
    Shared<std::atomic<bool>> isUsable;
    ChildProcess([&] {
      const Ucp *ucp;
      *isUsable = Ucp::open(ucp) == FUSCO_OK;
    }).join();
    if (!*isUsable)
      GTEST_SKIP() << "UCX is not installed";
  }
  Shared<Pair> pair;
};

} // namespace

TEST_F(UcxTest, AllArriveAndCountOnce) {
  const Traffic traffic;
  ASSERT_LE(traffic.bytes, Pair::mostMemoryBytes);
  ChildProcess sender([&] {
    auto puts = pair->join(0, traffic.bytes);
    // A few pieces at a time, over and over in the same place.
    constexpr std::size_t numPieces = 16;
    std::vector<char> sources(numPieces * Traffic::mostBytes);
    puts->enter();
    for (std::size_t i = 0; i < traffic.puts.size(); ++i) {
      const Traffic::Put &put = traffic.puts[i];
      char *source = &sources[i % numPieces * Traffic::mostBytes];
      std::copy_n(&traffic.pattern[put.from], put.bytes, source);
      ASSERT_EQ(puts->put(1, put.to, source, put.bytes, put.counter, true),
                FUSCO_OK)
          << fusco_last_error();
      if (i % numPieces == numPieces - 1) {
        ASSERT_EQ(puts->flushSources(timeoutUs), FUSCO_OK)
            << fusco_last_error();
        std::fill(sources.begin(), sources.end(), 0);
      }
    }
    puts->leave();
    EXPECT_EQ(puts->flushAll(timeoutUs), FUSCO_OK) << fusco_last_error();
    pair->meet(0, 1);
  });
  ChildProcess receiver([&] {
    auto puts = pair->join(1, traffic.bytes);
    const char *memory = pair->memory[1];
    for (const Traffic::Put &put : traffic.puts) {
      ASSERT_TRUE(becomesTrue([&] {
        puts->progress();
        return traffic.getCount(put, memory) > 0;
      }));
      EXPECT_TRUE(traffic.isThere(put, memory)) << "counter " << put.counter;
    }
    pair->meet(1, 1);
    for (const Traffic::Put &put : traffic.puts)
      EXPECT_EQ(traffic.getCount(put, memory), 1u);
  });
  sender.join();
  receiver.join();
}

TEST_F(UcxTest, ArriveAtARankThatDoesNotCall) {
  ChildProcess sender([&] {
    auto puts = pair->join(0, 4096);
    for (int i = 0; i < 100; ++i)
      ASSERT_EQ(puts->put(1, 64, "row", 4, 0, true), FUSCO_OK);
    EXPECT_EQ(puts->flushAll(timeoutUs), FUSCO_OK) << fusco_last_error();
    pair->meet(0, 1);
  });
  ChildProcess receiver([&] {
    auto puts = pair->join(1, 4096);
    auto *count = reinterpret_cast<std::uint64_t *>(pair->memory[1]);
    EXPECT_TRUE(becomesTrue(
        [&] { return __atomic_load_n(count, __ATOMIC_ACQUIRE) == 100; }));
    EXPECT_STREQ(pair->memory[1] + 64, "row");
    pair->meet(1, 1);
  });
  sender.join();
  receiver.join();
}

TEST_F(UcxTest, NoticesAPeerThatDies) {
  ChildProcess victim([&] {
    auto puts = pair->join(1, 4096);
    pair->meet(1, 1);
    pause();
  });
  ChildProcess survivor([&] {
    auto puts = pair->join(0, 4096);
    EXPECT_EQ(puts->put(1, 64, "row", 4, 0, true), FUSCO_OK);
    EXPECT_EQ(puts->flushAll(timeoutUs), FUSCO_OK) << fusco_last_error();
    pair->meet(0, 1);
    EXPECT_TRUE(becomesTrue([&] { return pair->step[1] == 2; }));
    const auto start = Clock::now();
    fusco_status status = FUSCO_OK;
    EXPECT_TRUE(becomesTrue([&] {
      status = puts->put(1, 64, "row", 4, 0, true);
      if (status == FUSCO_OK)
        status = puts->flushAll(timeoutUs);
      return status != FUSCO_OK;
    }));
    EXPECT_EQ(status, FUSCO_PEER_FAILED);
    EXPECT_EQ(std::string(fusco_last_error())
                  .find("rank 1 cannot be reached through UCX: "),
              0u)
        << fusco_last_error();
    EXPECT_EQ(puts->getFailedPeer(), 1);
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(30));
  });
  EXPECT_TRUE(pair->haveMet(1));
  victim.kill();
  pair->step[1] = 2;
  survivor.join();
}

TEST_F(UcxTest, NoticesAPeerThatDiesWhileItSends) {
  ChildProcess victim([&] {
    auto puts = pair->join(1, 4096);
    pair->meet(1, 1);
    while (puts->put(0, 64, "row", 4, 0, true) == FUSCO_OK)
      ;
  });
  ChildProcess survivor([&] {
    auto puts = pair->join(0, 4096);
    pair->meet(0, 1);
    EXPECT_TRUE(becomesTrue([&] {
      puts->progress();
      return puts->getFailedPeer() == 1;
    }));
    EXPECT_NE(std::strstr(puts->getFailure(), "rank 1"), nullptr);
  });
  EXPECT_TRUE(pair->haveMet(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  victim.kill();
  survivor.join();
}

TEST_F(UcxTest, NoticesAPeerThatDiesWhileNothingIsSent) {
  ChildProcess victim([&] {
    auto puts = pair->join(1, 4096);
    EXPECT_EQ(puts->put(0, 64, "row", 4, 0, true), FUSCO_OK);
    EXPECT_EQ(puts->flushAll(timeoutUs), FUSCO_OK) << fusco_last_error();
    pair->meet(1, 1);
    pause();
  });
  ChildProcess survivor([&] {
    auto puts = pair->join(0, 4096);
    EXPECT_EQ(puts->put(1, 64, "row", 4, 0, true), FUSCO_OK);
    EXPECT_EQ(puts->flushAll(timeoutUs), FUSCO_OK) << fusco_last_error();
    auto *count = reinterpret_cast<std::uint64_t *>(pair->memory[0]);
    EXPECT_TRUE(becomesTrue(
        [&] { return __atomic_load_n(count, __ATOMIC_ACQUIRE) == 1; }));
    pair->meet(0, 1);
    EXPECT_TRUE(becomesTrue([&] {
      puts->progress();
      return puts->getFailedPeer() == 1;
    })) << "a rank that only waits does not notice";
    EXPECT_NE(std::strstr(puts->getFailure(), "rank 1"), nullptr);
  });
  EXPECT_TRUE(pair->haveMet(1));
  victim.kill();
  survivor.join();
}

TEST_F(UcxTest, ConnectsAndEndsAtOnce) {
  for (int round = 0; round < 20; ++round) {
    Shared<Pair> fresh;
    std::vector<ChildProcess> ranks;
    for (std::int32_t rank : {0, 1})
      ranks.emplace_back([&, rank] {
        auto puts = fresh->join(rank, 4096);
        fresh->meet(rank, 1);
      });
    for (ChildProcess &rank : ranks)
      rank.join();
  }
}

TEST_F(UcxTest, DoesNotWriteBeyondWhatIsRegistered) {
  for (auto [to, bytes] : {std::pair<std::uint64_t, std::uint64_t>(4090, 8),
                           {4097, 1},
                           {~std::uint64_t(0) - 3, 8}}) {
    Shared<Pair> fresh;
    ChildProcess sender([&, to = to, bytes = bytes] {
      auto puts = fresh->join(0, 4096);
      EXPECT_EQ(puts->put(1, 64, "row", 4, 0, true), FUSCO_OK);
      EXPECT_EQ(puts->flushAll(timeoutUs), FUSCO_OK) << fusco_last_error();
      puts->put(1, to, "0123456", bytes, 0, true);
      EXPECT_EQ(puts->flushAll(timeoutUs), FUSCO_INVALID_ARGUMENT);
      EXPECT_EQ(std::string(fusco_last_error()),
                "expected to write to the 4096 bytes that rank 1 has "
                "registered, got " +
                    std::to_string(bytes) + " bytes at " + std::to_string(to));
      EXPECT_EQ(puts->getFailedPeer(), 1);
      fresh->meet(0, 1);
    });
    ChildProcess receiver([&] {
      auto puts = fresh->join(1, 4096);
      fresh->meet(1, 1);
      const char *end = fresh->memory[1] + 4096;
      EXPECT_EQ(std::count(end - 64, end + 64, 0), 128);
    });
    sender.join();
    receiver.join();
  }
}

TEST_F(UcxTest, TrustsNoDescription) {
  ChildProcess([&] {
    setenv("UCX_TLS", "tcp", 1);
    std::unique_ptr<UcxNetwork> network;
    std::vector<char> good;
    ASSERT_EQ(UcxNetwork::create(pair->memory[0], 4096, 2, network), FUSCO_OK)
        << fusco_last_error();
    ASSERT_EQ(network->describe(good), FUSCO_OK) << fusco_last_error();
    auto expectRefusal = [&](const std::vector<char> &description) {
      EXPECT_EQ(network->connect(1, description.data(), description.size()),
                FUSCO_PEER_FAILED);
      EXPECT_NE(std::strstr(fusco_last_error(), "rank 1"), nullptr)
          << fusco_last_error();
    };
    for (std::size_t bytes : {std::size_t(0), std::size_t(7), std::size_t(31),
                              std::size_t(32), good.size() - 1})
      expectRefusal({good.begin(), good.begin() + bytes});
    std::vector<char> longer = good;
    longer.push_back(0);
    expectRefusal(longer);
    // Its sizes, which stand in the third and fourth word.
    for (std::size_t word : {2, 3})
      for (char value : {'\0', '\xff'}) {
        std::vector<char> garbled = good;
        std::fill_n(garbled.begin() + word * 8, 8, value);
        expectRefusal(garbled);
      }
  }).join();
}

TEST(Ucx, NamesTheFileThatItCannotOpen) {
  ChildProcess([] {
    setenv("FUSCO_LIBUCP", "/nonexistent", 1);
    char memory[64];
    std::unique_ptr<UcxNetwork> network;
    EXPECT_EQ(UcxNetwork::create(memory, sizeof(memory), 2, network),
              FUSCO_UNSUPPORTED);
    EXPECT_NE(std::strstr(fusco_last_error(),
                          "transport 'ucx' cannot use '/nonexistent': "),
              nullptr)
        << fusco_last_error();
  }).join();
}
