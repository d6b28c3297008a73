//===- MembershipTest.cpp - Domains whose ranks are processes -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Joining, shuffling by hand, and failing; each rank is a child process.
//
//===----------------------------------------------------------------------===//

#include "ChildProcess.h"
#include "FakeCuda.h"
#include "Holdings.h"
#include "RankGroup.h"

#include "runtime/bootstrap/rendezvous.h"
#include "runtime/network/ucp.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace fusco::test;
using Clock = std::chrono::steady_clock;

namespace {

/// Bytes from a heap's base to a row, and to counters of arrivals.
constexpr std::int64_t rowAt = 64, counterAt = 192;
constexpr std::int32_t channel = channelOf(FUSCO_PHASE_ROWS);

using Body = std::function<std::int32_t(const fusco_program_args &)>;

/// What the program of this process does when it runs next.
Body body;

std::int32_t runBody(const fusco_program_args *args) { return body(*args); }

/// Two nodes or one, and a program without tensors.
struct Model : FakeLibrary {
  explicit Model(std::int32_t ranksPerNode, std::int32_t numNodes = 1)
      : FakeLibrary(ranksPerNode) {
    info.numNodes = numNodes;
    info.symmetricBytes = info.networkBytes = 256;
    info.programs[Dispatch].numTensors = 0;
    library.programs[Dispatch] = runBody;
  }
  std::int32_t getNumRanks() const { return info.numNodes * info.ranksPerNode; }
};

/// This process as a rank.
struct Member {
  const fusco_library &library;
  fusco_domain *domain = nullptr;
  fusco_context *context = nullptr;
  fusco_plan *plan = nullptr;

  explicit Member(const Model &model) : library(model.library) {}
  Member(const Member &) = delete;
  ~Member() {
    fusco_plan_destroy(plan);
    fusco_context_destroy(context);
    fusco_domain_destroy(domain);
  }

  Outcome join(const char *transport = "ipc",
               std::uint64_t timeoutUs = 30 * 1000 * 1000) {
    fusco_domain_config config = FUSCO_DOMAIN_CONFIG_INIT;
    config.transport = transport;
    config.timeoutUs = timeoutUs;
    return makeOutcome(fusco_domain_join(&library, &config, &domain));
  }
  /// Joins, and makes a context and a plan.
  void begin(const char *transport = "ipc",
             std::uint64_t timeoutUs = 30 * 1000 * 1000) {
    fusco_context_config config = FUSCO_CONTEXT_CONFIG_INIT;
    config.timeoutUs = timeoutUs;
    if (join(transport).status != FUSCO_OK ||
        fusco_context_create(&library, domain, getRank(), &config, &context) !=
            FUSCO_OK ||
        fusco_plan_create(context, &plan) != FUSCO_OK)
      throw std::runtime_error(fusco_last_error());
  }
  std::int32_t getRank() const { return fusco_domain_rank(domain); }

  Outcome run(Body program) {
    body = std::move(program);
    return makeOutcome(
        fusco_program_run(&library, Dispatch, context, plan, nullptr, nullptr));
  }
  /// Waits for a count of \p peer that never comes.
  Outcome waitFor(std::int32_t peer) {
    return run([peer](const fusco_program_args &args) {
      auto *counter = reinterpret_cast<const std::uint64_t *>(
          args.peers[args.rank] + counterAt);
      return fusco_program_wait(&args, counter + peer, 1, peer, channel);
    });
  }
  /// Returns when all ranks have come here.
  void meet() {
    char mine = 0, all[maxRanks];
    EXPECT_EQ(fusco_domain_allgather(domain, &mine, all, 1), FUSCO_OK)
        << fusco_last_error();
  }
};

class MembershipTest : public testing::Test {
protected:
  MembershipTest() {
    std::unique_ptr<fusco::runtime::RendezvousServer> probe;
    EXPECT_EQ(fusco::runtime::RendezvousServer::open("127.0.0.1", 0, probe),
              FUSCO_OK);
    port = probe->getPort();
  }

  /// Starts a process for each of \p numRanks ranks.
  std::vector<ChildProcess>
  start(std::int32_t numRanks,
        const std::function<void(std::int32_t)> &rankMain) {
    std::vector<ChildProcess> ranks;
    for (std::int32_t rank = 0; rank < numRanks; ++rank)
      ranks.emplace_back([&, rank] {
        for (const char *name :
             {"FUSCO_RENDEZVOUS", "FUSCO_JOB_TOKEN", "TORCHELASTIC_RUN_ID",
              "FUSCO_HOSTID", "FUSCO_FAULTS", "FUSCO_LIBUCP"})
          unsetenv(name);
        setenv("RANK", std::to_string(rank).c_str(), 1);
        setenv("WORLD_SIZE", std::to_string(numRanks).c_str(), 1);
        setenv("MASTER_ADDR", "127.0.0.1", 1);
        setenv("FUSCO_PORT", std::to_string(port).c_str(), 1);
        setenv("UCX_TLS", "tcp", 1);
        rankMain(rank);
      });
    return ranks;
  }
  void run(std::int32_t numRanks,
           const std::function<void(std::int32_t)> &rankMain) {
    for (ChildProcess &rank : start(numRanks, rankMain))
      rank.join();
  }

  /// Has every rank put a row to every rank, and read those of all.
  void shuffle(const Model &model, const char *transport) {
    const std::int32_t numRanks = model.getNumRanks();
    run(numRanks, [&](std::int32_t rank) {
      Member self(model);
      self.begin(transport);
      EXPECT_EQ(self.getRank(), rank);
      EXPECT_EQ(fusco_context_num_ranks(self.context), numRanks);
      for (std::uint64_t round = 1; round <= 20; ++round) {
        Outcome outcome = self.run([&](const fusco_program_args &args) {
          for (std::int32_t peer = 0; peer < numRanks; ++peer) {
            bool isInNode = peer / model.info.ranksPerNode ==
                            rank / model.info.ranksPerNode;
            EXPECT_EQ(args.peers[peer] != nullptr, isInNode);
            const std::uint64_t row = round * 100 + rank;
            if (std::int32_t status =
                    fusco_program_put(&args, peer, rowAt + rank * 8, &row,
                                      sizeof(row), counterAt + rank * 8))
              return status;
          }
          const char *heap = args.peers[rank];
          for (std::int32_t peer = 0; peer < numRanks; ++peer) {
            if (std::int32_t status =
                    fusco_program_wait(&args,
                                       reinterpret_cast<const std::uint64_t *>(
                                           heap + counterAt + peer * 8),
                                       round, peer, channel))
              return status;
            std::uint64_t row;
            std::memcpy(&row, heap + rowAt + peer * 8, sizeof(row));
            EXPECT_EQ(row, round * 100 + peer);
          }
          return std::int32_t(FUSCO_OK);
        });
        EXPECT_EQ(outcome.status, FUSCO_OK) << outcome.error;
        self.meet(); // before the rows are written again
      }
      EXPECT_EQ(fusco_domain_status(self.domain), FUSCO_OK);
    });
  }

  void killRanks(const Model &model, const char *transport);

  /// Whether a child can use UCX.
  static bool hasUcx() {
    Shared<std::atomic<bool>> isUsable;
    ChildProcess([&] {
      const fusco::runtime::Ucp *ucp;
      *isUsable = fusco::runtime::Ucp::open(ucp) == FUSCO_OK;
    }).join();
    return *isUsable;
  }

  std::uint16_t port;
};

/// Memory that a host gathers through.
struct Board {
  static constexpr std::uint64_t mostBytes = 4096;
  std::atomic<int> numArrived;
  char all[maxRanks][mostBytes];
};
struct BoardUser {
  Board &board;
  std::int32_t rank, numRanks;

  static std::int32_t gather(const void *mine, void *all, std::uint64_t bytes,
                             void *user) {
    auto &[board, rank, numRanks] = *static_cast<BoardUser *>(user);
    if (bytes > Board::mostBytes)
      return 1;
    std::memcpy(board.all[rank], mine, bytes);
    ++board.numArrived;
    if (!becomesTrue([&, n = numRanks] { return board.numArrived == n; }))
      return 2;
    for (std::int32_t peer = 0; peer < numRanks; ++peer)
      std::memcpy(static_cast<char *>(all) + peer * bytes, board.all[peer],
                  bytes);
    return 0;
  }
};

} // namespace

//===--- Working ----------------------------------------------------------===//

TEST_F(MembershipTest, TwoRanksShuffle) { shuffle(Model(2), "ipc"); }
TEST_F(MembershipTest, FourRanksShuffle) { shuffle(Model(4), "ipc"); }
TEST_F(MembershipTest, OneRankShuffles) { shuffle(Model(1), "ipc"); }
TEST_F(MembershipTest, NodesOfOneHostShuffle) { shuffle(Model(2, 2), "ipc"); }

TEST_F(MembershipTest, NodesShuffleThroughUcx) {
  if (!hasUcx())
    GTEST_SKIP() << "UCX is not installed";
  shuffle(Model(2, 2), "ucx");
}

TEST_F(MembershipTest, GathersForTheHost) {
  const Model model(3);
  run(3, [&](std::int32_t rank) {
    Member self(model);
    ASSERT_EQ(self.join().status, FUSCO_OK) << fusco_last_error();
    std::vector<std::uint64_t> mine(1 << 17, rank + 1), all(3 << 17);
    ASSERT_EQ(
        fusco_domain_allgather(self.domain, mine.data(), all.data(), 1 << 20),
        FUSCO_OK)
        << fusco_last_error();
    for (std::size_t i = 0; i < all.size(); ++i)
      ASSERT_EQ(all[i], (i >> 17) + 1);
    EXPECT_EQ(fusco_domain_allgather(self.domain, mine.data(), all.data(),
                                     (1 << 20) + 1),
              FUSCO_INVALID_ARGUMENT);
    EXPECT_STREQ(fusco_last_error(),
                 "expected at most 1048576 bytes of a rank, got 1048577");
    EXPECT_EQ(fusco_domain_allgather(self.domain, nullptr, all.data(), 1),
              FUSCO_INVALID_ARGUMENT);
    self.meet();
  });
}

TEST_F(MembershipTest, JoinsThroughTheHostsAllGather) {
  const Model model(2);
  Shared<Board> board;
  run(2, [&](std::int32_t rank) {
    for (const char *name : {"RANK", "WORLD_SIZE", "MASTER_ADDR"})
      unsetenv(name);
    setenv("FUSCO_ADDRESS", "127.0.0.1", 1);
    BoardUser user{*board, 1 - rank, 2}; // as the host counts
    fusco_domain_config config = FUSCO_DOMAIN_CONFIG_INIT;
    config.allgather = BoardUser::gather;
    config.user = &user;
    config.rank = user.rank;
    config.numRanks = 2;
    Member self(model);
    ASSERT_EQ(fusco_domain_join(&model.library, &config, &self.domain),
              FUSCO_OK)
        << fusco_last_error();
    EXPECT_EQ(self.getRank(), 1 - rank);
    self.meet();
  });
}

TEST_F(MembershipTest, OthersReachTensors) {
  const Model model(2);
  run(2, [&](std::int32_t rank) {
    Member self(model);
    self.begin();
    Tensor tensor = makeTensor(self.context, {kDLInt, 64, 1}, {8});
    auto *data = static_cast<std::int64_t *>(tensor->dl_tensor.data);
    Outcome outcome = self.run([&](const fusco_program_args &args) {
      // Both have it at the same distance from their heap.
      const char *heap = args.peers[rank];
      const std::int64_t window = reinterpret_cast<char *>(data) - heap;
      const std::int64_t value = 5 + rank;
      if (std::int32_t status =
              fusco_program_put(&args, 1 - rank, window, &value, sizeof(value),
                                counterAt + rank * 8))
        return status;
      return fusco_program_wait(
          &args,
          reinterpret_cast<const std::uint64_t *>(heap + counterAt) +
              (1 - rank),
          1, 1 - rank, channel);
    });
    EXPECT_EQ(outcome.status, FUSCO_OK) << outcome.error;
    EXPECT_EQ(*data, 5 + (1 - rank));
    self.meet();
  });
}

TEST_F(MembershipTest, RefusesOtherMemoryWhereRanksNeedTensors) {
  Model model(1);
  fusco_program_info &program = model.info.programs[Dispatch];
  program.numTensors = 1;
  program.tensors[0].exposure = FUSCO_EXPOSURE_NODE;
  run(1, [&](std::int32_t) {
    Member self(model);
    self.begin();
    Tensor tensor = makeTensor(self.context, {kDLBfloat, 16, 1}, {2, hidden});
    auto call = [&](const DLTensor &argument) {
      body = [](const fusco_program_args &args) {
        return fusco_program_fail(&args, static_cast<std::int32_t>(args.status),
                                  0, 0, 0);
      };
      const DLTensor *arguments[] = {&argument};
      return makeOutcome(fusco_program_run(&model.library, Dispatch,
                                           self.context, self.plan, arguments,
                                           nullptr));
    };
    EXPECT_EQ(call(tensor->dl_tensor).status, FUSCO_OK) << fusco_last_error();
    DLTensor other = tensor->dl_tensor;
    alignas(64) char memory[2 * hidden * 2];
    other.data = memory;
    Outcome outcome = call(other);
    EXPECT_EQ(outcome.status, FUSCO_INVALID_ARGUMENT);
    EXPECT_EQ(outcome.error,
              "m_dispatch: tensor 'x': expected memory that the processes of "
              "other ranks see, got other memory; allocate it with "
              "fusco_tensor_create");
    // One of no rows may be anywhere.
    std::int64_t shape[] = {0, hidden};
    other.shape = shape;
    other.data = nullptr;
    EXPECT_EQ(call(other).status, FUSCO_OK) << fusco_last_error();
  });
}

TEST_F(MembershipTest, HasTheContextOfItsOwnRankOnly) {
  const Model model(2);
  run(2, [&](std::int32_t rank) {
    Member self(model);
    ASSERT_EQ(self.join().status, FUSCO_OK) << fusco_last_error();
    EXPECT_EQ(fusco_context_create(&model.library, self.domain, 1 - rank,
                                   nullptr, &self.context),
              FUSCO_INVALID_ARGUMENT);
    EXPECT_EQ(fusco_last_error(),
              "fusco_context_create: expected rank " + std::to_string(rank) +
                  ", the one that joined the domain in this process, got " +
                  std::to_string(1 - rank));
  });
}

//===--- Refused ----------------------------------------------------------===//

TEST_F(MembershipTest, RefusesAnotherNumberOfRanks) {
  const Model model(2, 2);
  run(3, [&](std::int32_t) {
    Member self(model);
    Outcome outcome = self.join();
    EXPECT_EQ(outcome.status, FUSCO_INVALID_ARGUMENT);
    EXPECT_EQ(
        outcome.error,
        "model 'm' was compiled for 4 ranks (2 nodes x 2), the job has 3; "
        "start as many processes as it has ranks");
    EXPECT_EQ(self.domain, nullptr);
  });
}

TEST_F(MembershipTest, RefusesANodeOnTwoHosts) {
  const Model model(2, 2);
  run(4, [&](std::int32_t rank) {
    setenv("FUSCO_HOSTID", rank == 3 ? "b" : "a", 1);
    Member self(model);
    Outcome outcome = self.join("ucx");
    EXPECT_EQ(outcome.status, FUSCO_INVALID_ARGUMENT);
    EXPECT_EQ(outcome.error,
              "ranks 2 and 3 are on hosts 'a' and 'b', but model 'm' was "
              "compiled for 2 ranks per node; start that many, of consecutive "
              "ranks, on each host");
  });
}

TEST_F(MembershipTest, RefusesTwoHostsWithoutANetwork) {
  const Model model(2, 2);
  run(4, [&](std::int32_t rank) {
    setenv("FUSCO_HOSTID", rank < 2 ? "a" : "b", 1);
    Member self(model);
    Outcome outcome = self.join();
    EXPECT_EQ(outcome.status, FUSCO_INVALID_ARGUMENT);
    EXPECT_EQ(outcome.error, "ranks 0 and 2 are on hosts 'a' and 'b', which "
                             "transport 'ipc' cannot join; use 'ucx'");
  });
}

TEST_F(MembershipTest, RefusesWhatRanksDoNotAgreeOn) {
  Model model(2);
  run(2, [&](std::int32_t rank) {
    model.info.symmetricBytes += rank;
    Member self(model);
    Outcome outcome = self.join("ipc", 1000 * 1000);
    const std::string model = "(model m, ABI " +
                              std::to_string(FUSCO_ABI_VERSION) +
                              ", 1 nodes of 2 ranks, cpu, heap ";
    const std::string expected =
        rank == 0 ? "rank 1 did not come within 1.0 s; connections turned away"
                  : "expected the library of rank 0 " + model +
                        "256, transport ipc), got another " + model + "257";
    EXPECT_NE(outcome.status, FUSCO_OK);
    EXPECT_NE(outcome.error.find(expected), std::string::npos) << outcome.error;
  });
}

TEST_F(MembershipTest, TellsAllRanksWhatOneCannotDo) {
  const Model model(1, 2);
  run(2, [&](std::int32_t rank) {
    if (rank == 1)
      setenv("FUSCO_LIBUCP", "/nonexistent", 1);
    else if (!hasUcx())
      _exit(0);
    Member self(model);
    Outcome outcome = self.join("ucx", 5 * 1000 * 1000);
    EXPECT_EQ(outcome.status,
              rank == 1 ? FUSCO_UNSUPPORTED : FUSCO_PEER_FAILED);
    EXPECT_EQ(outcome.error.find(std::string(rank == 1 ? "" : "rank 1: ") +
                                 "transport 'ucx' cannot use '/nonexistent': "),
              0u)
        << outcome.error;
  });
}

TEST_F(MembershipTest, RanksOfAHostTakeItsGpusInTurn) {
  const char *const hosts[] = {"a", "a", "a", "b"};
  const int gpus[] = {0, 1, 0, 0};
  Model model(4);
  const fusco_device_code code = {"ptx", "cubin", 6};
  std::strcpy(model.info.target, "sm_90");
  model.library.device = &code;
  run(4, [&](std::int32_t rank) {
    setenv("FUSCO_HOSTID", hosts[rank], 1);
    setenv("FUSCO_LIBCUDA", FUSCO_FAKE_CUDA, 1);
    void *object = dlopen(FUSCO_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
    auto &cuda = *static_cast<FakeCuda *>(dlsym(object, "fakeCuda"));
    cuda.numDevices = 2;
    cuda.major = 8; // too old: the error names the GPU
    Member self(model);
    Outcome outcome = self.join();
    EXPECT_EQ(outcome.status, FUSCO_UNSUPPORTED);
    const std::string named = "GPU " + std::to_string(gpus[rank]) + " has 8.0";
    EXPECT_NE(outcome.error.find(named), std::string::npos) << outcome.error;
  });
}

TEST_F(MembershipTest, RefusesBadCalls) {
  const Model model(1);
  fusco_domain *domain = nullptr;
  fusco_domain_config config = FUSCO_DOMAIN_CONFIG_INIT;
  EXPECT_EQ(fusco_domain_join(nullptr, &config, &domain),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_EQ(fusco_domain_join(&model.library, &config, nullptr),
            FUSCO_INVALID_ARGUMENT);
  config.version = FUSCO_ABI_VERSION - 1;
  EXPECT_EQ(fusco_domain_join(&model.library, &config, &domain),
            FUSCO_VERSION_MISMATCH);
  config.version = FUSCO_ABI_VERSION;
  for (const char *transport :
       {"mpi", "", static_cast<const char *>(nullptr)}) {
    config.transport = transport;
    EXPECT_EQ(fusco_domain_join(&model.library, &config, &domain),
              FUSCO_UNSUPPORTED);
    EXPECT_EQ(
        fusco_last_error(),
        "fusco_domain_join: expected transport 'ipc', 'ucx' or 'nccl', got '" +
            std::string(transport ? transport : "NULL") + "'");
  }
  EXPECT_EQ(domain, nullptr);

  char all[2], mine = 0;
  ASSERT_EQ(fusco_domain_create(&model.library, &domain), FUSCO_OK);
  EXPECT_EQ(fusco_domain_rank(domain), -1);
  EXPECT_EQ(fusco_domain_device(domain).device_type, kDLCPU);
  EXPECT_EQ(fusco_domain_allgather(domain, &mine, all, 1),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_STREQ(fusco_last_error(),
               "fusco_domain_allgather: expected a domain that this process "
               "has joined, got one that has all ranks here");
  fusco_domain_abort(domain, FUSCO_CAPACITY);
  EXPECT_EQ(fusco_domain_status(domain), FUSCO_OK);
  fusco_domain_destroy(domain);
}

//===--- Failing ----------------------------------------------------------===//

namespace {

/// What a rank says whose wait for \p peer ended because of \p cause.
std::string describeAbortedWait(std::int32_t rank, std::int32_t peer,
                                const std::string &cause) {
  return "rank " + std::to_string(rank) +
         ": gave up in phase 'rows', channel 'c_rows', of m_dispatch because " +
         cause + "; rank " + std::to_string(peer) + " is at 0, expected 1";
}

/// What is left of a domain after that.
void expectFailed(Member &self, const std::string &cause) {
  EXPECT_EQ(fusco_domain_status(self.domain), FUSCO_PEER_FAILED);
  EXPECT_EQ(fusco_last_error(), cause);
  EXPECT_EQ(self.waitFor(0).status, FUSCO_BAD_STATE);
  char all[maxRanks], mine = 0;
  EXPECT_EQ(fusco_domain_allgather(self.domain, &mine, all, 1),
            FUSCO_PEER_FAILED);
  EXPECT_EQ(fusco_last_error(), cause);
  fusco_context_destroy(self.context);
  self.context = nullptr;
  EXPECT_EQ(fusco_context_create(&self.library, self.domain, self.getRank(),
                                 nullptr, &self.context),
            FUSCO_BAD_STATE);
  EXPECT_EQ(fusco_last_error(),
            "fusco_context_create: the domain failed when " + cause +
                "; make a new one");
}

} // namespace

TEST_F(MembershipTest, AbortEndsTheWaitsOfOthers) {
  const Model model(3);
  run(3, [&](std::int32_t rank) {
    Member self(model);
    self.begin();
    self.meet();
    if (rank == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      fusco_domain_abort(self.domain, FUSCO_CAPACITY);
      EXPECT_EQ(fusco_domain_status(self.domain), FUSCO_PEER_FAILED);
      return;
    }
    const auto start = Clock::now();
    // Not that rank, but one that waits itself.
    Outcome outcome = self.waitFor(2 - rank);
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(5));
    EXPECT_EQ(outcome.status, FUSCO_PEER_FAILED);
    const std::string cause = "rank 1 failed with FUSCO_CAPACITY";
    EXPECT_EQ(outcome.error, describeAbortedWait(rank, 2 - rank, cause));
    expectFailed(self, cause);
  });
}

TEST_F(MembershipTest, AnExpiredWaitEndsThoseOfOthers) {
  const Model model(2);
  run(2, [&](std::int32_t rank) {
    Member self(model);
    self.begin("ipc", rank == 0 ? 200 * 1000 : 30 * 1000 * 1000);
    self.meet();
    Outcome outcome = self.waitFor(1 - rank);
    if (rank == 0) {
      EXPECT_EQ(outcome.status, FUSCO_TIMEOUT);
      EXPECT_EQ(outcome.error,
                "rank 0: timeout after 200 ms in phase 'rows', channel "
                "'c_rows', of m_dispatch: rank 1 is at 0, expected 1");
    } else {
      EXPECT_EQ(outcome.status, FUSCO_PEER_FAILED);
      EXPECT_EQ(outcome.error,
                describeAbortedWait(1, 0, "rank 0 failed with FUSCO_TIMEOUT"));
    }
  });
}

/// Kills one of the three ranks of \p model that the others wait for.
void MembershipTest::killRanks(const Model &model, const char *transport) {
  for (std::int32_t victim : {1, 0}) {
    Shared<std::atomic<int>> numWaiting;
    std::vector<ChildProcess> ranks = start(3, [&](std::int32_t rank) {
      Member self(model);
      self.begin(transport);
      self.meet();
      ++*numWaiting;
      if (rank == victim)
        pause();
      const auto start = Clock::now();
      Outcome outcome = self.waitFor(victim);
      EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
      EXPECT_EQ(outcome.status, FUSCO_PEER_FAILED);
      const std::string cause =
          "the process of rank " + std::to_string(victim) + " was lost";
      EXPECT_EQ(outcome.error, describeAbortedWait(rank, victim, cause));
      expectFailed(self, cause);
    });
    EXPECT_TRUE(becomesTrue([&] { return *numWaiting == 3; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ranks[victim].kill();
    for (std::int32_t rank = 0; rank < 3; ++rank)
      if (rank != victim)
        ranks[rank].join();
  }
}

TEST_F(MembershipTest, AKilledRankEndsTheWaitsOfOthers) {
  killRanks(Model(3), "ipc");
}

TEST_F(MembershipTest, AKilledRankEndsTheWaitsOfOtherNodes) {
  if (!hasUcx())
    GTEST_SKIP() << "UCX is not installed";
  killRanks(Model(1, 3), "ucx");
}

TEST_F(MembershipTest, AFaultyNetworkFailsTheCallThatUsesIt) {
  if (!hasUcx())
    GTEST_SKIP() << "UCX is not installed";
  const Model model(1, 2);
  run(2, [&](std::int32_t rank) {
    if (rank == 0)
      setenv("FUSCO_FAULTS", "short=1", 1);
    Member self(model);
    self.begin("ucx");
    self.meet();
    if (rank == 1) {
      Outcome outcome = self.waitFor(0);
      EXPECT_EQ(outcome.status, FUSCO_PEER_FAILED);
      // In its wait, or before it got there.
      EXPECT_NE(outcome.error.find("rank 0 failed with FUSCO_PEER_FAILED"),
                std::string::npos)
          << outcome.error;
      return;
    }
    // It returns as if all were well, and what it sent was not.
    Outcome outcome = self.run([](const fusco_program_args &args) {
      return fusco_program_put(&args, 1, rowAt, "a row", 6, counterAt);
    });
    EXPECT_EQ(outcome.status, FUSCO_PEER_FAILED);
    EXPECT_EQ(outcome.error, "rank 0: cannot send in m_dispatch: the network "
                             "wrote 5 of 6 bytes to rank 1");
  });
}

TEST_F(MembershipTest, JoinsAgainAfterAFailure) {
  const Model model(2);
  run(2, [&](std::int32_t rank) {
    for (int round = 0; round < 5; ++round) {
      Member self(model);
      self.begin();
      self.meet();
      if (round % 2 == rank) {
        fusco_domain_abort(self.domain, FUSCO_CAPACITY);
        continue;
      }
      Outcome outcome = self.waitFor(1 - rank);
      EXPECT_EQ(outcome.status, FUSCO_PEER_FAILED);
      EXPECT_NE(outcome.error.find("failed with FUSCO_CAPACITY"),
                std::string::npos)
          << outcome.error;
    }
    Member self(model);
    self.begin();
    self.meet();
    EXPECT_EQ(fusco_domain_status(self.domain), FUSCO_OK);
  });
}

TEST_F(MembershipTest, OfOneProcessMayFollowEachOther) {
  const Model model(2);
  run(2, [&](std::int32_t) {
    const Holdings before;
    for (int round = 0; round < 10; ++round) {
      Member self(model);
      self.begin();
      EXPECT_EQ(fusco_domain_status(self.domain), FUSCO_OK);
    }
    expectSame(before);
  });
}

TEST_F(MembershipTest, WaitsBeforeItEndsUntilNobodyNeedsIt) {
  const Model model(2);
  run(2, [&](std::int32_t rank) {
    const auto start = Clock::now();
    {
      Member self(model);
      self.begin();
      self.meet();
      if (rank == 1)
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
    EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(300));
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
  });
}
