//===- pmix.cpp - Jobs that mpirun or srun started ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Rank, size and one published value. The types are those of pmix.h; nothing
/// of libpmix is linked.
//
//===----------------------------------------------------------------------===//

#include "runtime/bootstrap/pmix.h"

#include "runtime/bootstrap/address.h"
#include "runtime/status.h"
#include "runtime/symbols.h"

#include <cinttypes>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <pmix.h>

using namespace fusco::runtime;

/// Everything that waits for another process gives up after so long.
constexpr int patienceS = 60;

namespace {

/// The functions that we call.
struct Pmix {
  decltype(&PMIx_Init) init;
  decltype(&PMIx_Finalize) finalize;
  decltype(&PMIx_Get) get;
  decltype(&PMIx_Put) put;
  decltype(&PMIx_Commit) commit;
  decltype(&PMIx_Fence) fence;
  decltype(&PMIx_Error_string) errorString;

  /// The library stays open: it has threads.
  fusco_status open();
  fusco_status check(pmix_status_t result, const char *what) const {
    if (result == PMIX_SUCCESS)
      return FUSCO_OK;
    return fail(FUSCO_UNSUPPORTED, "%s failed: %s", what, errorString(result));
  }
};

fusco_status Pmix::open() {
  void *library = dlopen("libpmix.so.2", RTLD_NOW | RTLD_LOCAL);
  const char *reason = library ? nullptr : dlerror();
  if (library) {
    Symbols symbols = {library};
    symbols.find("PMIx_Init", init);
    symbols.find("PMIx_Finalize", finalize);
    symbols.find("PMIx_Get", get);
    symbols.find("PMIx_Put", put);
    symbols.find("PMIx_Commit", commit);
    symbols.find("PMIx_Fence", fence);
    symbols.find("PMIx_Error_string", errorString);
    reason = symbols.missing;
  }
  if (!reason)
    return FUSCO_OK;
  return fail(
      FUSCO_UNSUPPORTED,
      "the launcher speaks PMIx, but libpmix.so.2 cannot be used: %s%s; "
      "install it (Debian: libpmix2) or set RANK, WORLD_SIZE, "
      "MASTER_ADDR and MASTER_PORT on each rank",
      library ? "it lacks " : "", reason);
}

/// An option of a call.
pmix_info_t makeInfo(const char *key) {
  pmix_info_t info;
  std::memset(&info, 0, sizeof(info));
  std::strncpy(info.key, key, PMIX_MAX_KEYLEN);
  return info;
}

/// Ends what PMIx_Init began; PMIx counts, so that an MPI in this process goes
/// on.
struct Session {
  const Pmix &pmix;
  ~Session() { pmix.finalize(nullptr, 0); }
};

/// A number of the job.
fusco_status readNumber(const Pmix &pmix, const pmix_proc_t &job,
                        const char *key, std::uint32_t &number) {
  pmix_value_t *value = nullptr;
  if (fusco_status status =
          pmix.check(pmix.get(&job, key, nullptr, 0, &value), key))
    return status;
  bool isNumber = value->type == PMIX_UINT32;
  number = value->data.uint32;
  std::free(value);
  return isNumber ? FUSCO_OK
                  : fail(FUSCO_UNSUPPORTED, "%s is not a number", key);
}

/// Publishes \p text of rank 0 under \p key, for all.
fusco_status publish(const Pmix &pmix, const char *key,
                     const std::string &text) {
  pmix_value_t value;
  std::memset(&value, 0, sizeof(value));
  value.type = PMIX_STRING;
  value.data.string = const_cast<char *>(text.c_str());
  if (fusco_status status =
          pmix.check(pmix.put(PMIX_GLOBAL, key, &value), "PMIx_Put"))
    return status;
  return pmix.check(pmix.commit(), "PMIx_Commit");
}

} // namespace

fusco_status
fusco::runtime::findJobThroughPmix(Job &job,
                                   std::unique_ptr<RendezvousServer> &server) {
  // A key can be published once; a process may join several domains.
  static int numJobs = 0;
  Pmix pmix;
  if (fusco_status status = pmix.open())
    return status;
  pmix_proc_t self;
  if (fusco_status status =
          pmix.check(pmix.init(&self, nullptr, 0), "PMIx_Init"))
    return status;
  Session session{pmix};
  pmix_proc_t everybody = self;
  everybody.rank = PMIX_RANK_WILDCARD;
  std::uint32_t numRanks, numHere;
  if (fusco_status status =
          readNumber(pmix, everybody, PMIX_JOB_SIZE, numRanks))
    return status;
  if (readNumber(pmix, everybody, PMIX_LOCAL_SIZE, numHere) != FUSCO_OK)
    numHere = 0;
  job.rank = static_cast<std::int32_t>(self.rank);
  job.numRanks = static_cast<std::int32_t>(numRanks);

  const std::string key = "fusco.meeting." + std::to_string(numJobs++);
  fusco_status own = FUSCO_OK;
  char error[errorTextBytes] = "";
  if (job.rank == 0) {
    own = openServer(numHere == numRanks, server, job.host, job.port);
    if (own == FUSCO_OK)
      own = publish(pmix, key.c_str(),
                    makeToken() + " " + job.host + ":" +
                        std::to_string(job.port));
    std::snprintf(error, sizeof(error), "%s", fusco_last_error());
  }
  // Whatever happened: the others wait here.
  pmix_info_t options[2] = {makeInfo(PMIX_COLLECT_DATA),
                            makeInfo(PMIX_TIMEOUT)};
  options[0].value.type = PMIX_BOOL;
  options[0].value.data.flag = true;
  options[1].value.type = PMIX_INT;
  options[1].value.data.integer = patienceS;
  fusco_status met =
      pmix.check(pmix.fence(&everybody, 1, options, 2), "PMIx_Fence");
  if (own != FUSCO_OK)
    return fail(own, "%s", error);
  if (met != FUSCO_OK)
    return met;

  pmix_proc_t first = self;
  first.rank = 0;
  pmix_value_t *value = nullptr;
  if (fusco_status status = pmix.check(
          pmix.get(&first, key.c_str(), &options[1], 1, &value), "PMIx_Get"))
    return status;
  std::string text = value->type == PMIX_STRING ? value->data.string : "";
  if (value->type == PMIX_STRING)
    std::free(value->data.string);
  std::free(value);
  std::size_t space = text.find(' ');
  if (space == std::string::npos ||
      !parseAddress(text.substr(space + 1), job.host, job.port))
    return fail(FUSCO_PEER_FAILED,
                "expected rank 0 to publish where to meet, got '%s'",
                text.c_str());
  job.token = text.substr(0, space);
  return FUSCO_OK;
}
