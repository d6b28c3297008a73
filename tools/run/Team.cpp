//===- Team.cpp - How the ranks of a run meet -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Threads meet at a barrier and look at each other's memory. Processes use
/// what the library offers to hosts, and where they can a barrier in memory
/// that they share, which is far quicker.
//
//===----------------------------------------------------------------------===//
#include "tools/run/Team.h"

#include <cstring>

namespace fusco::run {

void ThreadTeam::meet() {
  if (!barrier.wait())
    throw PeerLeft();
}

void ThreadTeam::gather(int rank, const void *mine, size_t bytes, void *all) {
  gathered[size_t(rank)] = mine;
  meet();
  auto *to = static_cast<char *>(all);
  for (const void *from : gathered) {
    if (bytes != 0)
      std::memcpy(to, from, bytes);
    to += bytes;
  }
  meet(); // they may be gone from now on
}

void ProcessTeam::fail() const {
  library.api().domainStatus(domain); // for its text
  throw PeerLeft{library.api().lastError()};
}

void ProcessTeam::meet() {
  if (!barrier) {
    char nothing = 0;
    std::vector<char> all(size_t(library.shape().numRanks()));
    gather(0, &nothing, 1, all.data());
  } else if (!barrier->wait([&] {
               return library.api().domainStatus(domain) != FUSCO_OK;
             })) {
    fail();
  }
}

void ProcessTeam::gather(int, const void *mine, size_t bytes, void *all) {
  if (library.api().domainAllgather(domain, mine, all, bytes) != FUSCO_OK)
    throw PeerLeft{library.api().lastError()};
}

void ProcessTeam::leave() {
  // What memory it has stays until the last process that sees it ends.
  library.api().domainAbort(domain, FUSCO_PEER_FAILED);
}

} // namespace fusco::run
