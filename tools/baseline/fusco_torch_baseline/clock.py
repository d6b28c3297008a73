"""Times of what a baseline does on its device."""
import time

import torch

# As in fusco-run (tools/run/GpuClock.cpp): takes longer than the host needs to launch
# what comes behind it.
MOST_GATE_BYTES = 1 << 28
LEAST_GATES_IN_MEMORY = 64


class HostClock:
    def __init__(self, meet):
        self.meet = meet

    def timeUs(self, work):
        self.meet()
        start = time.monotonic_ns()
        work()
        return (time.monotonic_ns() - start) * 1e-3


class GpuClock:
    """Times by the GPU's events. Like fusco-run's own times they start behind a copy,
    during which the host launches: so launches count only where the GPU has to wait
    for them, after the host has waited for the GPU."""

    def __init__(self, meet):
        self.meet = meet
        device = torch.cuda.current_device()
        memoryBytes = torch.cuda.get_device_properties(device).total_memory
        gateBytes = min(MOST_GATE_BYTES, memoryBytes // LEAST_GATES_IN_MEMORY)
        self.gate = torch.zeros(2, gateBytes, dtype=torch.uint8, device="cuda")
        self.start, self.end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def timeUs(self, work):
        self.meet()
        torch.cuda.synchronize()
        self.gate[0].copy_(self.gate[1])
        self.start.record()
        work()
        self.end.record()
        self.end.synchronize()
        return self.start.elapsed_time(self.end) * 1e3


def makeClock(device, meet=lambda: None):
    """`meet` returns when all ranks have called it: to be called before work is timed."""
    return GpuClock(meet) if device == "cuda" else HostClock(meet)
