//===- FakeCuda.h - A CUDA driver that runs nothing -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A shared object that the runtime opens in place of libcuda.so.1. Its memory
/// is the host's; a launch is written down and may call the test.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_TEST_RUNTIME_FAKECUDA_H
#define FUSCO_TEST_RUNTIME_FAKECUDA_H

#include "fusco/library.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fusco::test {

/// One cuLaunchKernel.
struct Launch {
  std::string kernel;
  unsigned grid, block, sharedBytes;
  const void *stream;
  fusco_device_args args;
};

/// What the driver shall say, and what it was asked. The shared object exports
/// one as `fakeCuda`.
struct FakeCuda {
  int initResult = 0, cubinResult = 0, ptxResult = 0, launchResult = 0,
      synchronizeResult = 0;
  int numDevices = 1, major = 9, minor = 0, numMultiprocessors = 132;
  std::function<void(const Launch &)> onLaunch;

  std::vector<std::string> images;        ///< loaded or tried
  std::map<std::string, int> sharedBytes; ///< by kernel, as asked for
  std::vector<Launch> launches;
  int numAlive = 0; ///< memory, streams, modules and contexts not given back
};

} // namespace fusco::test

#endif // FUSCO_TEST_RUNTIME_FAKECUDA_H
