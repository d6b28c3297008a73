/* Two processes join a domain with a communicator of their own, of the NCCL
 * that FUSCO_LIBNCCL names, and dispatch 8 tokens each. Prints how that went,
 * and whether the communicator outlived the domain. An argument spoils it:
 * "some" gives it on rank 0 alone, "swapped" gives each the other's rank. */
#include "dispatch-once.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { numRanks = 2, inProgress = 7 };

struct id {
  char internal[128];
};
struct config {
  size_t size;
  unsigned magic, version;
  int blocking, more[18];
};

/* What the processes share: a barrier and room for its exchange. */
static struct {
  int arrived, round;
  struct id id;
  char all[numRanks][4096];
} * shared;

static void meet(void) {
  int round = __atomic_load_n(&shared->round, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&shared->arrived, 1, __ATOMIC_ACQ_REL) == numRanks) {
    shared->arrived = 0;
    __atomic_add_fetch(&shared->round, 1, __ATOMIC_RELEASE);
  }
  while (__atomic_load_n(&shared->round, __ATOMIC_ACQUIRE) == round)
    sched_yield();
}

static int32_t allgather(const void *mine, void *all, uint64_t bytes,
                         void *user) {
  const int *rank = user;
  if (bytes > sizeof shared->all[0])
    return 1;
  memcpy(shared->all[*rank], mine, bytes);
  meet();
  for (int i = 0; i < numRanks; ++i)
    memcpy((char *)all + i * bytes, shared->all[i], bytes);
  meet();
  return 0;
}

static void *find(const char *name) {
  static void *library = NULL;
  if (!library)
    library = dlopen(getenv("FUSCO_LIBNCCL"), RTLD_NOW);
  return dlsym(library, name);
}

static int runRank(int rank, const char *how) {
  int (*getId)(struct id *) = (int (*)(struct id *))find("ncclGetUniqueId");
  int (*init)(void **, int, struct id, int, struct config *) =
      (int (*)(void **, int, struct id, int, struct config *))find(
          "ncclCommInitRankConfig");
  int (*ask)(void *, int *) =
      (int (*)(void *, int *))find("ncclCommGetAsyncError");
  int (*count)(void *, int *) = (int (*)(void *, int *))find("ncclCommCount");
  if (rank == 0)
    getId(&shared->id);
  meet();
  struct config config = {sizeof config, 0xcafebeef, 22800, 0, {0}};
  void *comm = NULL;
  int isSwapped = strcmp(how, "swapped") == 0;
  int state =
      init(&comm, numRanks, shared->id, isSwapped ? 1 - rank : rank, &config);
  while (state == inProgress)
    ask(comm, &state);

  fusco_domain_config job = FUSCO_DOMAIN_CONFIG_INIT;
  job.transport = "nccl";
  job.allgather = allgather;
  job.user = &rank;
  job.rank = rank;
  job.numRanks = numRanks;
  job.ncclComm = strcmp(how, "some") == 0 && rank != 0 ? NULL : comm;
  fusco_domain *domain = NULL;
  fusco_context *context = NULL;
  const int64_t rows[numTensors] = {8, 8, 8, 64, 64, 0, 0};
  fusco_status status = fusco_domain_join(m_library(), &job, &domain);
  if (status == FUSCO_OK)
    status = fusco_context_create(m_library(), domain, rank, NULL, &context);
  if (status == FUSCO_OK)
    status = dispatchOnce(context, rows);
  if (status == FUSCO_OK)
    status = fusco_context_synchronize(context, NULL);
  printf("rank %d: %s %s\n", rank, fusco_status_name(status),
         status == FUSCO_OK ? "" : fusco_last_error());
  fusco_context_destroy(context);
  fusco_domain_destroy(domain);
  int ranks = 0;
  if (count(comm, &ranks) == 0 && ranks == numRanks)
    printf("rank %d still has its communicator\n", rank);
  return status != FUSCO_OK;
}

int main(int argc, char **argv) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int rank = fork() == 0;
  int failed = runRank(rank, argc > 1 ? argv[1] : "");
  fflush(stdout);
  int other = 0;
  if (rank == 0)
    wait(&other);
  return failed || other;
}
