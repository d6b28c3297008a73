"""Starts a sweep, ends it in the middle by a signal and looks at what is left:
`interrupt.py SIGNAL RECORD COMMAND...`. The record must be whole JSON, and no
process of the sweep may stay."""
import json
import os
import signal
import subprocess
import sys
import time

name, path, *command = sys.argv[1:]
WAIT_S = 240


def countCells():
    try:
        with open(path) as file:
            return len(json.load(file)["cells"])
    except FileNotFoundError:
        return 0


def childrenOf(process):
    with open(f"/proc/{process}/task/{process}/children") as file:
        return [int(child) for child in file.read().split()]


def isThere(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def waitUntil(condition, what):
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"no {what} within {WAIT_S} s")
        time.sleep(0.02)


sweep = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
waitUntil(lambda: countCells() >= 1 or sweep.poll() is not None, "cell")
waitUntil(lambda: sweep.poll() is not None or childrenOf(sweep.pid), "child")
if sweep.poll() is not None:
    sys.exit(f"ended too early: {sweep.communicate()[1]}")
children = childrenOf(sweep.pid)
sweep.send_signal(getattr(signal, name))
text = sweep.communicate(timeout=WAIT_S)[1]
waitUntil(lambda: not any(isThere(child) for child in children), "end of its children")
print("exit code", sweep.returncode)
print(text.splitlines()[-1])
print("whole, with cells:", countCells() >= 1)
print("left over:", [f for f in os.listdir(".") if f.startswith(".fusco-bench")])
