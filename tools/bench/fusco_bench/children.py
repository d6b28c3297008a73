"""Programs that fusco-bench starts, and what they took."""
import ctypes
import os
import signal
import subprocess
import tempfile
import threading
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


def _endWithParent():
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _end(process):
    """Asks first: a child has children of its own to end."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def run(command, timeout=None):
    """Runs a command to its end. It is in a session of its own, so that Ctrl-C
    reaches fusco-bench alone, which then ends it."""
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
                preexec_fn=_endWithParent,
            )
        except OSError as error:
            raise Error(f"cannot run '{command[0]}': {error.strerror}")
        expired = threading.Event()

        def expire():
            expired.set()
            process.terminate()
            killer.start()

        killer = threading.Timer(GRACE_S, process.kill)
        timer = threading.Timer(timeout, expire) if timeout else None
        if timer:
            timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            _end(process)
            raise
        finally:
            for each in (timer, killer):
                if each:
                    each.cancel()
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
            expired.is_set(),
        )


def call(command, timeout=None):
    """Runs a command that must succeed."""
    result = run(command, timeout)
    if result.code != 0 or result.timedOut:
        name, reason = os.path.basename(str(command[0])), result.reason()
        raise Error(reason if reason.startswith(name + ":") else f"{name}: {reason}")
    return result
