/* Dispatches 8 tokens of each of 4 ranks to expert 0 alone, which has 16 slots;
 * then no token, which fits. Prints what each rank was told. */
#include "m.h"

#include <stdio.h>

enum { numTensors = 7 };

static fusco_status dispatch(fusco_context *context, int64_t tokens) {
  const char *names[numTensors] = {"x",      "ids",    "weights", "rows",
                                   "scales", "counts", "offsets"};
  DLManagedTensor *t[numTensors] = {0};
  fusco_plan *plan = NULL;
  fusco_status status = fusco_plan_create(context, &plan);
  for (int i = 0; i < numTensors && status == FUSCO_OK; ++i)
    status =
        fusco_tensor_create_for(context, "dispatch", names[i], tokens, &t[i]);
  if (status == FUSCO_OK) /* tensors are zeros: ids are all 0 */
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
  char text[256];
  fusco_status first = dispatch(context, 8);
  snprintf(text, sizeof text, "%s", fusco_last_error());
  fusco_status second = dispatch(context, 0);
  printf("%s %s, then %s\n", fusco_status_name(first), text,
         fusco_status_name(second));
  (void)user;
  return FUSCO_OK;
}

int main(void) { return fusco_launch_threads(m_library(), NULL, run, NULL); }
