/* A consumer beside each of 4 ranks takes the tiles of a dispatch as they
 * become whole, without waiting for the dispatch: each row must be the one that
 * its token and expert say. Dispatches go on until some consumer took a tile
 * while its rank still waited for others. */
#include "m.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum {
  numTensors = 8,
  tokens = 512,
  tileRows = M_ALIGN_ROWS,
  maxTiles = M_MAX_ROWS / M_ALIGN_ROWS,
  maxSteps = 200
};

typedef struct {
  pthread_t thread;
  const float *rows;
  const int32_t *counts, *offsets;
  int32_t *ready;
  int rank, numWrong, numTaken, hasEnded, tookEarly;
} Consumer;

static int32_t read(int32_t *at) {
  return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* Element 0 of a token's row is its number over all ranks; its id follows from
 * that, so that an expert knows its own rows. */
static int expertOf(int token) { return token * 7 % M_EXPERTS; }

/* How many rows tile i of the rank has, and of which of its experts. */
static int32_t rowsOf(const Consumer *c, int32_t i, int *expert) {
  int32_t first = i * tileRows;
  for (int e = 0; e < M_LOCAL_EXPERTS; ++e)
    if (first >= c->offsets[e] && first < c->offsets[e + 1]) {
      int32_t rest = c->offsets[e] + c->counts[e] - first;
      *expert = c->rank * M_LOCAL_EXPERTS + e;
      return rest < tileRows ? rest : tileRows;
    }
  return 0;
}

static void *consume(void *user) {
  Consumer *c = user;
  char isTaken[maxTiles] = {0};
  while (read(&c->ready[0]) == 0)
    sched_yield();
  int32_t numTiles = c->offsets[M_LOCAL_EXPERTS] / tileRows;
  for (; c->numTaken < numTiles; sched_yield())
    for (int32_t i = 0; i < numTiles; ++i) {
      int expert = -1;
      int32_t rows = rowsOf(c, i, &expert);
      if (isTaken[i] || read(&c->ready[1 + i]) != rows)
        continue;
      isTaken[i] = 1;
      ++c->numTaken;
      c->tookEarly |= !__atomic_load_n(&c->hasEnded, __ATOMIC_RELAXED);
      for (int32_t row = i * tileRows; row < (i + 1) * tileRows; ++row) {
        const float *at = c->rows + (size_t)row * M_HIDDEN;
        int isPad = row >= i * tileRows + rows;
        for (int h = 0; h < M_HIDDEN; ++h)
          c->numWrong += isPad ? at[h] != 0 : at[h] != at[0] + (float)h;
        c->numWrong += !isPad && expertOf((int)at[0]) != expert;
      }
    }
  return NULL;
}

static int tookEarly, numWrong, numTaken;

static fusco_status step(fusco_context *context, fusco_plan *plan,
                         DLManagedTensor **t) {
  Consumer c = {0};
  c.rank = fusco_context_rank(context);
  c.rows = t[3]->dl_tensor.data;
  c.counts = t[4]->dl_tensor.data;
  c.offsets = t[5]->dl_tensor.data;
  c.ready = t[7]->dl_tensor.data;
  memset(c.ready, 0, (1 + maxTiles) * sizeof(int32_t));
  memset(t[3]->dl_tensor.data, 0x5A, sizeof(float) * M_MAX_ROWS * M_HIDDEN);
  pthread_create(&c.thread, NULL, consume, &c);
  fusco_status status =
      m_dispatch(context, plan, &t[0]->dl_tensor, &t[1]->dl_tensor,
                 &t[2]->dl_tensor, &t[3]->dl_tensor, &t[4]->dl_tensor,
                 &t[5]->dl_tensor, &t[6]->dl_tensor, &t[7]->dl_tensor, NULL);
  __atomic_store_n(&c.hasEnded, 1, __ATOMIC_RELAXED);
  if (status == FUSCO_OK)
    pthread_join(c.thread, NULL);
  __atomic_fetch_or(&tookEarly, c.tookEarly, __ATOMIC_RELAXED);
  __atomic_fetch_add(&numWrong, c.numWrong, __ATOMIC_RELAXED);
  __atomic_fetch_add(&numTaken, c.numTaken, __ATOMIC_RELAXED);
  return status;
}

static pthread_barrier_t allRanks;

static fusco_status run(fusco_context *context, void *user) {
  const char *names[numTensors] = {"x",      "ids",     "weights",     "rows",
                                   "counts", "offsets", "row_weights", "ready"};
  DLManagedTensor *t[numTensors];
  fusco_plan *plan;
  fusco_status status = fusco_plan_create(context, &plan);
  for (int i = 0; i < numTensors && status == FUSCO_OK; ++i)
    status = fusco_tensor_create_for(context, "dispatch", names[i],
                                     i < 3 ? tokens : M_MAX_ROWS, &t[i]);
  if (status != FUSCO_OK)
    return status;
  int first = fusco_context_rank(context) * tokens;
  for (int i = 0; i < tokens; ++i) {
    ((int32_t *)t[1]->dl_tensor.data)[i] = expertOf(first + i);
    for (int h = 0; h < M_HIDDEN; ++h)
      ((float *)t[0]->dl_tensor.data)[i * M_HIDDEN + h] =
          (float)(first + i + h);
  }
  for (int i = 0; i < maxSteps && status == FUSCO_OK; ++i) {
    pthread_barrier_wait(&allRanks);
    int isOver = i > 2 && tookEarly;
    pthread_barrier_wait(&allRanks);
    if (isOver)
      break;
    status = step(context, plan, t);
  }
  (void)user;
  return status;
}

int main(void) {
  pthread_barrier_init(&allRanks, NULL, 4);
  fusco_status status = fusco_launch_threads(m_library(), NULL, run, NULL);
  printf("%s %s\n", fusco_status_name(status), fusco_last_error());
  printf("tiles taken: %s, wrong elements: %d, %s\n",
         numTaken ? "some" : "none", numWrong,
         tookEarly ? "early" : "never early");
  return status;
}
