"""Lines about long work: on a terminal the current step stands in the last one."""
import sys
import time


class Progress:
    def __init__(self, total):
        self.total = total
        self.done = 0
        self.start = time.monotonic()
        self.isTerminal = sys.stderr.isatty()

    def _prefix(self):
        width = len(str(self.total))
        return f"[{self.done:{width}}/{self.total}]"

    def begin(self, what):
        """A step begins; shown on a terminal only."""
        if self.isTerminal:
            elapsed = time.monotonic() - self.start
            rest = elapsed / self.done * (self.total - self.done) if self.done else 0
            left = f", {rest / 60:.0f} min left" if rest >= 60 else ""
            sys.stderr.write(f"\r\x1b[K{self._prefix()} {what} ...{left}")
            sys.stderr.flush()

    def end(self, what):
        """It is over; the line stays."""
        self.done += 1
        self.note(f"{self._prefix()} {what}")

    def note(self, line):
        clear = "\r\x1b[K" if self.isTerminal else ""
        print(f"{clear}{line}", file=sys.stderr, flush=True)
