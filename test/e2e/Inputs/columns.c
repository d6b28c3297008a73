/* Dispatches nothing on 2 ranks, with scales by columns that are as long as
 * rows, then with others. Prints what rank 0 was told. */
#include "dispatch-once.h"

#include <stdio.h>

static fusco_status run(fusco_context *context, void *user) {
  const int64_t alike[numTensors] = {0, 0, 0, 64, 64, 0, 0};
  const int64_t unlike[numTensors] = {0, 0, 0, 64, 72, 0, 0};
  fusco_status first = dispatchOnce(context, alike);
  fusco_status second = dispatchOnce(context, unlike);
  if (fusco_context_rank(context) == 0)
    printf("%s, then %s\n", fusco_status_name(first), fusco_last_error());
  (void)user;
  (void)second;
  return FUSCO_OK;
}

int main(void) { return fusco_launch_threads(m_library(), NULL, run, NULL); }
