//===- context.cpp - Domains, contexts and plans --------------------------===//
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

#include "runtime/cuda/kernel.h"
#include "runtime/failure.h"

#include <cinttypes>
#include <cpuid.h>
#include <cstring>
#include <new>

using namespace fusco::runtime;

/// Refuses what is no library of this ABI. Reads nothing but the magic and the
/// version before they are known to be right.
static fusco_status checkLibrary(const char *function,
                                 const fusco_library *library) {
  if (!library || !library->info)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: expected a library, got NULL",
                function);
  const fusco_library_info &info = *library->info;
  if (info.magic != FUSCO_LIBRARY_MAGIC)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected a fusco library, got one with magic 0x%" PRIx64,
                function, info.magic);
  if (info.abiVersion != FUSCO_ABI_VERSION)
    return fail(FUSCO_VERSION_MISMATCH,
                "%s: expected a library of ABI version %d, got %" PRIu32
                "; compile the model again",
                function, FUSCO_ABI_VERSION, info.abiVersion);
  if (info.size != sizeof(info))
    return fail(FUSCO_VERSION_MISMATCH,
                "%s: expected a library description of %zu bytes, got %" PRIu32
                "; compile the model again",
                function, sizeof(info), info.size);
  return FUSCO_OK;
}

/// Refuses a struct that a caller compiled against another header.
static fusco_status checkStruct(const char *function, const char *name,
                                std::uint32_t size, std::size_t expectedSize,
                                std::uint32_t version) {
  if (size == expectedSize && version == FUSCO_ABI_VERSION)
    return FUSCO_OK;
  return fail(FUSCO_VERSION_MISMATCH,
              "%s: expected a %s of %zu bytes and version %d, got %" PRIu32
              " bytes and version %" PRIu32
              "; initialise it with its _INIT macro",
              function, name, expectedSize, FUSCO_ABI_VERSION, size, version);
}

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

//===--- Domain -----------------------------------------------------------===//

/// Makes what kernels of all ranks share: where each rank's heap is, and who
/// failed first.
static fusco_status showHeapsToGpu(fusco_domain &domain) {
  const Gpu *gpu = domain.gpu.get();
  if (fusco_status status =
          allocateZeroed(gpu, sizeof(std::int64_t), "the domain's state",
                         domain.failedRankOnGpu))
    return status;
  if (fusco_status status =
          allocateZeroed(gpu, domain.numRanks * sizeof(char *),
                         "the addresses of heaps", domain.peersOnGpu))
    return status;
  for (std::int32_t rank = 0; rank < domain.numRanks; ++rank) {
    char *heap = domain.heaps[rank].get();
    if (fusco_status status = gpu->copyFromHost(
            domain.peersOnGpu.get() + rank * sizeof(heap), &heap, sizeof(heap)))
      return status;
  }
  return FUSCO_OK;
}

fusco_status fusco_domain_create(const fusco_library *library,
                                 fusco_domain **domain) {
  if (fusco_status status = checkLibrary(__func__, library))
    return status;
  if (!domain)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected room for a domain, got NULL", __func__);

  const fusco_library_info &info = *library->info;
  std::unique_ptr<fusco_domain> made(new (std::nothrow) fusco_domain);
  if (made && library->device)
    if (fusco_status status = Gpu::open(*library, made->gpu))
      return status;
  if (made) {
    made->library = library;
    made->numRanks = info.numNodes * info.ranksPerNode;
    made->heaps.reset(new (std::nothrow) Memory[made->numRanks]);
    made->isTaken.reset(new (std::nothrow) std::atomic<bool>[made->numRanks]());
  }
  if (!made || !made->heaps || !made->isTaken)
    return fail(FUSCO_OUT_OF_MEMORY, "%s: no memory for a domain", __func__);
  for (std::int32_t rank = 0; rank < made->numRanks; ++rank) {
    if (fusco_status status =
            allocateZeroed(made->gpu.get(), info.symmetricBytes,
                           "a rank's symmetric heap", made->heaps[rank]))
      return status;
  }
  if (made->gpu)
    if (fusco_status status = showHeapsToGpu(*made))
      return status;
  *domain = made.release();
  return FUSCO_OK;
}

void fusco_domain_destroy(fusco_domain *domain) { delete domain; }

//===--- Context ----------------------------------------------------------===//

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
  if (!config->transport || std::strcmp(config->transport, "local") != 0)
    return fail(FUSCO_UNSUPPORTED,
                "%s: expected transport 'local', the only one there is, got "
                "'%s'",
                __func__, config->transport ? config->transport : "NULL");
  if (!domain->gpu) // which was looked at when the domain was made
    if (fusco_status status = checkTarget(__func__, info))
      return status;
  std::int32_t failedRank = domain->firstFailedRank.load();
  if (failedRank >= 0)
    return fail(FUSCO_BAD_STATE,
                "%s: the domain failed when rank %" PRId32
                " timed out; make a new domain",
                __func__, failedRank);

  std::unique_ptr<fusco_context> made(new (std::nothrow) fusco_context{});
  if (made)
    made->peers.reset(new (std::nothrow) char *[domain->numRanks]());
  if (!made || !made->peers)
    return fail(FUSCO_OUT_OF_MEMORY, "%s: no memory for a context", __func__);
  if (domain->gpu)
    if (fusco_status status = GpuRank::create(*domain->gpu, made->onGpu))
      return status;
  if (domain->isTaken[rank].exchange(true))
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: rank %" PRId32
                " of this domain already has a context; destroy that one first",
                __func__, rank);
  made->library = library;
  made->domain = domain;
  made->rank = rank;
  made->timeoutUs = config->timeoutUs;
  std::int32_t firstOfNode = rank - rank % info.ranksPerNode;
  for (std::int32_t i = firstOfNode; i < firstOfNode + info.ranksPerNode; ++i)
    made->peers[i] = domain->heaps[i].get();
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
  *info = {info->size,        info->version,        stats.tokens,
           stats.assignments, stats.rowsUniqueRank, stats.rowsUniqueNode,
           stats.rowsScaleUp, stats.rowsScaleOut,   stats.rowsReceived,
           stats.rowsPadded};
  return FUSCO_OK;
}
