"""Programs that fusco-bench starts, and what they took."""
import ctypes
import os
import select
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

from .errors import Error

PR_SET_PDEATHSIG = 1
GRACE_S = 5  # between asking a child to end and ending it
_prctl = ctypes.CDLL(None, use_errno=True).prctl


@dataclass
class Result:
    code: int
    out: str
    err: str
    seconds: float
    peakBytes: int  # resident, of the child alone
    timedOut: bool = False

    def reason(self):
        """One line that says why it failed."""
        if self.timedOut:
            return f"gave no result within {self.seconds:.0f} s"
        lines = [line for line in self.err.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line]
        if self.code < 0:
            name = signal.Signals(-self.code).name
            return f"ended by {name}" + (f": {lines[-1]}" if lines else "")
        return (errors or lines or [f"exit code {self.code}"])[-1]


def _endWith(parent):
    """Ends this process with the one that forks it, or at once if that is gone."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _hasEnded(process, timeout):
    """Waits for the end of a child without reaping it, and without a thread: one
    that outlived an interrupt would keep fusco-bench from ending."""
    descriptor = os.pidfd_open(process.pid)
    try:
        return bool(select.select([descriptor], [], [], timeout)[0])
    finally:
        os.close(descriptor)


def _end(process):
    """Asks first: a child has children of its own to end. Does not reap it, which
    Popen's own ways to send a signal may."""
    os.kill(process.pid, signal.SIGTERM)
    if not _hasEnded(process, GRACE_S):
        os.kill(process.pid, signal.SIGKILL)


def run(command, timeout=None):
    """Runs a command to its end. It is in a session of its own, so that Ctrl-C
    reaches fusco-bench alone, which then ends it."""
    parent = os.getpid()
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile(
        "w+", errors="replace"
    ) as err:
        start = time.monotonic()
        try:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=lambda: _endWith(parent),
            )
        except OSError as error:
            raise Error(f"cannot run '{command[0]}': {error.strerror}")
        try:
            timedOut = not _hasEnded(process, timeout)
            if timedOut:
                _end(process)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            if process.poll() is None:
                _end(process)
            raise
        seconds = time.monotonic() - start
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
        return Result(
            process.returncode,
            *texts,
            seconds,
            usage.ru_maxrss * 1024,
            timedOut,
        )


def call(command, timeout=None):
    """Runs a command that must succeed."""
    result = run(command, timeout)
    if result.code != 0 or result.timedOut:
        name, reason = os.path.basename(str(command[0])), result.reason()
        raise Error(reason if reason.startswith(name + ":") else f"{name}: {reason}")
    return result
