/*===- two-tensors.c - Rows and their scales, dispatched as they are ------===//
 *
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===----------------------------------------------------------------------===*/
/**
 * \file
 * Calls the dispatch of two-tensors.mlir on every rank, twice, each time then
 * the dispatch of other rows by the same plan, and compares all bits of rows,
 * scales, counts and offsets. Prints OK, or what is wrong.
 */
#include "m.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  RANKS = M_NODES * M_RANKS_PER_NODE,
  SCALES = 5,
  X = 0,
  X_1,
  IDS,
  ROWS,
  ROWS_1,
  COUNTS,
  OFFSETS,
  NUM_TENSORS
};

static const char *const names[NUM_TENSORS] = {
    "x", "x_1", "ids", "rows", "rows_1", "counts", "offsets"};

/* Bits of anything that is numbered: all 256 float8, NaNs and all. */
static uint32_t bitsOf(uint32_t round, uint32_t rank, uint32_t token,
                       uint32_t column) {
  uint32_t bits = ((round * 31 + rank) * 1009 + token) * 2003 + column + 1;
  bits *= 2654435761u;
  bits ^= bits >> 15;
  bits *= 2246822519u;
  return bits ^ bits >> 13;
}

static int32_t tokensOf(int32_t rank) { return rank == 1 ? 0 : 32 - 7 * rank; }

/* Repeats, and -1 for none. */
static int32_t idOf(uint32_t round, uint32_t rank, uint32_t token, uint32_t k) {
  return (int32_t)(bitsOf(round + 2, rank, token, k) % (M_EXPERTS + 1)) - 1;
}

static void makeRow(uint32_t round, uint32_t rank, uint32_t token,
                    uint8_t *row) {
  for (uint32_t column = 0; column < M_HIDDEN; ++column)
    row[column] = (uint8_t)(bitsOf(round, rank, token, column) >> 8);
}

static void makeScales(uint32_t round, uint32_t rank, uint32_t token,
                       uint32_t *row) {
  for (uint32_t column = 0; column < SCALES; ++column)
    row[column] = bitsOf(round, rank, token, M_HIDDEN + column);
}

static int differ(int32_t rank, const char *what, int32_t row) {
  fprintf(stderr, "rank %d: %s differ at row %d\n", rank, what, row);
  return 1;
}

/* Whether anything that rank got is not what all ranks sent. */
static int check(uint32_t round, uint32_t contents, int32_t rank,
                 const uint8_t *rows, const uint32_t *scales,
                 const int32_t *counts, const int32_t *offsets) {
  const int32_t least = M_EXPERTS / RANKS, more = M_EXPERTS % RANKS;
  const int32_t first = rank * least + (rank < more ? rank : more);
  int32_t row = 0;
  for (int32_t local = 0; local < least + (rank < more); ++local) {
    const int32_t begin = row;
    if (offsets[local] != row)
      return differ(rank, "offsets", local);
    for (int32_t source = 0; source < RANKS; ++source)
      for (int32_t token = 0; token < tokensOf(source); ++token)
        for (int32_t k = 0; k < M_TOPK; ++k) {
          uint8_t wantedRow[M_HIDDEN];
          uint32_t wantedScales[SCALES];
          if (idOf(round, source, token, k) != first + local)
            continue;
          makeRow(contents, source, token, wantedRow);
          makeScales(contents, source, token, wantedScales);
          if (memcmp(rows + row * M_HIDDEN, wantedRow, sizeof wantedRow))
            return differ(rank, "rows", row);
          if (memcmp(scales + row * SCALES, wantedScales, sizeof wantedScales))
            return differ(rank, "scales", row);
          ++row;
        }
    if (counts[local] != row - begin)
      return differ(rank, "counts", local);
    for (; row % M_ALIGN_ROWS != 0; ++row) {
      for (int32_t column = 0; column < M_HIDDEN; ++column)
        if (rows[row * M_HIDDEN + column] != 0)
          return differ(rank, "pads of rows", row);
      for (int32_t column = 0; column < SCALES; ++column)
        if (scales[row * SCALES + column] != 0)
          return differ(rank, "pads of scales", row);
    }
  }
  return 0;
}

static uint64_t bytesOf(const DLTensor *tensor) {
  uint64_t bytes = tensor->dtype.bits / 8;
  for (int32_t i = 0; i < tensor->ndim; ++i)
    bytes *= (uint64_t)tensor->shape[i];
  return bytes;
}

/* Dispatches rows of \p contents as \p round routes them: with \p isAgain, by
 * the plan that a dispatch of that round has left. */
static fusco_status run(fusco_context *context, fusco_plan *plan,
                        uint32_t round, uint32_t contents, int isAgain,
                        DLManagedTensor **t) {
  const int32_t rank = fusco_context_rank(context), tokens = tokensOf(rank);
  fusco_status status = FUSCO_OK;
  void *host[NUM_TENSORS];
  for (int i = 0; i < NUM_TENSORS; ++i) {
    host[i] = malloc(bytesOf(&t[i]->dl_tensor) + 1);
    memset(host[i], 0xA5, bytesOf(&t[i]->dl_tensor));
  }
  for (int32_t token = 0; token < tokens; ++token) {
    makeRow(contents, rank, token, (uint8_t *)host[X] + token * M_HIDDEN);
    makeScales(contents, rank, token, (uint32_t *)host[X_1] + token * SCALES);
    for (int32_t k = 0; k < M_TOPK; ++k)
      ((int32_t *)host[IDS])[token * M_TOPK + k] = idOf(round, rank, token, k);
  }
  for (int i = 0; i < (isAgain ? COUNTS : NUM_TENSORS) && status == FUSCO_OK;
       ++i)
    status = fusco_copy_to_device(context, t[i]->dl_tensor.data, host[i],
                                  bytesOf(&t[i]->dl_tensor));
  if (status == FUSCO_OK && isAgain)
    status = m_again(context, plan, &t[X]->dl_tensor, &t[X_1]->dl_tensor,
                     &t[ROWS]->dl_tensor, &t[ROWS_1]->dl_tensor, NULL);
  else if (status == FUSCO_OK)
    status = m_dispatch(context, plan, &t[X]->dl_tensor, &t[X_1]->dl_tensor,
                        &t[IDS]->dl_tensor, &t[ROWS]->dl_tensor,
                        &t[ROWS_1]->dl_tensor, &t[COUNTS]->dl_tensor,
                        &t[OFFSETS]->dl_tensor, NULL);
  if (status == FUSCO_OK)
    status = fusco_context_synchronize(context, NULL);
  for (int i = ROWS; i < NUM_TENSORS && status == FUSCO_OK; ++i)
    status = fusco_copy_to_host(context, host[i], t[i]->dl_tensor.data,
                                bytesOf(&t[i]->dl_tensor));
  if (status == FUSCO_OK &&
      check(round, contents, rank, (uint8_t *)host[ROWS],
            (uint32_t *)host[ROWS_1], (int32_t *)host[COUNTS],
            (int32_t *)host[OFFSETS]))
    exit(1);
  for (int i = 0; i < NUM_TENSORS; ++i)
    free(host[i]);
  return status;
}

static fusco_status rankMain(fusco_context *context, void *user) {
  DLManagedTensor *t[NUM_TENSORS];
  fusco_plan *plan;
  fusco_status status = fusco_plan_create(context, &plan);
  (void)user;
  for (int i = 0; i < NUM_TENSORS && status == FUSCO_OK; ++i)
    status = fusco_tensor_create_for(
        context, "dispatch", names[i],
        i < ROWS ? tokensOf(fusco_context_rank(context)) : M_MAX_ROWS, &t[i]);
  for (uint32_t round = 0; round < 2 && status == FUSCO_OK; ++round)
    for (int isAgain = 0; isAgain < 2 && status == FUSCO_OK; ++isAgain)
      status = run(context, plan, round, round + 10 * isAgain, isAgain, t);
  return status;
}

int main(void) {
  fusco_status status = fusco_launch_threads(m_library(), NULL, rankMain, NULL);
  if (status == FUSCO_OK)
    puts("OK");
  else
    fprintf(stderr, "%s %s\n", fusco_status_name(status), fusco_last_error());
  return status;
}
