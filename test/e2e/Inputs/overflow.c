/* Dispatches 8 tokens of each of 4 ranks to expert 0 alone, which has 16 slots;
 * then no token, which fits. Prints what each rank was told. */
#include "dispatch-once.h"

#include <stdio.h>

static fusco_status run(fusco_context *context, void *user) {
  char text[256];
  /* ids are all 0 */
  const int64_t some[numTensors] = {8, 8, 8, 0, 0, 0, 0};
  const int64_t none[numTensors] = {0, 0, 0, 0, 0, 0, 0};
  fusco_status first = dispatchOnce(context, some);
  snprintf(text, sizeof text, "%s", fusco_last_error());
  fusco_status second = dispatchOnce(context, none);
  printf("%s %s, then %s\n", fusco_status_name(first), text,
         fusco_status_name(second));
  (void)user;
  return FUSCO_OK;
}

int main(void) { return fusco_launch_threads(m_library(), NULL, run, NULL); }
