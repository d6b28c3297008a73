"""Where PYTHONPATH names its folder, a PyTorch that does one thing wrong, so that a
test can see fusco-run find what FUSCO_TORCH_FAULT says: `rows` or `result` changes
what arrives in the first timed dispatch or combine; `death` and `silence` end and
stop the process in that dispatch. With a process for each rank: `death` of rank 1."""
import os
import signal
import time

import torch
import torch.distributed

FAULT = os.environ.get("FUSCO_TORCH_FAULT")
copy = torch._foreach_copy_
numCalls = 0


def copyWrongly(targets, sources):
    global numCalls
    copy(targets, sources)
    # The first two are of the run that compiles.
    isDispatch, isCombine = numCalls == 2, numCalls == 3
    numCalls += 1
    if isDispatch and FAULT == "rows" or isCombine and FAULT == "result":
        targets[0][0, 0] += 1
    if isDispatch and FAULT == "death":
        os.kill(os.getpid(), signal.SIGKILL)
    if isDispatch and FAULT == "silence":
        time.sleep(1e6)


torch._foreach_copy_ = copyWrongly

exchange = torch.distributed.all_to_all_single
numExchanges = 0


def dieInExchange(*args, **options):
    global numExchanges
    exchange(*args, **options)
    numExchanges += 1
    # Three are of the run that compiles.
    if FAULT == "death" and numExchanges == 4 and torch.distributed.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)


torch.distributed.all_to_all_single = dieInExchange
