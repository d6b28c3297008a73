//===- ArenaTest.cpp - A rank's memory for other processes ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What an arena gives and takes back, and what another process sees of it.
//
//===----------------------------------------------------------------------===//

#include "ChildProcess.h"

#include "runtime/arena.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace fusco::runtime;
using namespace fusco::test;

namespace {

constexpr std::uint64_t mib = 1 << 20;

class ArenaTest : public testing::Test {
protected:
  /// Room for 4 MiB of heap and 8 MiB of tensors.
  void SetUp() override {
    ASSERT_EQ(Arena::create(nullptr, 3 * mib, 8 * mib, arena), FUSCO_OK)
        << fusco_last_error();
  }
  char *allocate(std::uint64_t bytes) {
    char *data = nullptr;
    EXPECT_EQ(arena->allocate(bytes, data), FUSCO_OK) << fusco_last_error();
    return data;
  }
  static bool isZero(const char *data, std::uint64_t bytes) {
    return std::all_of(data, data + bytes, [](char c) { return c == 0; });
  }

  std::unique_ptr<Arena> arena;
};

std::string refuse(const ArenaHandle &handle, fusco_status status) {
  Mapping mapping;
  EXPECT_EQ(mapArena(nullptr, handle, 3, mapping), status);
  EXPECT_EQ(mapping, nullptr);
  return fusco_last_error();
}

ArenaHandle getHandle(const Arena &arena) {
  ArenaHandle handle;
  EXPECT_EQ(arena.getHandle(handle), FUSCO_OK) << fusco_last_error();
  return handle;
}

/// How mapArena() names where it looked.
std::string describe(const ArenaHandle &handle) {
  return "'/proc/" + std::to_string(handle.process) + "/fd/" +
         std::to_string(handle.file) + "'";
}

} // namespace

//===--- Allocating -------------------------------------------------------===//

TEST_F(ArenaTest, StartsWithAHeapOfZeros) {
  EXPECT_EQ(arena->getBytes(), 12 * mib);
  EXPECT_TRUE(isZero(arena->getBase(), 4 * mib));
  EXPECT_EQ(allocate(1), arena->getBase() + 4 * mib);
}

TEST_F(ArenaTest, GivesAlignedPiecesThatDoNotTouch) {
  std::map<char *, std::uint64_t> taken;
  for (std::uint64_t bytes : {1, 63, 64, 65, 4095, 4096, 4097, 300000}) {
    char *data = allocate(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0u) << bytes;
    EXPECT_TRUE(arena->contains(data, bytes));
    std::memset(data, 1, bytes);
    taken[data] = bytes;
  }
  EXPECT_TRUE(isZero(arena->getBase(), 4 * mib));
  for (auto at = taken.begin(); std::next(at) != taken.end(); ++at)
    EXPECT_LE(at->first + at->second, std::next(at)->first);
}

TEST_F(ArenaTest, PutsLargePiecesOnHugePages) {
  allocate(1);
  char *data = allocate(2 * mib);
  EXPECT_EQ((data - arena->getBase()) % (2 * mib), 0u);
  // What that leaves before it is still there.
  EXPECT_LT(allocate(mib), data);
}

TEST_F(ArenaTest, OfNoBytesIsNull) {
  EXPECT_EQ(allocate(0), nullptr);
  arena->free(nullptr);
}

TEST_F(ArenaTest, GivesZerosAgain) {
  for (std::uint64_t bytes : {std::uint64_t(100), 5 * mib}) {
    char *data = allocate(bytes);
    std::memset(data, 7, bytes);
    arena->free(data);
    EXPECT_EQ(allocate(bytes), data);
    EXPECT_TRUE(isZero(data, bytes));
    arena->free(data);
  }
}

TEST_F(ArenaTest, MergesWhatIsFree) {
  // In every order, the room is one piece again.
  std::vector<int> order = {0, 1, 2, 3};
  do {
    char *pieces[4];
    for (char *&piece : pieces)
      piece = allocate(2 * mib);
    for (int i : order)
      arena->free(pieces[i]);
    char *all = allocate(8 * mib);
    EXPECT_EQ(all, arena->getBase() + 4 * mib);
    arena->free(all);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(ArenaTest, SaysThatThereIsNoRoom) {
  char *first = allocate(5 * mib);
  for (std::uint64_t bytes :
       {4 * mib, 13 * mib, ~std::uint64_t(0), ~std::uint64_t(0) - 4096}) {
    char *data = first;
    EXPECT_EQ(arena->allocate(bytes, data), FUSCO_OUT_OF_MEMORY);
    EXPECT_EQ(data, nullptr);
    EXPECT_EQ(fusco_last_error(),
              "expected room for a tensor of " + std::to_string(bytes) +
                  " bytes in the 12582912 bytes that this rank shares; join "
                  "the domain with more tensorBytes");
  }
  arena->free(first);
  EXPECT_NE(allocate(8 * mib), nullptr);
}

TEST_F(ArenaTest, HoldsWhateverIsTakenAndFreed) {
  std::mt19937 random(1);
  std::vector<std::pair<char *, std::uint64_t>> taken;
  for (int step = 0; step < 3000; ++step) {
    std::uint64_t bytes = 1 + random() % (random() % 8 ? 20000 : 3 * mib);
    char *data = nullptr;
    if (random() % 2 && arena->allocate(bytes, data) == FUSCO_OK) {
      ASSERT_TRUE(isZero(data, bytes));
      data[0] = data[bytes - 1] = static_cast<char>(taken.size() + 1);
      taken.emplace_back(data, bytes);
    } else if (!taken.empty()) {
      std::swap(taken[random() % taken.size()], taken.back());
      auto [last, count] = taken.back();
      ASSERT_EQ(last[0], last[count - 1]);
      ASSERT_NE(last[0], 0);
      std::memset(last, 0xff, count);
      arena->free(last);
      taken.pop_back();
    }
  }
  for (auto [data, bytes] : taken)
    arena->free(data);
  EXPECT_EQ(allocate(8 * mib), arena->getBase() + 4 * mib);
}

TEST_F(ArenaTest, KnowsWhatItContains) {
  char *base = arena->getBase();
  const std::uint64_t bytes = arena->getBytes();
  EXPECT_TRUE(arena->contains(base, bytes));
  EXPECT_TRUE(arena->contains(base + bytes - 1, 1));
  EXPECT_FALSE(arena->contains(base + bytes - 1, 2));
  EXPECT_FALSE(arena->contains(base + bytes, 1));
  EXPECT_FALSE(arena->contains(base, bytes + 1));
  EXPECT_FALSE(arena->contains(base + 64, ~std::uint64_t(0)));
  EXPECT_FALSE(arena->contains(base - 1, 1));
  EXPECT_FALSE(arena->contains(&base, 1));
  EXPECT_FALSE(arena->contains(nullptr, 0));
}

TEST(Arena, RefusesWhatCannotBeAddressed) {
  std::unique_ptr<Arena> arena;
  EXPECT_EQ(Arena::create(nullptr, 64, ~std::uint64_t(0), arena),
            FUSCO_INVALID_ARGUMENT);
  EXPECT_STREQ(fusco_last_error(),
               "expected tensorBytes that can be addressed, got "
               "18446744073709551615");
  EXPECT_EQ(Arena::create(nullptr, 64, std::uint64_t(1) << 60, arena),
            FUSCO_OUT_OF_MEMORY);
  EXPECT_NE(std::strstr(fusco_last_error(), "ask for fewer tensorBytes"),
            nullptr)
      << fusco_last_error();
  EXPECT_EQ(arena, nullptr);
}

TEST(Arena, MayHaveNoRoomForTensors) {
  std::unique_ptr<Arena> arena;
  ASSERT_EQ(Arena::create(nullptr, 64, 0, arena), FUSCO_OK)
      << fusco_last_error();
  char *data;
  EXPECT_EQ(arena->allocate(1, data), FUSCO_OUT_OF_MEMORY);
}

//===--- Sharing ----------------------------------------------------------===//

TEST_F(ArenaTest, IsSeenByAnotherProcess) {
  Shared<std::atomic<int>> step;
  char *tensor = allocate(100);
  const std::uint64_t distance = tensor - arena->getBase();
  const ArenaHandle handle = getHandle(*arena);
  ChildProcess child([&] {
    Mapping mapping;
    ASSERT_EQ(mapArena(nullptr, handle, 0, mapping), FUSCO_OK)
        << fusco_last_error();
    EXPECT_NE(mapping.get(), arena->getBase());
    EXPECT_TRUE(becomesTrue([&] { return *step == 1; }));
    EXPECT_STREQ(mapping.get(), "heap of the parent");
    EXPECT_STREQ(mapping.get() + distance, "tensor of the parent");
    std::strcpy(mapping.get() + distance, "written by the child");
    *step = 2;
  });
  std::strcpy(arena->getBase(), "heap of the parent");
  std::strcpy(tensor, "tensor of the parent");
  *step = 1;
  child.join();
  EXPECT_EQ(*step, 2);
  EXPECT_STREQ(tensor, "written by the child");
  // What is taken back from it is zero for both.
  arena->free(tensor);
  EXPECT_TRUE(isZero(tensor, 100));
}

TEST_F(ArenaTest, StaysMappedWhenItsProcessEnds) {
  Shared<ArenaHandle> handle;
  Shared<std::atomic<int>> step;
  ChildProcess owner([&] {
    std::unique_ptr<Arena> own;
    ASSERT_EQ(Arena::create(nullptr, 64, mib, own), FUSCO_OK)
        << fusco_last_error();
    std::strcpy(own->getBase(), "last words");
    *handle = getHandle(*own);
    *step = 1;
    pause();
  });
  ASSERT_TRUE(becomesTrue([&] { return *step == 1; }));
  Mapping mapping;
  ASSERT_EQ(mapArena(nullptr, *handle, 0, mapping), FUSCO_OK)
      << fusco_last_error();
  owner.kill();
  EXPECT_STREQ(mapping.get(), "last words");
  // But nobody can map it any more.
  EXPECT_EQ(refuse(*handle, FUSCO_UNSUPPORTED),
            "cannot open the memory of rank 3 at " + describe(*handle) +
                ": No such file or directory; ranks of a host must be "
                "processes of one user that see each other in /proc");
}

TEST_F(ArenaTest, IsRefusedWithOtherBytes) {
  for (std::uint64_t bytes :
       {std::uint64_t(0), 12 * mib - 1, 12 * mib + 1, ~std::uint64_t(0)}) {
    ArenaHandle handle = getHandle(*arena);
    handle.bytes = bytes;
    EXPECT_EQ(refuse(handle, FUSCO_PEER_FAILED),
              "expected " + std::to_string(bytes) +
                  " bytes of memory of rank 3 at " + describe(handle) +
                  ", which it no longer has");
  }
}

TEST_F(ArenaTest, IsRefusedWhenItsFileIsClosed) {
  const ArenaHandle handle = getHandle(*arena);
  arena.reset();
  EXPECT_NE(refuse(handle, FUSCO_UNSUPPORTED)
                .find("cannot open the memory of rank 3 at " +
                      describe(handle) + ": No such file"),
            std::string::npos)
      << fusco_last_error();
}

TEST_F(ArenaTest, IsRefusedWhereItsFileIsAnother) {
  int files[2];
  ASSERT_EQ(pipe(files), 0);
  ArenaHandle handle = getHandle(*arena);
  handle.file = files[1];
  handle.bytes = 0;
  refuse(handle, FUSCO_PEER_FAILED);
  close(files[0]);
  close(files[1]);
}
