"""A process for each rank. Nothing here imports PyTorch before it has forked."""
import os
import signal
import sys


def runRanks(numRanks, runRank):
    """Runs runRank(rank) in a process each. Returns when all have ended; once one has
    failed, it ends the others and exits with its code."""
    processes = set()
    for rank in range(numRanks):
        process = os.fork()
        if process == 0:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            code = 1
            try:
                runRank(rank)
                code = 0
            except SystemExit as end:
                code = end.code
            finally:
                sys.stderr.flush()
                os._exit(code)  # what the parent has to clean up is not ours
        processes.add(process)
    try:
        while processes:
            process, status = os.wait()
            processes.remove(process)
            if code := os.waitstatus_to_exitcode(status):
                sys.exit(code if code > 0 else 128 - code)
    finally:
        for process in processes:
            os.kill(process, signal.SIGKILL)
