//===- Library.h - A library made by fusco-compile, opened ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Opens a generated library and knows what it can be asked. The runtime is the
/// one inside the library: fusco-run has none of its own and calls it through
/// the table below.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_RUN_LIBRARY_H
#define FUSCO_TOOLS_RUN_LIBRARY_H

#include "fusco/library.h"
#include "tools/reference/Reference.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fusco::run {

/// The runtime's functions that fusco-run calls.
struct RuntimeApi {
  decltype(&fusco_status_name) statusName;
  decltype(&fusco_last_error) lastError;
  decltype(&fusco_domain_join) domainJoin;
  decltype(&fusco_domain_destroy) domainDestroy;
  decltype(&fusco_domain_rank) domainRank;
  decltype(&fusco_domain_device) domainDevice;
  decltype(&fusco_domain_allgather) domainAllgather;
  decltype(&fusco_domain_status) domainStatus;
  decltype(&fusco_domain_abort) domainAbort;
  decltype(&fusco_context_create) contextCreate;
  decltype(&fusco_context_destroy) contextDestroy;
  decltype(&fusco_context_rank) contextRank;
  decltype(&fusco_context_synchronize) contextSynchronize;
  decltype(&fusco_context_take_events) contextTakeEvents;
  decltype(&fusco_plan_create) planCreate;
  decltype(&fusco_plan_destroy) planDestroy;
  decltype(&fusco_plan_get_info) planGetInfo;
  decltype(&fusco_tensor_create) tensorCreate;
  decltype(&fusco_copy_to_device) copyToDevice;
  decltype(&fusco_copy_to_host) copyToHost;
  decltype(&fusco_launch_threads) launchThreads;
  decltype(&fusco_program_run) programRun;
};

/// A dispatch and the combine that belongs to it, or the backward of both, as
/// indices of programs.
struct Shuffle {
  int dispatch;
  int combine;
};

/// The programs of a run.
struct Programs {
  std::vector<Shuffle> shuffles;   ///< the library's own, then baselines
  std::optional<Shuffle> backward; ///< of the library's own, if it has one
};

/// An opened library of this ABI version.
class Library {
public:
  /// Throws Error if \p path is no library that this fusco-run can use.
  explicit Library(const std::string &path);

  const std::string &path() const { return libraryPath; }
  const fusco_library *handle() const { return library; }
  const fusco_library_info &info() const { return *library->info; }
  /// Whether its programs are kernels: they return when they are launched, and
  /// tensors are in the GPU's memory.
  bool isOnGpu() const { return library->device != nullptr; }
  const RuntimeApi &api() const { return functions; }
  const fusco_program_info &program(int index) const {
    return info().programs[index];
  }

  /// The model's shape as the reference interpreter takes it.
  const reference::Shape &shape() const { return modelShape; }

  /// The index of program \p name, -1 if there is none. Throws Error if it has
  /// a tensor that fusco-run does not know or of another shape or type than
  /// the model's.
  int findProgram(const std::string &name) const;

  /// "dispatch\p suffix" and "combine\p suffix". Throws Error if there are
  /// none.
  Shuffle findShuffle(const std::string &suffix = "") const;

  /// "dispatch_backward" and "combine_backward", if the library has either.
  /// Throws Error if it has only one.
  std::optional<Shuffle> findBackward() const;

private:
  /// The programs "dispatch\p suffix" and "combine\p suffix".
  Shuffle findBoth(const std::string &suffix) const;
  /// Throws Error if a program lacks a tensor.
  void requireTensors(int index, const std::vector<std::string> &names) const;

  std::string libraryPath;
  std::shared_ptr<void> object; ///< what dlopen gave
  const fusco_library *library;
  RuntimeApi functions;
  reference::Shape modelShape;
};

/// What a tensor is called among those of all programs: its name, but for the
/// scales that a combine takes, since a dispatch leaves some by that name.
std::string keyOf(const fusco_tensor_spec &spec);
constexpr const char *outputScales = "y_scales";
/// Those of tokens that are quantised already.
constexpr const char *tokenScales = "x_scales";

/// As MLIR spells it, such as "bf16".
std::string nameOf(reference::ElementType type);

} // namespace fusco::run

#endif // FUSCO_TOOLS_RUN_LIBRARY_H
