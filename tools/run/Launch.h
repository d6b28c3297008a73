//===- Launch.h - The ranks of a run and their tensors ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Runs a function on every rank of a library and turns statuses into
/// exceptions and back, so that none crosses the C boundary; and what a rank
/// calls programs with.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_LAUNCH_H
#define FUSCO_TOOLS_RUN_LAUNCH_H

#include "tools/run/Library.h"
#include "tools/run/Options.h"
#include "tools/run/Team.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace fusco::run {

/// One rank, as its thread or process sees it.
class Rank {
public:
  Rank(const Library &library, fusco_context *context, Team &team)
      : library(library), context(context),
        index(library.api().contextRank(context)), team(team) {}

  const Library &library;
  fusco_context *const context;
  const int index;

  /// Whether this process has no other rank.
  bool isAlone() const { return team.areProcesses(); }
  /// Whether \p rank's part of what ranks of a process share is this one's to
  /// fill: its own, or all where each process has its own.
  bool fills(int rank) const { return isAlone() || rank == index; }
  /// Waits for all ranks. Throws PeerLeft if one has failed.
  void meet();
  /// All ranks' \p mine, plain data, in rank order. All call it together.
  template <typename T> std::vector<T> gather(const T &mine) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::vector<T> all(size_t(library.shape().numRanks()));
    gatherBytes(&mine, sizeof(T), all.data());
    return all;
  }
  /// The same for text, of which at most 1000 bytes arrive.
  std::vector<std::string> gather(const std::string &mine);
  /// The same for as many elements on each rank, one rank's after the other's.
  template <typename T> std::vector<T> gather(const std::vector<T> &mine) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::vector<T> all(mine.size() * size_t(library.shape().numRanks()));
    gatherBytes(mine.data(), mine.size() * sizeof(T), all.data());
    return all;
  }
  /// meet() such that all ranks are awake when it returns, to start a
  /// measurement together.
  void meetAwake();
  /// Waits for the programs that this rank has launched on \p stream, null for
  /// its context's own. Throws Error after leave() if one failed. On a CPU they
  /// were over when they returned.
  void synchronize(void *stream = nullptr);
  /// Takes the events that its programs, which are over, have noted; gives the
  /// number of those that are missing.
  uint64_t takeEvents(std::vector<fusco_event> &events);
  /// To be called when this rank fails, before its tensors end. The first call
  /// waits for the others to stop, who may be writing to them.
  void leave();

private:
  void leaveIfPeerLeaves(const std::function<void()> &wait);
  void gatherBytes(const void *mine, size_t bytes, void *all);

  Team &team;
  bool hasLeft = false;
};

/// The ranks of a run: threads of this process, or this process and others.
class Ranks {
public:
  /// Joins the other processes if \p options say that there are any. Throws
  /// Error if that fails.
  Ranks(const Library &library, const Options &options);
  Ranks(const Ranks &) = delete;
  Ranks &operator=(const Ranks &) = delete;
  ~Ranks();

  const Library &library;

  /// This process's only rank, -1 if it has all.
  int ownRank() const;
  /// Whether this process speaks for all: prints results, shows progress.
  bool isLead() const { return ownRank() <= 0; }
  /// What the lead says, a plain value that all processes have to agree on.
  uint64_t agree(uint64_t mine);

  /// Runs \p body on each rank with a fresh context and returns when all ranks
  /// of this process have returned. Throws what the first rank to fail threw,
  /// or Error with the library's own text if the library failed.
  void launch(const std::function<void(Rank &)> &body);

private:
  void launchThreads(const std::function<void(Rank &)> &body);
  void launchOwn(const std::function<void(Rank &)> &body);

  const int64_t timeoutMs;
  /// Null where ranks are threads.
  std::unique_ptr<fusco_domain, void (*)(fusco_domain *)> domain;
  std::unique_ptr<ProcessTeam> team; ///< likewise
};

/// A plan of one rank; must end before its rank does.
class Plan {
public:
  explicit Plan(const Rank &rank);
  fusco_plan *get() const { return plan.get(); }
  fusco_plan_info info() const;

private:
  const Library &library;
  std::unique_ptr<fusco_plan, void (*)(fusco_plan *)> plan;
};

/// The tensors of one rank by name, or rather keyOf(); must end before their
/// rank does. On a GPU each has a mirror on the host, which is what is read and
/// written here; upload() and download() bring it there and back. On a CPU they
/// do nothing.
class Tensors {
public:
  explicit Tensors(Rank &rank) : rank(rank) {}

  /// Makes the tensors of \p program that are not there yet. Those whose first
  /// extent is dynamic get \p tokens rows, `rows` and `dy` get \p roomRows,
  /// `y` and its scales, `drows`, `recv` and `recv_back` \p expertRows, `send`
  /// and `send_back` topk for each token.
  void create(int program, int64_t tokens, int64_t roomRows,
              int64_t expertRows);

  bool has(const std::string &name) const { return byName.count(name) != 0; }
  const DLTensor &operator[](const std::string &name) const;
  /// The tensor's contents, on a GPU those of its mirror.
  uint8_t *data(const std::string &name) const;
  int64_t numBytes(const std::string &name) const;

  /// Fills the outputs or the inputs of \p program with \p byte.
  void fill(int program, bool outputs, uint8_t byte);

  void setBytes(const std::string &name, const reference::Bytes &bytes);
  void setFloats(const std::string &name, const std::vector<float> &values);
  /// Stores integers of either width.
  void setIntegers(const std::string &name, const std::vector<int64_t> &values);
  std::vector<int64_t> integers(const std::string &name) const;

  /// Copy all tensors of \p program to the GPU, or back when it is over.
  void upload(int program) const;
  void download(int program) const;

  /// Runs \p program of this rank on them; on a GPU launches it on \p stream,
  /// null for the context's own. Throws Error after leave() if it fails.
  void run(int program, const Plan &plan, void *stream = nullptr) const;

private:
  struct Deleter {
    void operator()(DLManagedTensor *tensor) const { tensor->deleter(tensor); }
  };
  struct Tensor {
    std::unique_ptr<DLManagedTensor, Deleter> owner;
    std::unique_ptr<uint8_t[]> mirror; ///< on a GPU
  };
  Rank &rank;
  std::map<std::string, Tensor> byName;
};

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_LAUNCH_H
