//===- faults.cpp - A network that misbehaves -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Operations wait in a list before they go to the network below, and what it
/// says passes through here.
//
//===----------------------------------------------------------------------===//

#include "runtime/network/faults.h"

#include "runtime/status.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <vector>

using namespace fusco::runtime;
using Clock = std::chrono::steady_clock;

namespace {

/// -1: not asked for.
struct Faults {
  std::int64_t delayMs = 0, shortWrite = -1, silent = -1, gone = -1, after = 0;
  std::int64_t seed = 1;
  bool reorder = false, duplicate = false;
};

class FaultyNetwork : public Network, private NetworkListener {
public:
  FaultyNetwork(std::unique_ptr<Network> below, const Faults &faults)
      : below(std::move(below)), faults(faults),
        random(static_cast<unsigned>(faults.seed)) {}

  void setListener(NetworkListener &heard) override {
    listener = &heard;
    below->setListener(*this);
  }
  void write(std::int32_t peer, std::uint64_t to, const void *from,
             std::uint64_t bytes, std::uint64_t id) override {
    take({peer, to, from, bytes, id, true, Clock::now()});
  }
  void add(std::int32_t peer, std::uint64_t counter,
           std::uint64_t id) override {
    take({peer, counter, nullptr, 0, id, false, Clock::now()});
  }
  bool isOrdered(std::int32_t) const override { return false; }
  bool progress() override;
  /// What waits here wakes nobody.
  bool arm() override { return waiting.empty() && below->arm(); }
  int getEventFile() const override { return below->getEventFile(); }

private:
  struct Operation {
    std::int32_t peer;
    std::uint64_t to;
    const void *from;
    std::uint64_t bytes, id;
    bool isWrite;
    Clock::time_point due;
  };

  void take(Operation operation);
  void start(const Operation &operation);
  void finished(std::uint64_t id, fusco_status status,
                std::uint64_t bytes) override;
  void lost(std::int32_t peer) override { listener->lost(peer); }

  const std::unique_ptr<Network> below;
  const Faults faults;
  std::mt19937 random;
  NetworkListener *listener = nullptr;
  std::vector<Operation> waiting;
  std::int64_t numTaken = 0, numWrites = 0;
  std::uint64_t shortId = 0; ///< of the write that ends short
};

} // namespace

void FaultyNetwork::take(Operation operation) {
  if (numTaken++ < faults.after)
    return start(operation);
  if (operation.peer == faults.silent)
    return;
  if (operation.peer == faults.gone) {
    fail(FUSCO_PEER_FAILED, "rank %" PRId32 " is made unreachable by a fault",
         operation.peer);
    return listener->finished(operation.id, FUSCO_PEER_FAILED, 0);
  }
  if (operation.isWrite && ++numWrites == faults.shortWrite)
    shortId = operation.id;
  if (faults.delayMs == 0 && !faults.reorder)
    return start(operation);
  std::int64_t mostMs = faults.delayMs;
  operation.due += std::chrono::milliseconds(
      std::uniform_int_distribution<std::int64_t>(0, mostMs)(random));
  waiting.push_back(operation);
}

void FaultyNetwork::start(const Operation &operation) {
  if (operation.isWrite)
    below->write(operation.peer, operation.to, operation.from, operation.bytes,
                 operation.id);
  else
    below->add(operation.peer, operation.to, operation.id);
}

bool FaultyNetwork::progress() {
  bool moved = below->progress();
  const auto now = Clock::now();
  std::vector<Operation> due;
  for (std::size_t i = 0; i < waiting.size();) {
    if (waiting[i].due > now) {
      ++i;
      continue;
    }
    due.push_back(waiting[i]);
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (faults.reorder)
    std::shuffle(due.begin(), due.end(), random);
  for (const Operation &operation : due)
    start(operation);
  return moved || !due.empty();
}

void FaultyNetwork::finished(std::uint64_t id, fusco_status status,
                             std::uint64_t bytes) {
  if (id == shortId && bytes > 0)
    --bytes;
  listener->finished(id, status, bytes);
  if (faults.duplicate)
    listener->finished(id, status, bytes);
}

//===--- Text -------------------------------------------------------------===//

/// Reads one fault; false if it is none.
static bool readFault(const std::string &text, Faults &faults) {
  if (text == "reorder")
    return faults.reorder = true;
  if (text == "duplicate")
    return faults.duplicate = true;
  const struct {
    const char *name;
    std::int64_t &value;
  } numbers[] = {{"delay_ms", faults.delayMs}, {"short", faults.shortWrite},
                 {"silent", faults.silent},    {"gone", faults.gone},
                 {"after", faults.after},      {"seed", faults.seed}};
  std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals + 1 == text.size())
    return false;
  for (const auto &number : numbers) {
    if (text.compare(0, equals, number.name) != 0)
      continue;
    char *end;
    number.value = std::strtoll(text.c_str() + equals + 1, &end, 10);
    return *end == '\0' && number.value >= 0 && number.value <= 1000000;
  }
  return false;
}

fusco_status fusco::runtime::makeFaulty(const char *text,
                                        std::unique_ptr<Network> &network) {
  Faults faults;
  std::string rest = text;
  while (!rest.empty()) {
    std::size_t comma = rest.find(',');
    std::string fault = rest.substr(0, comma);
    rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
    if (!readFault(fault, faults))
      return fail(
          FUSCO_INVALID_ARGUMENT,
          "expected FUSCO_FAULTS to name delay_ms=N, reorder, "
          "duplicate, short=N, silent=R, gone=R, after=N or seed=N, got "
          "'%s'",
          fault.c_str());
  }
  network = std::make_unique<FaultyNetwork>(std::move(network), faults);
  return FUSCO_OK;
}
