#!/usr/bin/python3
"""Kills a random rank of a run at a random time, again and again.

Each time every other rank must end within the deadline with one line that names the rank
that was lost, and nothing may be left: no process, no shared memory.
"""
import argparse
import glob
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time

# Beyond the deadline of waits: for two cores that all ranks share.
SLACK_S = 10


def childrenOf(process):
    children = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
            child = int(path.split("/")[2])
            if parent != process:
                continue
            with open(f"/proc/{child}/environ") as file:
                rank = re.search("(?:^|\0)RANK=([0-9]+)", file.read())
        except OSError:
            continue  # it has ended
        if rank:  # it has become a rank
            children[int(rank[1])] = child
    return children


def killOne(command, ranks, timeoutMs, draw):
    """Returns what went wrong, or None; and in which phase the ranks were."""
    run = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    children = {}
    start = time.monotonic()
    while len(children) < ranks and run.poll() is None:
        children = childrenOf(run.pid)
        if time.monotonic() - start > SLACK_S:
            break
    if len(children) < ranks:
        run.kill()
        return f"expected {ranks} processes, got {sorted(children)}", None
    delay = draw.choice([0.0, draw.uniform(0, 0.2), draw.uniform(0, 5)])
    time.sleep(delay)
    victim = draw.randrange(ranks)
    os.kill(children[victim], signal.SIGKILL)
    killed = time.monotonic()
    where = f"rank {victim} killed after {delay:.3f} s: "
    try:
        output = run.communicate(timeout=timeoutMs / 1e3 + SLACK_S)[1]
    except subprocess.TimeoutExpired:
        for child in childrenOf(run.pid).values():
            os.kill(child, signal.SIGKILL)
        run.kill()
        return where + "hangs\n" + run.communicate()[1], None
    seconds = time.monotonic() - killed
    if run.returncode != 1:
        return f"{where}exit code {run.returncode}\n{output}", None
    phase = "joining"
    for rank in range(ranks):
        lines = re.findall(f"^fusco-run: error: rank {rank}: .*", output, re.M)
        if rank == victim:
            continue
        if len(lines) != 1:
            return f"{where}expected one line of rank {rank}\n{output}", None
        if f"rank {victim}" not in lines[0]:
            return f"{where}rank {rank} does not name it\n{output}", None
        found = re.search("phase '([a-z]+)', channel '([a-z_]+)'", lines[0])
        if found:
            phase = found[1]
        elif "gave up" not in lines[0] and phase == "joining":
            phase = "between calls"
    if not re.search(f"process of rank {victim} was killed by signal 9", output):
        return f"{where}the parent does not say so\n{output}", None
    left = [child for child in children.values() if os.path.exists(f"/proc/{child}")]
    if left:
        return f"{where}processes {left} are left", None
    return None, f"{phase} ({seconds:.1f} s)"


def interruptAll(command, ranks):
    """Returns what went wrong when the parent was interrupted, or None."""
    run = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    children = {}
    while len(children) < ranks and run.poll() is None:
        children = childrenOf(run.pid)
    time.sleep(1)
    run.send_signal(signal.SIGINT)
    try:
        code = run.wait(timeout=SLACK_S)
    except subprocess.TimeoutExpired:
        run.kill()
        return "SIGINT: hangs"
    left = [child for child in children.values() if os.path.exists(f"/proc/{child}")]
    if code != 130 or left:
        return f"SIGINT: exit code {code}, processes {left} are left"
    return None


def memoryLeft(before):
    """The shared memory made since `before` that no process maps: what tests beside
    this one use does not count."""
    made = set(os.listdir("/dev/shm")) - before
    for path in glob.glob("/proc/[0-9]*/maps") if made else []:
        try:
            with open(path) as file:
                maps = file.read()
        except OSError:
            continue  # it has ended
        made = {name for name in made if f"/dev/shm/{name}" not in maps}
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--ranks", type=int, required=True)
    parser.add_argument("--timeout-ms", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--interrupt", action="store_true", help="once, and no kills")
    parser.add_argument("command", nargs="+", help="a fusco-run that takes long")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    draw = random.Random(options.seed)
    command = options.command + ["--timeout-ms", str(options.timeout_ms)]
    before = set(os.listdir("/dev/shm"))
    if options.interrupt:
        sys.exit(interruptAll(command, options.ranks))
    for number in range(options.kills):
        wrong, where = killOne(command, options.ranks, options.timeout_ms, draw)
        if wrong:
            sys.exit(f"kill {number}: {wrong}")
        print(f"kill {number}: {where}", flush=True)
    # Another's may not be mapped yet, or just be about to go.
    start = time.monotonic()
    left = memoryLeft(before)
    while left and time.monotonic() - start < SLACK_S:
        time.sleep(0.2)
        left &= memoryLeft(before)
    if left:
        sys.exit(f"shared memory is left: {sorted(left)}")


if __name__ == "__main__":
    main()
