//===- kernel.cpp - Programs on a GPU -------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The runtime's side of a kernel: its one parameter, and its error as the text
/// that the same error has on a CPU.
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/kernel.h"

#include "runtime/failure.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <limits>

using namespace fusco;
using namespace fusco::runtime;

static cuda::CUstream getStream(const fusco_context &context, void *stream) {
  return stream ? static_cast<cuda::CUstream>(stream)
                : context.onGpu->stream.get();
}

static std::int64_t getTimeoutNs(const fusco_context &context) {
  constexpr std::uint64_t mostUs =
      std::numeric_limits<std::int64_t>::max() / 1000;
  return static_cast<std::int64_t>(std::min(context.timeoutUs, mostUs)) * 1000;
}

/// Breaks \p context because the driver reports that \p what failed. Kernels
/// run in the background, so that it is the last one launched that is named.
static fusco_status failInDriver(fusco_context &context, const char *what,
                                 cuda::CUresult result) {
  char rankWhat[64];
  std::snprintf(rankWhat, sizeof(rankWhat), "%s of rank %" PRId32, what,
                context.rank);
  cuda::ErrorText text =
      context.domain->gpu->getDriver().describe(rankWhat, result);
  if (context.program)
    failIn(context.entryPoint, FUSCO_DEVICE_ERROR, "%s", text.data);
  else
    fail(FUSCO_DEVICE_ERROR, "%s", text.data);
  // The first failure is the cause of later ones.
  return context.failure[0] ? FUSCO_DEVICE_ERROR
                            : breakContext(context, FUSCO_DEVICE_ERROR);
}

fusco_status fusco::runtime::launchKernel(fusco_context &context,
                                          std::int32_t program,
                                          const fusco_program_args &args,
                                          void *stream) {
  const fusco_domain &domain = *context.domain;
  const Gpu &gpu = *domain.gpu;
  const fusco_program_info &info = context.library->info->programs[program];
  fusco_device_args handed = {};
  handed.program = args;
  handed.program.context = nullptr;
  handed.program.peers =
      reinterpret_cast<char *const *>(domain.peersOnGpu.get());
  handed.control =
      reinterpret_cast<fusco_device_control *>(context.onGpu->control.get());
  handed.error =
      reinterpret_cast<fusco_device_error *>(context.onGpu->error.onGpu);
  handed.failedRank =
      reinterpret_cast<std::int64_t *>(domain.failedRankOnGpu.get());
  handed.timeoutNs = getTimeoutNs(context);
  handed.networkPeers = domain.networkHeaps
                            ? domain.networkHeaps->getPeersOnGpu()
                            : handed.program.peers;
  handed.puts = reinterpret_cast<fusco_put_queue *>(context.onGpu->puts.onGpu);
  void *parameters[] = {&handed};

  cuda::ContextGuard guard(gpu.getContext());
  cuda::CUresult result = gpu.getDriver().launchKernel(
      gpu.getKernel(program), gpu.getNumBlocks(), 1, 1, info.threadsPerBlock, 1,
      1, info.sharedBytes, getStream(context, stream), parameters, nullptr);
  return result ? failInDriver(context, "launching the kernel", result)
                : FUSCO_OK;
}

/// Why \p rank has failed: what the host was told or, where a kernel of this
/// process noted it itself, an expired wait.
static RankFailure findFailure(const fusco_domain &domain, std::int32_t rank) {
  std::optional<RankFailure> told = domain.getFailure();
  return told && told->rank == rank ? *told : RankFailure{rank, FUSCO_TIMEOUT};
}

/// Turns what a kernel left into a status and the thread's last error.
static fusco_status failAsKernel(fusco_context &context,
                                 const fusco_device_error &error) {
  const fusco_library_info &info = *context.library->info;
  const fusco_program_info &program =
      info.programs[std::clamp(error.program, 0, info.numPrograms - 1)];
  context.program = &program;
  context.entryPoint = {info.model, program.name};
  switch (static_cast<fusco_status>(error.status)) {
  case FUSCO_TIMEOUT:
    return failExpiredWait(context, error.a, error.b, error.peer,
                           error.channel);
  case FUSCO_BAD_STATE:
    return failEmptyPlan(context.entryPoint);
  case FUSCO_INVALID_ROUTING:
  case FUSCO_CAPACITY:
    return failProgram(context, static_cast<fusco_status>(error.status),
                       error.a, error.b, error.c);
  case FUSCO_PEER_FAILED:
    if (!error.isAborted)
      return failProgram(context, FUSCO_PEER_FAILED, error.a, error.b, error.c);
    if (error.channel < 0)
      return failLateCall(context, findFailure(*context.domain, error.peer));
    return failAbortedWait(context, findFailure(*context.domain, error.peer),
                           error.channel, static_cast<std::int32_t>(error.c),
                           error.a, error.b);
  default:
    return failIn(context.entryPoint, static_cast<fusco_status>(error.status),
                  "the kernel of rank %" PRId32 " ended with %s", context.rank,
                  fusco_status_name(static_cast<fusco_status>(error.status)));
  }
}

fusco_status fusco::runtime::waitForKernels(fusco_context &context,
                                            void *stream) {
  const Gpu &gpu = *context.domain->gpu;
  cuda::ContextGuard guard(gpu.getContext());
  cuda::CUresult result =
      gpu.getDriver().streamSynchronize(getStream(context, stream));
  return result ? failInDriver(context, "the kernel", result) : FUSCO_OK;
}

fusco_status fusco::runtime::synchronizeKernels(fusco_context &context,
                                                void *stream) {
  bool hasFailed = context.failure[0] != '\0';
  fusco_status status = waitForKernels(context, stream);
  if (hasFailed)
    return fail(FUSCO_BAD_STATE,
                "fusco_context_synchronize: context failed earlier: %s",
                context.failure);
  if (status != FUSCO_OK)
    return status;
  // Why its kernels gave up, if they did.
  const PutProxy *proxy = context.onGpu->proxy.get();
  if (const PutProxy::Failure *put = proxy ? proxy->getFailure() : nullptr) {
    fail(put->status, "%s", put->text);
    return failPut(context, put->peer, put->status);
  }
  fusco_device_error &left = context.onGpu->error.get();
  if (left.status == FUSCO_OK)
    return FUSCO_OK;
  const fusco_device_error error = left;
  left = {};
  return failAsKernel(context, error);
}
