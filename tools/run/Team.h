//===- Team.h - How the ranks of a run meet ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What ranks tell each other beside the library's programs: that they are
/// there, and what they found. As threads of this process or as processes.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_TEAM_H
#define FUSCO_TOOLS_RUN_TEAM_H

#include "tools/run/Barrier.h"
#include "tools/run/Library.h"

#include <cstddef>
#include <vector>

namespace fusco::run {

/// Thrown where a rank would wait for one that has failed. The cause is
/// reported elsewhere, or is `text`.
struct PeerLeft {
  std::string text;
};

class Team {
public:
  virtual ~Team() = default;

  /// Whether each rank is a process: shares no memory with the others.
  virtual bool areProcesses() const = 0;
  /// Returns when all ranks have called it equally often. Throws PeerLeft once
  /// one has failed.
  virtual void meet() = 0;
  /// Collects \p bytes bytes of each rank, in rank order, into \p all.
  virtual void gather(int rank, const void *mine, size_t bytes, void *all) = 0;
  /// For a rank that fails. Ends what the others wait for; returns when none
  /// writes to memory of this rank any more.
  virtual void leave() = 0;
};

/// The ranks are threads of this process.
class ThreadTeam : public Team {
public:
  explicit ThreadTeam(int ranks) : barrier(ranks), gathered(size_t(ranks)) {}

  bool areProcesses() const override { return false; }
  void meet() override;
  void gather(int rank, const void *mine, size_t bytes, void *all) override;
  void leave() override { barrier.leave(); }
  /// For a rank that has done all.
  void finish() { barrier.finish(); }

private:
  Barrier barrier;
  std::vector<const void *> gathered; ///< by rank
};

/// The ranks are processes that have joined \p domain.
class ProcessTeam : public Team {
public:
  /// \p barrier: in memory that all of them share, or null.
  ProcessTeam(const Library &library, fusco_domain *domain, Barrier *barrier)
      : library(library), domain(domain), barrier(barrier) {}

  bool areProcesses() const override { return true; }
  void meet() override;
  void gather(int rank, const void *mine, size_t bytes, void *all) override;
  void leave() override;

private:
  [[noreturn]] void fail() const;

  const Library &library;
  fusco_domain *const domain;
  Barrier *const barrier;
};

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_TEAM_H
