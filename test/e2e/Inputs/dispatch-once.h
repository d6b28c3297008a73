/* A dispatch of the entry point m_dispatch, with scales, into tensors that are
 * made for it. */
#ifndef FUSCO_TEST_DISPATCH_ONCE_H
#define FUSCO_TEST_DISPATCH_ONCE_H

#include "m.h"

#include <stddef.h>

enum { numTensors = 7 };

/* In the order x, ids, weights, rows, scales, counts, offsets: how many rows
 * each has where that is known at run time only. Tensors are zeros. */
static fusco_status dispatchOnce(fusco_context *context,
                                 const int64_t rows[numTensors]) {
  const char *names[numTensors] = {"x",      "ids",    "weights", "rows",
                                   "scales", "counts", "offsets"};
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

#endif
