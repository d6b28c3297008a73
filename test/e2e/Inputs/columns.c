/* Dispatches nothing on 2 ranks, with scales by columns that are as long as
 * rows, then with others. Prints what rank 0 was told. */
#include "m.h"

#include <stdio.h>

enum { numTensors = 7 };

static fusco_status dispatch(fusco_context *context, int64_t scaleRows) {
  const char *names[numTensors] = {"x",      "ids",    "weights", "rows",
                                   "scales", "counts", "offsets"};
  const int64_t rows[numTensors] = {0, 0, 0, 64, scaleRows, 0, 0};
  DLManagedTensor *t[numTensors] = {0};
  fusco_plan *plan = NULL;
  fusco_status status = fusco_plan_create(context, &plan);
  for (int i = 0; i < numTensors && status == FUSCO_OK; ++i)
    status =
        fusco_tensor_create_for(context, "dispatch", names[i], rows[i], &t[i]);
  if (status == FUSCO_OK)
    status = m_dispatch(context, plan, &t[0]->dl_tensor, &t[1]->dl_tensor,
                        &t[2]->dl_tensor, &t[3]->dl_tensor, &t[4]->dl_tensor,
                        &t[5]->dl_tensor, &t[6]->dl_tensor, NULL);
  for (int i = 0; i < numTensors; ++i)
    if (t[i])
      t[i]->deleter(t[i]);
  fusco_plan_destroy(plan);
  return status;
}

static fusco_status run(fusco_context *context, void *user) {
  fusco_status first = dispatch(context, 64);
  fusco_status second = dispatch(context, 72);
  if (fusco_context_rank(context) == 0)
    printf("%s, then %s\n", fusco_status_name(first), fusco_last_error());
  (void)user;
  (void)second;
  return FUSCO_OK;
}

int main(void) { return fusco_launch_threads(m_library(), NULL, run, NULL); }
