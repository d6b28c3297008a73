"""Times of what a baseline does on its device."""
import time

import torch

# As in fusco-run (tools/run/GpuClock.cpp): takes longer than the host needs to launch
# what comes behind it.
MOST_GATE_BYTES = 1 << 28
LEAST_GATES_IN_MEMORY = 64


class HostClock:
    def timeUs(self, work):
        start = time.monotonic_ns()
        work()
        return (time.monotonic_ns() - start) * 1e-3


class GpuClock:
    """Times by the GPU's events. Like fusco-run's own times they start behind a copy,
    during which the host launches: so launches count only where the GPU has to wait
    for them, after the host has waited for the GPU."""

    def __init__(self):
        memoryBytes = torch.cuda.get_device_properties(0).total_memory
        gateBytes = min(MOST_GATE_BYTES, memoryBytes // LEAST_GATES_IN_MEMORY)
        self.gate = torch.zeros(2, gateBytes, dtype=torch.uint8, device="cuda")
        self.start, self.end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def timeUs(self, work):
        torch.cuda.synchronize()
        self.gate[0].copy_(self.gate[1])
        self.start.record()
        work()
        self.end.record()
        self.end.synchronize()
        return self.start.elapsed_time(self.end) * 1e3


def makeClock(device):
    return GpuClock() if device == "cuda" else HostClock()
