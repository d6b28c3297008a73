//===- domain.cpp - The ranks that shuffle with each other ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Domains whose ranks are all in this process, and what all domains share.
/// Those that a process joins are made in join.cpp.
//
//===----------------------------------------------------------------------===//

#include "runtime/domain.h"

#include "runtime/checks.h"
#include "runtime/failure.h"
#include "runtime/status.h"

#include <new>

using namespace fusco::runtime;

//===--- Failure ----------------------------------------------------------===//

constexpr std::int64_t statusShift = 32;

bool fusco_domain::markFailed(RankFailure first) {
  std::int64_t none = -1;
  std::int64_t packed =
      static_cast<std::int64_t>(first.status) << statusShift | first.rank;
  return failure.compare_exchange_strong(none, packed);
}

std::optional<RankFailure> fusco_domain::getFailure() const {
  std::int64_t packed = failure.load();
  if (packed < 0)
    return std::nullopt;
  return RankFailure{static_cast<std::int32_t>(packed),
                     static_cast<fusco_status>(packed >> statusShift)};
}

//===--- Making and ending ------------------------------------------------===//

fusco_status fusco::runtime::makeDomain(const char *function,
                                        const fusco_library *library,
                                        std::unique_ptr<fusco_domain> &domain) {
  const fusco_library_info &info = *library->info;
  std::unique_ptr<fusco_domain> made(new (std::nothrow) fusco_domain);
  if (made) {
    made->library = library;
    made->numRanks = info.numNodes * info.ranksPerNode;
    made->bases.reset(new (std::nothrow) char *[made->numRanks]());
    made->isTaken.reset(new (std::nothrow) std::atomic<bool>[made->numRanks]());
  }
  if (!made || !made->bases || !made->isTaken)
    return fail(FUSCO_OUT_OF_MEMORY, "%s: no memory for a domain", function);
  domain = std::move(made);
  return FUSCO_OK;
}

fusco_status fusco::runtime::showBasesToGpu(fusco_domain &domain) {
  const Gpu *gpu = domain.gpu.get();
  if (fusco_status status =
          allocateZeroed(gpu, sizeof(std::int64_t), "the domain's state",
                         domain.failedRankOnGpu))
    return status;
  const std::uint64_t bytes = domain.numRanks * sizeof(char *);
  if (fusco_status status = allocateZeroed(gpu, bytes, "the addresses of heaps",
                                           domain.peersOnGpu))
    return status;
  return gpu->copyFromHost(domain.peersOnGpu.get(), domain.bases.get(), bytes);
}

fusco_status fusco_domain_create(const fusco_library *library,
                                 fusco_domain **domain) {
  if (fusco_status status = checkLibrary(__func__, library))
    return status;
  if (!domain)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected room for a domain, got NULL", __func__);
  std::unique_ptr<fusco_domain> made;
  if (fusco_status status = makeDomain(__func__, library, made))
    return status;
  if (library->device)
    if (fusco_status status =
            Gpu::open(*library, made->numRanks, /*ordinal=*/0, made->gpu))
      return status;
  made->heaps.reset(new (std::nothrow) Memory[made->numRanks]);
  if (!made->heaps)
    return fail(FUSCO_OUT_OF_MEMORY, "%s: no memory for a domain", __func__);
  for (std::int32_t rank = 0; rank < made->numRanks; ++rank) {
    if (fusco_status status =
            allocateZeroed(made->gpu.get(), library->info->symmetricBytes,
                           "a rank's symmetric heap", made->heaps[rank]))
      return status;
    made->bases[rank] = made->heaps[rank].get();
  }
  if (made->gpu)
    if (fusco_status status = showBasesToGpu(*made))
      return status;
  *domain = made.release();
  return FUSCO_OK;
}

void fusco_domain_destroy(fusco_domain *domain) { delete domain; }

std::int32_t fusco_domain_rank(const fusco_domain *domain) {
  return domain && domain->membership ? domain->membership->getRank() : -1;
}

DLDevice fusco_domain_device(const fusco_domain *domain) {
  return domain ? domain->getDevice() : DLDevice{kDLCPU, 0};
}

fusco_status fusco_domain_status(const fusco_domain *domain) {
  if (!domain)
    return fail(FUSCO_INVALID_ARGUMENT, "%s: expected a domain, got NULL",
                __func__);
  if (std::optional<RankFailure> failure = domain->getFailure())
    return fail(FUSCO_PEER_FAILED, "%s", describe(*failure).data);
  return FUSCO_OK;
}

void fusco_domain_abort(fusco_domain *domain, fusco_status status) {
  if (!domain || !domain->membership)
    return;
  if (domain->markFailed({domain->membership->getRank(), status}))
    domain->membership->reportFailure(status);
}

fusco_status fusco_domain_allgather(fusco_domain *domain, const void *mine,
                                    void *all, std::uint64_t bytes) {
  if (!domain || !domain->membership)
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected a domain that this process has joined, got %s",
                __func__, domain ? "one that has all ranks here" : "NULL");
  if (bytes > 0 && (!mine || !all))
    return fail(FUSCO_INVALID_ARGUMENT,
                "%s: expected %llu bytes to collect, got NULL", __func__,
                static_cast<unsigned long long>(bytes));
  if (fusco_status status = fusco_domain_status(domain))
    return status;
  return domain->membership->allGather("the host's own exchange", mine, bytes,
                                       all);
}
