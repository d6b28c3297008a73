//===- TorchProgram.cpp - How the PyTorch baseline is started -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The Python package fusco_torch_baseline, one process that plays all ranks,
/// in whichever Python has PyTorch.
//
//===----------------------------------------------------------------------===//
#include "tools/common/Error.h"
#include "tools/run/BaselineProgram.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

namespace fusco::run {
namespace {

/// The package beside this program, or in lib/ beside its folder.
/// \p title: of the baseline that needs it.
std::string findPackage(const std::string &title) {
  constexpr const char *name = "fusco_torch_baseline";
  const auto folder =
      std::filesystem::canonical("/proc/self/exe").parent_path();
  const auto lib = folder.parent_path() / "lib";
  for (const auto &parent : {folder, lib})
    if (std::filesystem::exists(parent / name / "__main__.py"))
      return parent / name;
  throw Error(fmt::format("--baseline {}: expected the folder '{}' in '{}' "
                          "or '{}', got neither; copy it from the build",
                          title, name, folder.string(), lib.string()));
}

std::string pythonName() {
  const char *given = std::getenv("FUSCO_PYTHON");
  return given && *given ? given : "python3";
}

/// On \p device, as the package takes it.
BaselineProgram programFor(const std::string &title,
                           const std::string &device) {
  const std::string python = pythonName();
  return {title,
          // -B: leaves no compiled files in the package's folder.
          {python, "-B", findPackage(title), device},
          fmt::format("cannot start '{}'; install python3, or name an "
                      "interpreter that has PyTorch in FUSCO_PYTHON",
                      python),
          {"fusco_torch_baseline: error:"},
          /*startTimeoutMs=*/120000,
          /*compileTimeoutMs=*/300000};
}

} // namespace

BaselineProgram torchProgram(const Library &library) {
  return programFor("torch", library.isOnGpu() ? "cuda" : "cpu");
}

BaselineProgram ncclProgram(const Library &) {
  return programFor("nccl", "nccl");
}

} // namespace fusco::run
