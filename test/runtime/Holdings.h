//===- Holdings.h - What a process holds of the system ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Open files, threads and shared mappings, to see that none is left.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TEST_RUNTIME_HOLDINGS_H
#define FUSCO_TEST_RUNTIME_HOLDINGS_H

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

namespace fusco::test {

struct Holdings {
  long files = count("/proc/self/fd");
  long threads = count("/proc/self/task");
  long sharedMappings = countSharedMappings(); ///< of our nameless files

private:
  static long count(const char *folder) {
    return std::distance(std::filesystem::directory_iterator(folder), {});
  }
  static long countSharedMappings() {
    std::ifstream maps("/proc/self/maps");
    long found = 0;
    for (std::string line; std::getline(maps, line);)
      found += line.find("memfd:fusco") != std::string::npos;
    return found;
  }
};

/// Expects this process to hold what it held \p before.
inline void expectSame(const Holdings &before) {
  const Holdings now;
  EXPECT_EQ(now.files, before.files);
  EXPECT_EQ(now.threads, before.threads);
  EXPECT_EQ(now.sharedMappings, before.sharedMappings);
}

} // namespace fusco::test

#endif // FUSCO_TEST_RUNTIME_HOLDINGS_H
