//===- context.cpp - Contexts and plans -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Making and ending the opaque handles, with all checks of what they are made
/// from.
//
//===----------------------------------------------------------------------===//

#include "runtime/context.h"

#include "runtime/checks.h"
#include "runtime/cuda/kernel.h"
#include "runtime/failure.h"
#include "runtime/timeline.h"

#include <cinttypes>
#include <cpuid.h>
#include <cstring>
#include <new>

using namespace fusco::runtime;

/// __builtin_cpu_supports of older clang does not know F16C.
static bool hasF16c() {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}

/// The first instruction set that code of \p cpuLevel needs and this machine
/// lacks; NULL if it has all of them.
static const char *findMissingCpuFeature(std::int32_t cpuLevel) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2"))
    return "AVX2";
  if (!__builtin_cpu_supports("fma"))
    return "FMA";
  if (!hasF16c())
    return "F16C";
  if (cpuLevel < FUSCO_CPU_AVX512)
    return nullptr;
  if (!__builtin_cpu_supports("avx512f"))
    return "AVX-512 F";
  if (!__builtin_cpu_supports("avx512bw"))
    return "AVX-512 BW";
  if (!__builtin_cpu_supports("avx512dq"))
    return "AVX-512 DQ";
  if (!__builtin_cpu_supports("avx512vl"))
    return "AVX-512 VL";
  return nullptr;
}

/// Refuses a library that was compiled for another machine than this one.
static fusco_status checkTarget(const char *function,
                                const fusco_library_info &info) {
  if (std::strcmp(info.target, "cpu") != 0)
    return fail(FUSCO_UNSUPPORTED,
                "%s: expected a library for target 'cpu', got '%s'", function,
                info.target);
  if (info.cpuLevel < FUSCO_CPU_AVX2 || info.cpuLevel > FUSCO_CPU_AVX512)
    return fail(FUSCO_UNSUPPORTED,
                "%s: expected a library for CPU level %d or %d, got %" PRId32,
                function, FUSCO_CPU_AVX2, FUSCO_CPU_AVX512, info.cpuLevel);
  if (const char *feature = findMissingCpuFeature(info.cpuLevel))
    return fail(FUSCO_UNSUPPORTED,
                "%s: model '%s' was compiled for a CPU with %s, which this one "
                "lacks; compile it for this machine",
                function, info.model, feature);
  return FUSCO_OK;
}

//===--- Context ----------------------------------------------------------===//

/// With a proxy where its kernels reach other nodes through the network.
static fusco_status makeGpuRank(fusco_domain &domain,
                                std::unique_ptr<GpuRank> &rank) {
  if (fusco_status status = GpuRank::create(*domain.gpu, rank))
    return status;
  if (!domain.networkHeaps)
    return FUSCO_OK;
  Membership &membership = *domain.membership;
  return rank->startPuts(
      *domain.gpu, *membership.getNetwork(), domain.networkHeaps->getBase(),
      [&membership](std::int32_t peer, fusco_status status) {
        if (membership.markFailed({peer, FUSCO_OK}) && status != FUSCO_OK)
          membership.reportFailure(status);
      });
}

fusco_status fusco_context_create(const fusco_library *library,
                                  fusco_domain *domain, std::int32_t rank,
                                  const fusco_context_config *config,
                                  fusco_context **context) {
  const fusco_context_config defaults = FUSCO_CONTEXT_CONFIG_INIT;
  if (!config)
    config = &defaults;
  if (fusco_status status = checkLibrary(__func__, library))
    return status;
  const fusco_library_info &info = *library->info;
  if (!domain)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: expected a domain, got NULL",
                __func__);
  if (!context)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected room for a context, got NULL", __func__);
  if (fusco_status status =
          checkStruct(__func__, "fusco_context_config", config->size,
                      sizeof(*config), config->version))
    return status;
  if (domain->library != library)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected a domain of model '%s', got one that was made "
                "for another library",
                __func__, info.model);
  if (rank < 0 || rank >= domain->numRanks)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected a rank from 0 to %" PRId32 ", got %" PRId32,
                __func__, domain->numRanks - 1, rank);
  if (!domain->gpu) // which was looked at when the domain was made
    if (fusco_status status = checkTarget(__func__, info))
      return status;
  if (domain->membership && rank != domain->membership->getRank())
    return fail(
        FUSCO_INVALID_ARGUMENT,
        "%s: expected rank %" PRId32
        ", the one that joined the domain in this process, got %" PRId32,
        __func__, domain->membership->getRank(), rank);
  if (std::optional<RankFailure> failure = domain->getFailure())
    return fail(FUSCO_BAD_STATE,
                "%s: the domain failed when %s; make a new one", __func__,
                describe(*failure).data);

  std::unique_ptr<fusco_context> made(new (std::nothrow) fusco_context{});
  if (made)
    made->peers.reset(new (std::nothrow) char *[domain->numRanks]());
  if (!made || !made->peers)
    return fail(FUSCO_OUT_OF_MEMORY, "%s: no memory for a context", __func__);
  if (domain->gpu)
    if (fusco_status status = makeGpuRank(*domain, made->onGpu))
      return status;
  made->library = library;
  made->domain = domain;
  if (info.numSpans > 0)
    if (fusco_status status = makeTimelines(*made))
      return status;
  if (domain->isTaken[rank].exchange(true))
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: rank %" PRId32
                " of this domain already has a context; destroy that one first",
                __func__, rank);
  made->rank = rank;
  made->timeoutUs = config->timeoutUs;
  std::int32_t firstOfNode = rank - rank % info.ranksPerNode;
  for (std::int32_t i = firstOfNode; i < firstOfNode + info.ranksPerNode; ++i)
    made->peers[i] = domain->bases[i];
  *context = made.release();
  return FUSCO_OK;
}

void fusco_context_destroy(fusco_context *context) {
  if (!context)
    return;
  if (context->onGpu) // a kernel may still use what ends here
    synchronizeKernels(*context, nullptr);
  context->domain->isTaken[context->rank].store(false);
  delete context;
}

fusco_status fusco_context_synchronize(fusco_context *context, void *stream) {
  if (!context)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: expected a context, got NULL",
                __func__);
  return context->onGpu ? synchronizeKernels(*context, stream) : FUSCO_OK;
}

std::int32_t fusco_context_rank(const fusco_context *context) {
  return context ? context->rank : -1;
}

std::int32_t fusco_context_num_ranks(const fusco_context *context) {
  return context ? context->domain->numRanks : 0;
}

//===--- Plan -------------------------------------------------------------===//

fusco_status fusco_plan_create(fusco_context *context, fusco_plan **plan) {
  if (!context)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: expected a context, got NULL",
                __func__);
  if (!plan)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected room for a plan, got NULL", __func__);
  std::unique_ptr<fusco_plan> made(new (std::nothrow) fusco_plan{
      context->library, context->domain, context->rank, false, 0, Memory()});
  if (!made)
    return fail(FUSCO_OUT_OF_MEMORY, "%s: no memory for a plan", __func__);
  const Gpu *gpu = context->domain->gpu.get();
  if (fusco_status status =
          allocateZeroed(gpu,
                         context->library->info->planBytes +
                             (gpu ? FUSCO_PLAN_TRAILER_BYTES : 0),
                         "a plan", made->memory))
    return status;
  *plan = made.release();
  return FUSCO_OK;
}

void fusco_plan_destroy(fusco_plan *plan) { delete plan; }

/// Reads what the program that filled \p plan left for the host.
static fusco_status readStats(const fusco_plan &plan, fusco_plan_stats &stats) {
  const fusco_library_info &info = *plan.library->info;
  const char *from = plan.memory.get() + info.planStatsBytes;
  const Gpu *gpu = plan.domain->gpu.get();
  if (!gpu) {
    std::memcpy(&stats, from, sizeof(stats));
    return FUSCO_OK;
  }
  std::uint64_t isFilled;
  if (fusco_status status = gpu->copyToHost(
          &isFilled, plan.memory.get() + info.planBytes, sizeof(isFilled)))
    return status;
  if (!isFilled)
    return failEmptyPlan({"fusco", "plan_get_info"});
  return gpu->copyToHost(&stats, from, sizeof(stats));
}

fusco_status fusco_plan_get_info(const fusco_plan *plan,
                                 fusco_plan_info *info) {
  if (!plan)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: expected a plan, got NULL",
                __func__);
  if (!info)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected a fusco_plan_info, got NULL", __func__);
  if (fusco_status status = checkStruct(__func__, "fusco_plan_info", info->size,
                                        sizeof(*info), info->version))
    return status;
  if (!plan->isFilled)
    return failEmptyPlan({"fusco", "plan_get_info"});
  fusco_plan_stats stats;
  if (fusco_status status = readStats(*plan, stats))
    return status;
  *info = {info->size,
           info->version,
           stats.tokens,
           stats.assignments,
           stats.rowsUniqueRank,
           stats.rowsUniqueNode,
           stats.rowsScaleUp,
           stats.rowsScaleOut,
           stats.rowsReceived,
           stats.rowsPadded,
           stats.unitsSent,
           stats.unitsForwarded,
           stats.assignmentsDropped};
  return FUSCO_OK;
}
