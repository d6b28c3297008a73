//===- RendezvousTest.cpp - The line between the processes of a job -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Joining, exchanging, leaving, being lost; and strangers. Ranks are threads
/// here, but for those that are killed.
//
//===----------------------------------------------------------------------===//

#include "runtime/bootstrap/rendezvous.h"
#include "Holdings.h"

#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace fusco::runtime;
using namespace fusco::test;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t timeoutUs = 20 * 1000 * 1000;
constexpr std::uint64_t shortTimeoutUs = 400 * 1000;

struct Listener : RendezvousListener {
  std::atomic<int> gone{-1}, failed{-1}, status{-1};
  void rankGone(std::int32_t rank) override { gone = rank; }
  void rankFailed(std::int32_t rank, std::int32_t value) override {
    failed = rank;
    status = value;
  }
  /// Waits a while until \p value is \p expected.
  static bool becomes(std::atomic<int> &value, int expected) {
    for (int i = 0; i < 500 && value != expected; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return value == expected;
  }
};

/// A port that nobody listens at.
std::uint16_t findPort() {
  std::unique_ptr<RendezvousServer> probe;
  EXPECT_EQ(RendezvousServer::open("127.0.0.1", 0, probe), FUSCO_OK);
  return probe->getPort();
}

Job makeJob(std::int32_t rank, std::int32_t numRanks, std::uint16_t port) {
  Job job;
  job.rank = rank;
  job.numRanks = numRanks;
  job.host = "127.0.0.1";
  job.port = port;
  job.token = "secret";
  return job;
}

/// A rank's end of a rendezvous, and what it was told.
struct Rank {
  fusco_status status = FUSCO_OK;
  std::string error;
  Listener listener;
  std::unique_ptr<Rendezvous> rendezvous;

  void join(const Job &job, std::uint64_t us = timeoutUs,
            const std::string &identity = "same") {
    keep(Rendezvous::join(job, identity, nullptr, us, listener, rendezvous));
  }
  void keep(fusco_status result) {
    status = result;
    error = result == FUSCO_OK ? "" : fusco_last_error();
  }
  template <typename T>
  std::vector<T> gather(T mine, std::size_t numRanks,
                        std::uint64_t us = timeoutUs) {
    std::vector<T> all(numRanks);
    keep(rendezvous->allGather("a test", &mine, sizeof(mine), all.data(), us));
    return all;
  }
};

/// Runs \p body on a thread for each rank.
void runRanks(std::int32_t numRanks,
              const std::function<void(std::int32_t, Rank &)> &body) {
  std::vector<Rank> ranks(numRanks);
  std::vector<std::thread> threads;
  for (std::int32_t rank = 0; rank < numRanks; ++rank)
    threads.emplace_back([&, rank] { body(rank, ranks[rank]); });
  for (std::thread &thread : threads)
    thread.join();
}

/// A connection that is no rank's.
struct Stranger {
  int file;
  explicit Stranger(std::uint16_t port) {
    file = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    while (connect(file, reinterpret_cast<sockaddr *>(&address),
                   sizeof(address)) != 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ~Stranger() { close(file); }
  void say(const std::string &bytes) {
    EXPECT_EQ(send(file, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
};

TEST(Rendezvous, GathersInRankOrder) {
  const std::uint16_t port = findPort();
  constexpr std::int32_t numRanks = 5;
  runRanks(numRanks, [&](std::int32_t rank, Rank &self) {
    self.join(makeJob(rank, numRanks, port));
    ASSERT_EQ(self.status, FUSCO_OK) << self.error;
    for (int round = 0; round < 50; ++round) {
      auto all = self.gather(rank * 100 + round, numRanks);
      ASSERT_EQ(self.status, FUSCO_OK) << self.error;
      for (int other = 0; other < numRanks; ++other)
        EXPECT_EQ(all[other], other * 100 + round);
    }
    EXPECT_TRUE(self.rendezvous->leave(timeoutUs));
    self.rendezvous.reset();
    EXPECT_EQ(self.listener.gone, -1);
  });
}

TEST(Rendezvous, ManyInARowOnOnePortLeaveNothing) {
  const std::uint16_t port = findPort();
  const Holdings before;
  for (int round = 0; round < 30; ++round)
    runRanks(3, [&](std::int32_t rank, Rank &self) {
      self.join(makeJob(rank, 3, port));
      ASSERT_EQ(self.status, FUSCO_OK) << self.error;
      self.gather(rank, 3);
      EXPECT_EQ(self.status, FUSCO_OK) << self.error;
      EXPECT_TRUE(self.rendezvous->leave(timeoutUs));
    });
  expectSame(before);
}

TEST(Rendezvous, NamesWhoDoesNotJoin) {
  const std::uint16_t port = findPort();
  runRanks(4, [&](std::int32_t rank, Rank &self) {
    if (rank == 1 || rank == 3)
      return;
    self.join(makeJob(rank, 4, port), shortTimeoutUs);
    EXPECT_EQ(self.status, FUSCO_TIMEOUT);
    EXPECT_NE(self.error.find("ranks 1, 3 did not come within 0.4 s"),
              std::string::npos)
        << self.error;
  });
}

TEST(Rendezvous, SaysThatNobodyListens) {
  Rank self;
  self.join(makeJob(1, 2, findPort()), shortTimeoutUs);
  EXPECT_EQ(self.status, FUSCO_TIMEOUT);
  EXPECT_NE(self.error.find("expected rank 0 to listen at 127.0.0.1:"),
            std::string::npos)
      << self.error;
}

TEST(Rendezvous, TurnsAwayWhatIsNotOfTheJob) {
  const std::uint16_t port = findPort();
  std::atomic<bool> isOver{false};
  // A wrong token, another library, another size, a rank twice: each of them
  // fails alone, and the job comes together when the right ones are there.
  auto turnedAway = [&](Job job, const char *reason,
                        const char *identity = "same") {
    Rank self;
    self.join(job, timeoutUs, identity);
    EXPECT_NE(self.status, FUSCO_OK);
    EXPECT_NE(self.error.find(reason), std::string::npos) << self.error;
  };
  std::thread first([&] {
    Rank self;
    self.join(makeJob(0, 2, port));
    EXPECT_EQ(self.status, FUSCO_OK) << self.error;
    self.gather(0, 2);
    EXPECT_EQ(self.status, FUSCO_OK) << self.error;
    EXPECT_TRUE(self.rendezvous->leave(timeoutUs));
    isOver = true;
  });
  Job wrong = makeJob(1, 2, port);
  wrong.token = "guess!";
  turnedAway(wrong, "expected the job's token");
  wrong.token = "secret ";
  turnedAway(wrong, "expected the job's token");
  turnedAway(makeJob(1, 3, port), "expected 2 ranks, as on rank 0, got 3");
  turnedAway(makeJob(1, 2, port), "another (other)", "other");
  // On rank 0's own host a second rank 0 cannot even listen.
  Rank second;
  second.join(makeJob(0, 2, port));
  EXPECT_NE(second.error.find("cannot listen at"), std::string::npos)
      << second.error;

  Stranger silent(port), talker(port), liar(port), giant(port);
  talker.say("GET / HTTP/1.1\r\n\r\n");
  std::string header("FSCO", 4);
  const std::uint32_t gather = 4;
  header.append(reinterpret_cast<const char *>(&gather), 4);
  liar.say(header + std::string(16, '\0'));
  std::string hello("FSCO", 4);
  hello.append("\1\0\0\0\1\0\0\0\2\0\0\0", 12);
  giant.say(hello + std::string(8, '\xff'));

  Rank self;
  self.join(makeJob(1, 2, port));
  ASSERT_EQ(self.status, FUSCO_OK) << self.error;
  self.gather(1, 2);
  EXPECT_EQ(self.status, FUSCO_OK) << self.error;
  EXPECT_TRUE(self.rendezvous->leave(timeoutUs));
  first.join();
  EXPECT_TRUE(isOver);
}

TEST(Rendezvous, NamesWhoDoesNotGather) {
  const std::uint16_t port = findPort();
  runRanks(3, [&](std::int32_t rank, Rank &self) {
    self.join(makeJob(rank, 3, port));
    ASSERT_EQ(self.status, FUSCO_OK) << self.error;
    if (rank != 2) {
      self.gather(rank, 3, shortTimeoutUs);
      EXPECT_EQ(self.status, FUSCO_TIMEOUT);
      EXPECT_NE(self.error.find("rank 2 did not come to a test within 0.4 s"),
                std::string::npos)
          << self.error;
    }
    EXPECT_TRUE(self.rendezvous->leave(timeoutUs));
  });
}

TEST(Rendezvous, RefusesUnequalGathers) {
  const std::uint16_t port = findPort();
  runRanks(2, [&](std::int32_t rank, Rank &self) {
    self.join(makeJob(rank, 2, port));
    ASSERT_EQ(self.status, FUSCO_OK) << self.error;
    if (rank == 0)
      self.gather(std::int32_t(1), 2);
    else
      self.gather(std::int64_t(1), 2);
    EXPECT_NE(self.status, FUSCO_OK);
    EXPECT_NE(self.error.find("expected the same call on all ranks"),
              std::string::npos)
        << self.error;
    EXPECT_TRUE(self.rendezvous->leave(timeoutUs));
  });
}

TEST(Rendezvous, SpreadsFailures) {
  const std::uint16_t port = findPort();
  runRanks(3, [&](std::int32_t rank, Rank &self) {
    self.join(makeJob(rank, 3, port));
    ASSERT_EQ(self.status, FUSCO_OK) << self.error;
    if (rank == 1) {
      self.rendezvous->reportFailure(FUSCO_CAPACITY);
    } else {
      self.gather(rank, 3);
      EXPECT_EQ(self.status, FUSCO_PEER_FAILED);
      EXPECT_NE(self.error.find("because rank 1 failed with FUSCO_CAPACITY"),
                std::string::npos)
          << self.error;
      EXPECT_TRUE(Listener::becomes(self.listener.failed, 1));
      EXPECT_EQ(self.listener.status, FUSCO_CAPACITY);
    }
    self.rendezvous->leave(timeoutUs);
  });
}

/// Kills the process of rank \p victim of three, which it joins from a child.
void killRank(std::int32_t victim) {
  const std::uint16_t port = findPort();
  pid_t child = fork();
  if (child == 0) {
    Listener listener;
    std::unique_ptr<Rendezvous> rendezvous;
    int mine = 0, all[3];
    if (Rendezvous::join(makeJob(victim, 3, port), "same", nullptr, timeoutUs,
                         listener, rendezvous) == FUSCO_OK &&
        rendezvous->allGather("a test", &mine, sizeof(mine), all, timeoutUs) ==
            FUSCO_OK)
      pause();
    _exit(1);
  }
  std::atomic<int> numReady{0};
  runRanks(3, [&](std::int32_t rank, Rank &self) {
    if (rank == victim)
      return;
    self.join(makeJob(rank, 3, port));
    ASSERT_EQ(self.status, FUSCO_OK) << self.error;
    self.gather(rank, 3);
    ASSERT_EQ(self.status, FUSCO_OK) << self.error;
    ++numReady;
    if (rank == (victim + 1) % 3) {
      EXPECT_TRUE(Listener::becomes(numReady, 2));
      kill(child, SIGKILL);
    }
    const auto start = Clock::now();
    self.gather(rank, 3);
    EXPECT_EQ(self.status, FUSCO_PEER_FAILED);
    EXPECT_NE(self.error.find("the process of rank " + std::to_string(victim) +
                              " was lost"),
              std::string::npos)
        << self.error;
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(5));
    EXPECT_TRUE(Listener::becomes(self.listener.gone, victim));
    EXPECT_TRUE(self.rendezvous->leave(timeoutUs));
  });
  waitpid(child, nullptr, 0);
}

TEST(Rendezvous, NoticesARankThatDies) { killRank(1); }
TEST(Rendezvous, NoticesRankZeroDying) { killRank(0); }

TEST(Rendezvous, WaitsForTheLastToLeave) {
  const std::uint16_t port = findPort();
  std::atomic<bool> isLate{false};
  runRanks(2, [&](std::int32_t rank, Rank &self) {
    self.join(makeJob(rank, 2, port));
    ASSERT_EQ(self.status, FUSCO_OK) << self.error;
    if (rank == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      isLate = true;
    }
    EXPECT_TRUE(self.rendezvous->leave(timeoutUs));
    EXPECT_TRUE(isLate);
    EXPECT_EQ(self.listener.gone, -1);
  });
}

} // namespace
