//===- program.cpp - Running programs -------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The runtime's side of a call into generated code: hand the program its view
/// of the world, let it wait for peers, take its errors.
//
//===----------------------------------------------------------------------===//

#include "runtime/arguments.h"
#include "runtime/context.h"
#include "runtime/cuda/kernel.h"
#include "runtime/failure.h"

#include <chrono>
#include <cinttypes>
#include <cstring>
#include <sched.h>
#include <time.h>
#include <xmmintrin.h>

using namespace fusco::runtime;

namespace {
/// Denormals are kept and rounding is to nearest even, whatever the host set:
/// the default floating-point mode for as long as it lives.
class DefaultFloatMode {
public:
  DefaultFloatMode() : hostMode(_mm_getcsr()) { _mm_setcsr(defaultMode); }
  ~DefaultFloatMode() { _mm_setcsr(hostMode); }
  DefaultFloatMode(const DefaultFloatMode &) = delete;
  DefaultFloatMode &operator=(const DefaultFloatMode &) = delete;

private:
  /// MXCSR at process start: all exceptions masked, nearest, no FTZ, no DAZ.
  static constexpr unsigned defaultMode = 0x1f80;
  unsigned hostMode;
};
} // namespace

//===--- Run --------------------------------------------------------------===//

/// Checks everything but the context, and hands what passed to \p args. What is
/// refused leaves \p args without plan and tensors, so that a program cannot
/// touch them by mistake.
static fusco_status prepareArguments(const fusco_context &context,
                                     fusco_plan *plan,
                                     const DLTensor *const *tensors,
                                     void *stream, fusco_program_args &args) {
  const fusco_program_info &program = *context.program;
  if (fusco_status status = checkPlan(context, plan))
    return status;
  // Until the program succeeds. Holds for refused calls too: the caller meant
  // to replace what the plan holds.
  if (program.writesPlan)
    plan->isFilled = false;
  if (fusco_status status = checkTensors(context, *plan, tensors))
    return status;
  if (stream && !context.domain->gpu)
    return failIn(context.entryPoint, FUSCO_INVALID_ARGUMENT,
                  "expected stream NULL on target 'cpu', got another");

  args.plan = plan->memory.get();
  for (std::int32_t i = 0; i < program.numTensors; ++i) {
    const DLTensor &tensor = *tensors[i];
    char *base = static_cast<char *>(tensor.data);
    args.tensors[i].data = base ? base + tensor.byte_offset : nullptr;
    const fusco_tensor_spec &spec = program.tensors[i];
    args.tensors[i].rows =
        tensor.shape[spec.isByColumns && spec.rowsKind == FUSCO_ROWS_EXPERT];
  }
  return FUSCO_OK;
}

/// Rows of the tensors that have one for each token.
static std::int64_t countTokens(const fusco_program_info &program,
                                const fusco_program_args &args) {
  for (std::int32_t i = 0; i < program.numTensors; ++i)
    if (program.tensors[i].rowsKind == FUSCO_ROWS_TOKENS)
      return args.tensors[i].rows;
  return 0;
}

/// Calls it, with the network on its side where there is one, and waits until
/// the tensors that the network reads are free again.
static fusco_status callProgram(fusco_context &context, std::int32_t program,
                                const fusco_program_args &args) {
  DefaultFloatMode floatMode;
  Membership *membership = context.domain->membership.get();
  CountedPuts *network = membership ? membership->getNetwork() : nullptr;
  if (network)
    network->enter();
  auto status =
      static_cast<fusco_status>(context.library->programs[program](&args));
  if (network && status == FUSCO_OK) {
    status = network->flushSources(context.timeoutUs);
    if (status != FUSCO_OK)
      failPut(context, -1, status);
  }
  if (network)
    network->leave();
  return status;
}

/// The kernel of refused arguments tells the peers; what it would return is
/// known here.
static fusco_status launchProgram(fusco_context &context, std::int32_t program,
                                  const fusco_program_args &args,
                                  void *stream) {
  if (fusco_status status = launchKernel(context, program, args, stream))
    return status;
  return static_cast<fusco_status>(args.status);
}

fusco_status fusco_program_run(const fusco_library *library,
                               std::int32_t program, fusco_context *context,
                               fusco_plan *plan, const DLTensor *const *tensors,
                               void *stream) {
  if (!library)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: expected a library, got NULL",
                __func__);
  const fusco_library_info &info = *library->info;
  const fusco_program_info &programInfo = info.programs[program];
  const EntryPoint where = {info.model, programInfo.name};
  if (!context)
    return failIn(where, FUSCO_INVALID_ARGUMENT,
                  "expected a context, got NULL");
  // The heaps of another library have another layout: not even the peers can be
  // told.
  if (context->library != library)
    return failIn(where, FUSCO_INVALID_ARGUMENT,
                  "expected a context of model '%s', got one that was made for "
                  "another library",
                  info.model);
  if (context->failure[0])
    return failIn(where, FUSCO_BAD_STATE, "context failed earlier: %s",
                  context->failure);
  context->entryPoint = where;
  context->program = &programInfo;

  // A latecomer must not write to peers that gave it up and left.
  fusco_domain &domain = *context->domain;
  if (std::optional<RankFailure> failure = domain.getFailure())
    return failLateCall(*context, *failure);

  fusco_program_args args = {};
  args.context = context;
  args.peers = context->peers.get();
  args.rank = context->rank;
  args.status = prepareArguments(*context, plan, tensors, stream, args);
  fusco_status status = context->onGpu
                            ? launchProgram(*context, program, args, stream)
                            : callProgram(*context, program, args);
  if (status == FUSCO_OK && programInfo.writesPlan) {
    plan->isFilled = true;
    plan->tokens = countTokens(programInfo, args);
  }
  return status;
}

//===--- Wait -------------------------------------------------------------===//

using Clock = std::chrono::steady_clock; // CLOCK_MONOTONIC

/// About a microsecond: ranks often outnumber cores, and then the peer that one
/// waits for needs this core.
constexpr int numSpins = 32;
/// Longer than a shuffle takes as a rule, so that sleeping is for real delays.
constexpr std::chrono::milliseconds yieldTime(10);
constexpr timespec sleepTime = {0, 50 * 1000};

std::int32_t fusco_program_wait(const fusco_program_args *args,
                                const std::uint64_t *counter,
                                std::uint64_t expected, std::int32_t peer,
                                std::int32_t channel) {
  fusco_context &context = *args->context;
  auto start = Clock::now();
  for (int spin = 0; spin < numSpins; ++spin) {
    if (__atomic_load_n(counter, __ATOMIC_ACQUIRE) >= expected)
      return FUSCO_OK;
    _mm_pause();
  }
  while (true) {
    // The clock before the counter: a peer that arrived in time is never missed
    // because this thread was not scheduled.
    auto elapsed = Clock::now() - start;
    std::uint64_t actual = __atomic_load_n(counter, __ATOMIC_ACQUIRE);
    if (actual >= expected)
      return FUSCO_OK;
    if (std::optional<RankFailure> failure = context.domain->getFailure())
      return failAbortedWait(context, *failure, channel, peer, actual,
                             expected);
    auto elapsedUs =
        std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count();
    if (static_cast<std::uint64_t>(elapsedUs) >= context.timeoutUs)
      return failExpiredWait(context, actual, expected, peer, channel);
    Membership *membership = context.domain->membership.get();
    if (membership && membership->pause(elapsedUs))
      continue;
    if (elapsed < yieldTime)
      sched_yield();
    else
      nanosleep(&sleepTime, nullptr);
  }
}

//===--- Put --------------------------------------------------------------===//

/// Whether \p data is in the heap of this rank, which keeps what it puts until
/// the peer has it. A tensor may be the caller's again when the program ends.
static bool isInHeap(const fusco_context &context, const void *data) {
  auto distance = static_cast<std::uint64_t>(static_cast<const char *>(data) -
                                             context.peers[context.rank]);
  return distance < context.library->info->symmetricBytes;
}

/// Through the network.
static fusco_status putRemotely(fusco_context &context, std::int32_t peer,
                                std::int64_t to, const void *from,
                                std::int64_t bytes, std::int64_t counter) {
  fusco_status status = context.domain->membership->getNetwork()->put(
      peer, to, from, bytes, counter,
      /*waitsForSource=*/bytes > 0 && !isInHeap(context, from));
  return status == FUSCO_OK ? status : failPut(context, peer, status);
}

/// The one place that touches another node's memory.
std::int32_t fusco_program_put(const fusco_program_args *args,
                               std::int32_t peer, std::int64_t to,
                               const void *from, std::int64_t bytes,
                               std::int64_t counter) {
  fusco_context &context = *args->context;
  char *heap = context.domain->bases[peer];
  if (!heap)
    return putRemotely(context, peer, to, from, bytes, counter);
  // Tensors of this process lie anywhere: a window may lead out of the heap.
  auto *target =
      reinterpret_cast<char *>(reinterpret_cast<std::uintptr_t>(heap) + to);
  // A rank tells itself what stands there already.
  if (bytes > 0 && target != from)
    std::memcpy(target, from, static_cast<std::size_t>(bytes));
  __atomic_fetch_add(reinterpret_cast<std::uint64_t *>(heap + counter), 1,
                     __ATOMIC_RELEASE);
  return FUSCO_OK;
}

//===--- Fail -------------------------------------------------------------===//

std::int32_t fusco_program_fail(const fusco_program_args *args,
                                std::int32_t status, std::int64_t a,
                                std::int64_t b, std::int64_t c) {
  // The text of refused arguments was recorded where they were refused.
  if (status == args->status)
    return status;
  return failProgram(*args->context, static_cast<fusco_status>(status), a, b,
                     c);
}
