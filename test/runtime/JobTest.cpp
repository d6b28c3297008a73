//===- JobTest.cpp - Where a process stands in its job --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The environments of launchers, whole and with something wrong, and a host's
/// own all-gather.
//
//===----------------------------------------------------------------------===//

#include "runtime/bootstrap/job.h"
#include "runtime/bootstrap/rendezvous.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace fusco::runtime;

namespace {

/// Sets the variables that say something of a job, and no other of them, while
/// it lives.
class Environment {
public:
  explicit Environment(const std::map<std::string, std::string> &variables) {
    for (const char *name :
         {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PMIX_RANK",
          "SLURM_PROCID", "SLURM_NTASKS", "SLURM_JOB_ID", "SLURM_STEP_ID",
          "TORCHELASTIC_RUN_ID", "FUSCO_PORT", "FUSCO_RENDEZVOUS",
          "FUSCO_JOB_TOKEN", "FUSCO_ADDRESS"}) {
      if (const char *value = std::getenv(name))
        before[name] = value;
      else
        absent.push_back(name);
      unsetenv(name);
    }
    for (const auto &[name, value] : variables)
      setenv(name.c_str(), value.c_str(), 1);
  }
  Environment(const Environment &) = delete;
  ~Environment() {
    for (const std::string &name : absent)
      unsetenv(name.c_str());
    for (const auto &[name, value] : before)
      setenv(name.c_str(), value.c_str(), 1);
  }

private:
  std::map<std::string, std::string> before;
  std::vector<std::string> absent;
};

/// torchrun's, or parts of it changed; "" takes a variable away.
std::map<std::string, std::string>
torchrun(const std::map<std::string, std::string> &changes = {}) {
  std::map<std::string, std::string> variables = {{"RANK", "3"},
                                                  {"WORLD_SIZE", "8"},
                                                  {"MASTER_ADDR", "node-0"},
                                                  {"MASTER_PORT", "29500"}};
  for (const auto &[name, value] : changes)
    variables[name] = value;
  return variables;
}

std::map<std::string, std::string>
slurm(const std::map<std::string, std::string> &changes = {}) {
  std::map<std::string, std::string> variables = {
      {"SLURM_PROCID", "5"},     {"SLURM_NTASKS", "6"},
      {"SLURM_JOB_ID", "77"},    {"SLURM_STEP_ID", "2"},
      {"MASTER_ADDR", "node-0"}, {"FUSCO_PORT", "4000"}};
  for (const auto &[name, value] : changes)
    variables[name] = value;
  return variables;
}

Job find(const std::map<std::string, std::string> &variables) {
  Environment environment(variables);
  Job job;
  std::unique_ptr<RendezvousServer> server;
  EXPECT_EQ(findJob(job, server), FUSCO_OK) << fusco_last_error();
  EXPECT_EQ(server, nullptr);
  return job;
}

std::string refuse(const std::map<std::string, std::string> &variables) {
  Environment environment(variables);
  Job job;
  std::unique_ptr<RendezvousServer> server;
  EXPECT_EQ(findJob(job, server), FUSCO_INVALID_ARGUMENT);
  return fusco_last_error();
}

std::string describeMissing(const std::string &name) {
  return "expected the variable " + name +
         ", which is not set; start the job with torchrun, mpirun or srun, or "
         "set it on each rank";
}

} // namespace

//===--- Environment ------------------------------------------------------===//

TEST(Job, OfTorchrun) {
  Job job = find(torchrun());
  EXPECT_EQ(job.rank, 3);
  EXPECT_EQ(job.numRanks, 8);
  EXPECT_EQ(job.host, "node-0");
  EXPECT_EQ(job.port, 29501); // torchrun itself is at MASTER_PORT
  EXPECT_EQ(job.token, "fusco node-0:29501 8");
  EXPECT_EQ(find(torchrun({{"TORCHELASTIC_RUN_ID", "run 9"}})).token, "run 9");
  EXPECT_EQ(find(torchrun({{"TORCHELASTIC_RUN_ID", "run 9"},
                           {"FUSCO_JOB_TOKEN", "own"}}))
                .token,
            "own");
}

TEST(Job, OfSlurm) {
  Job job = find(slurm());
  EXPECT_EQ(job.rank, 5);
  EXPECT_EQ(job.numRanks, 6);
  EXPECT_EQ(job.host, "node-0");
  EXPECT_EQ(job.port, 4000);
  EXPECT_EQ(job.token, "slurm 77.2");
  EXPECT_EQ(find(slurm({{"SLURM_STEP_ID", ""}})).token, "fusco node-0:4000 6");
}

TEST(Job, OfTorchrunWithinSlurm) {
  auto variables = slurm();
  for (const auto &[name, value] : torchrun())
    variables[name] = value;
  EXPECT_EQ(find(variables).rank, 3);
}

TEST(Job, MeetsWhereTheUserSays) {
  // Ahead of everything that the launcher says.
  Job job = find(torchrun({{"FUSCO_PORT", "4000"}}));
  EXPECT_EQ(job.host, "node-0");
  EXPECT_EQ(job.port, 4000);
  job = find(torchrun(
      {{"FUSCO_PORT", "4000"}, {"FUSCO_RENDEZVOUS", "10.0.0.7:5000"}}));
  EXPECT_EQ(job.host, "10.0.0.7");
  EXPECT_EQ(job.port, 5000);
  job = find(torchrun({{"MASTER_ADDR", ""},
                       {"MASTER_PORT", ""},
                       {"FUSCO_RENDEZVOUS", "fe80::1:65535"}}));
  EXPECT_EQ(job.host, "fe80::1");
  EXPECT_EQ(job.port, 65535);
}

TEST(Job, RefusesABadRendezvous) {
  for (const char *text : {"host", "host:", ":5000", "host:0", "host:65536",
                           "host:5000x", "host:-1", "host: 5", "host:+5"})
    EXPECT_EQ(refuse(torchrun({{"FUSCO_RENDEZVOUS", text}})),
              "expected FUSCO_RENDEZVOUS to be host:port, got '" +
                  std::string(text) + "'");
}

TEST(Job, NamesWhatIsMissing) {
  EXPECT_EQ(refuse({}),
            "expected the environment of torchrun (RANK, WORLD_SIZE, "
            "MASTER_ADDR, MASTER_PORT), of mpirun or of srun, found none");
  EXPECT_EQ(refuse(torchrun({{"RANK", ""}})), describeMissing("RANK"));
  EXPECT_EQ(refuse(torchrun({{"WORLD_SIZE", ""}})),
            describeMissing("WORLD_SIZE"));
  EXPECT_EQ(refuse(torchrun({{"MASTER_PORT", ""}})),
            describeMissing("MASTER_PORT"));
  EXPECT_EQ(refuse(torchrun({{"MASTER_ADDR", ""}})),
            "expected the variable MASTER_ADDR, which is not set; set it to an "
            "address of rank 0's machine, and MASTER_PORT");
  EXPECT_EQ(refuse(slurm({{"SLURM_NTASKS", ""}})),
            describeMissing("SLURM_NTASKS"));
}

TEST(Job, RefusesBadNumbers) {
  auto describe = [](const std::string &name, const std::string &range,
                     const std::string &text) {
    return "expected " + name + " to be a number from " + range + ", got '" +
           text + "'";
  };
  for (const char *text :
       {"8", "-1", "two", "1 ", "0x1", "1.5", "99999999999999999999"})
    EXPECT_EQ(refuse(torchrun({{"RANK", text}})),
              describe("RANK", "0 to 7", text));
  for (const char *text : {"0", "-8", "8 ranks", "1048577"})
    EXPECT_EQ(refuse(torchrun({{"WORLD_SIZE", text}})),
              describe("WORLD_SIZE", "1 to 1048576", text));
  for (const char *text : {"0", "65535", "http"})
    EXPECT_EQ(refuse(torchrun({{"MASTER_PORT", text}})),
              describe("MASTER_PORT", "1 to 65534", text));
  for (const char *text : {"0", "65536", "-4000"})
    EXPECT_EQ(refuse(torchrun({{"FUSCO_PORT", text}})),
              describe("FUSCO_PORT", "1 to 65535", text));
  EXPECT_EQ(refuse(slurm({{"SLURM_PROCID", "6"}})),
            describe("SLURM_PROCID", "0 to 5", "6"));
}

//===--- A host's all-gather ----------------------------------------------===//

namespace {

constexpr std::int32_t numRanks = 4;

/// Among threads, once.
struct Exchange {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<char> all;
  int numArrived = 0;
};

/// One rank's end of it.
struct Caller {
  Exchange &exchange;
  std::int32_t rank;
  std::int32_t result = 0;

  static std::int32_t gather(const void *mine, void *all, std::uint64_t bytes,
                             void *user) {
    auto &self = *static_cast<Caller *>(user);
    Exchange &exchange = self.exchange;
    std::unique_lock<std::mutex> lock(exchange.mutex);
    exchange.all.resize(numRanks * bytes);
    std::memcpy(&exchange.all[self.rank * bytes], mine, bytes);
    ++exchange.numArrived;
    exchange.changed.notify_all();
    if (!exchange.changed.wait_for(lock, std::chrono::seconds(20), [&] {
          return exchange.numArrived == numRanks;
        }))
      return -1;
    std::memcpy(all, exchange.all.data(), exchange.all.size());
    return self.result;
  }
};

/// What each rank found.
struct Found {
  fusco_status status;
  std::string error;
  Job job;
  std::unique_ptr<RendezvousServer> server;
};

/// Finds the job on all ranks; the call of rank \p failing fails, if there is
/// such a rank.
std::vector<Found> findAll(std::int32_t failing = -1) {
  Exchange exchange;
  std::vector<Found> found(numRanks);
  std::vector<std::thread> threads;
  for (std::int32_t rank = 0; rank < numRanks; ++rank)
    threads.emplace_back([&, rank] {
      Caller caller{exchange, rank, rank == failing ? 7 : 0};
      Found &own = found[rank];
      own.status =
          findJob(Caller::gather, &caller, rank, numRanks, own.job, own.server);
      own.error = fusco_last_error();
    });
  for (std::thread &thread : threads)
    thread.join();
  return found;
}

} // namespace

TEST(Job, ThroughTheHostsAllGather) {
  // Whatever the environment says of another job.
  Environment environment(torchrun({{"FUSCO_ADDRESS", "127.0.0.1"}}));
  std::vector<Found> found = findAll();
  for (std::int32_t rank = 0; rank < numRanks; ++rank) {
    const Found &own = found[rank];
    EXPECT_EQ(own.status, FUSCO_OK) << own.error;
    EXPECT_EQ(own.job.rank, rank);
    EXPECT_EQ(own.job.numRanks, numRanks);
    EXPECT_EQ(own.job.host, "127.0.0.1");
    EXPECT_EQ(own.job.port, found[0].server->getPort());
    EXPECT_EQ(own.job.token, found[0].job.token);
    EXPECT_EQ(own.server != nullptr, rank == 0);
  }
  EXPECT_EQ(found[0].job.token.size(), 32u);
  EXPECT_NE(found[0].job.token, findAll()[0].job.token);
}

TEST(Job, FailsWithTheHostsAllGather) {
  Environment environment(torchrun({{"FUSCO_ADDRESS", "127.0.0.1"}}));
  std::vector<Found> found = findAll(2);
  EXPECT_EQ(found[2].status, FUSCO_PEER_FAILED);
  EXPECT_EQ(found[2].error, "rank 2: the host's all-gather failed");
  EXPECT_EQ(found[1].status, FUSCO_OK) << found[1].error;
}

TEST(Job, TellsAllThatRankZeroCannotOpenAPlaceToMeet) {
  // An address that is not this machine's.
  Environment environment(torchrun({{"FUSCO_ADDRESS", "192.0.2.1"}}));
  std::vector<Found> found = findAll();
  EXPECT_NE(found[0].status, FUSCO_OK);
  EXPECT_NE(found[0].error.find("cannot listen at 192.0.2.1:0"),
            std::string::npos)
      << found[0].error;
  for (std::int32_t rank = 1; rank < numRanks; ++rank) {
    EXPECT_EQ(found[rank].status, FUSCO_PEER_FAILED);
    EXPECT_EQ(found[rank].error, "rank 0 could not open a place to meet");
  }
}

TEST(Job, RefusesARankThatTheHostDoesNotHave) {
  for (auto [rank, count] :
       {std::pair<std::int32_t, std::int32_t>(-1, 4), {4, 4}, {0, 0}}) {
    Job job;
    std::unique_ptr<RendezvousServer> server;
    EXPECT_EQ(findJob(Caller::gather, nullptr, rank, count, job, server),
              FUSCO_INVALID_ARGUMENT);
    EXPECT_EQ(fusco_last_error(),
              "expected a rank from 0 to numRanks - 1 with 'allgather', got "
              "rank " +
                  std::to_string(rank) + " of " + std::to_string(count));
  }
}
