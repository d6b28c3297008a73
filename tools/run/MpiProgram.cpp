//===- MpiProgram.cpp - How the MPI baseline is started -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// fusco-mpi-baseline, one process per rank, through mpirun, which cleans up
/// after itself.
//
//===----------------------------------------------------------------------===//
#include "tools/common/Error.h"
#include "tools/run/BaselineProgram.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <sched.h>
#include <unistd.h>

namespace fusco::run {
namespace {

/// How mpirun and the ranks run; the fastest of what was tried, see
/// tools/baseline/README.md. What the caller's environment says stands.
struct Setting {
  const char *name, *value;
};
constexpr Setting settings[] = {
    {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
    {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
    {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
    {"OMPI_MCA_mpi_yield_when_idle", "1"},
    {"OMPI_MCA_pml", "ob1"},
    {"OMPI_MCA_btl", "self,vader"},
    {"OMPI_MCA_btl_vader_single_copy_mechanism", "cma"},
};

/// Where ranks outnumber processors, they stay on one, as fusco-run's do.
const char *bindingOf(int numRanks) {
  cpu_set_t allowed;
  const bool areCrowded = sched_getaffinity(0, sizeof allowed, &allowed) == 0 &&
                          numRanks > CPU_COUNT(&allowed);
  return areCrowded ? "core:overload-allowed" : "none";
}

/// The program beside this one.
std::string findProgram() {
  const auto program =
      std::filesystem::canonical("/proc/self/exe").parent_path() /
      "fusco-mpi-baseline";
  if (access(program.c_str(), X_OK) != 0)
    throw Error(fmt::format("--baseline mpi: cannot find '{}'; install "
                            "libopenmpi-dev and openmpi-bin, then configure "
                            "and build again",
                            program.string()));
  return program;
}

} // namespace

BaselineProgram mpiProgram(const Library &library) {
  const int numRanks = library.shape().numRanks();
  const std::string program = findProgram();
  for (const Setting &setting : settings)
    setenv(setting.name, setting.value, /*overwrite=*/0);
  setenv("OMPI_MCA_hwloc_base_binding_policy", bindingOf(numRanks),
         /*overwrite=*/0);
  return {"MPI",
          {"mpirun", "-n", std::to_string(numRanks), program},
          "cannot start 'mpirun'; install openmpi-bin, or put Open MPI's "
          "mpirun on PATH",
          {"fusco-mpi-baseline: error:", "mpirun noticed"},
          /*startTimeoutMs=*/60000,
          /*compileTimeoutMs=*/0};
}

} // namespace fusco::run
