/* Dispatches with tables of placement, good ones and bad ones. */
#include "m.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { numTokens = 2, numPhysical = 16 };

/* What the rank's table is: kind 0 is good, 1 lacks expert 9 on rank 1, 2 has
 * expert 10 there, 3 is another one there. */
static void fillTable(int32_t *table, int kind, int32_t rank) {
  for (int i = 0; i < numPhysical; ++i)
    table[i] = i % 10;
  if (rank != 1)
    return;
  if (kind == 1)
    table[9] = 0;
  if (kind == 2)
    table[3] = 10; /* 13 is expert 3, too */
  if (kind == 3)
    table[15] = 6;
}

static char text[4][512];
static fusco_status statuses[4];

static fusco_status dispatchOnce(fusco_context *context, void *kind) {
  const char *names[] = {"x",    "ids",    "weights", "placement",
                         "rows", "counts", "offsets"};
  DLManagedTensor *t[7];
  fusco_plan *plan = NULL;
  int32_t rank = fusco_context_rank(context);
  fusco_status status = fusco_plan_create(context, &plan);
  for (int i = 0; i < 7 && status == FUSCO_OK; ++i)
    status = fusco_tensor_create_for(context, "dispatch", names[i],
                                     i == 4 ? M_MAX_ROWS : numTokens, &t[i]);
  if (status)
    return status;
  int32_t *ids = t[1]->dl_tensor.data;
  for (int i = 0; i < numTokens * M_TOPK; ++i)
    ids[i] = i % M_EXPERTS;
  fillTable(t[3]->dl_tensor.data, *(int *)kind, rank);
  status = m_dispatch(context, plan, &t[0]->dl_tensor, &t[1]->dl_tensor,
                      &t[2]->dl_tensor, &t[3]->dl_tensor, &t[4]->dl_tensor,
                      &t[5]->dl_tensor, &t[6]->dl_tensor, NULL);
  statuses[rank] = status;
  strncpy(text[rank], fusco_last_error(), sizeof(text[rank]) - 1);
  for (int i = 0; i < 7; ++i)
    t[i]->deleter(t[i]);
  fusco_plan_destroy(plan);
  return FUSCO_OK;
}

int main(void) {
  const char *kinds[] = {"good", "lacks", "large", "differs"};
  for (int i = 0; i < 5; ++i) {
    int kind = i % 4;
    if (fusco_launch_threads(m_library(), NULL, dispatchOnce, &kind))
      return printf("%s\n", fusco_last_error()), 1;
    printf("%s: %s %s\n", kinds[kind], fusco_status_name(statuses[1]),
           statuses[1] ? text[1] : "");
    printf("%s, rank 0: %s\n", kinds[kind], fusco_status_name(statuses[0]));
  }
  return 0;
}
