# ===- check-memory.py - Do buffers or channels overlap? -----*- Python -*-=== #
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
#
# \file
# Usage: check-memory.py FILE
#
# Reads modules of the pipe dialect with assigned memory, in MLIR's text, and
# counts bytes anew: every buffer and channel starts at a multiple of 64, none
# overlaps another of its memory, and pipe.symmetric_bytes and pipe.plan_bytes
# are the least multiples of 64 that hold them. Exits with 1 and says why if not.
#
# ===----------------------------------------------------------------------=== #

import math
import pathlib
import re
import sys

LINE = 64
BYTES = {"i8": 1, "i32": 4, "f32": 4, "i64": 8}
CHANNEL = re.compile(r"pipe\.channel @(\w+) .* lanes (\d+) depth (\d+) .* at (\d+)")
BUFFER = re.compile(r"pipe\.buffer @(\w+) : memref<([\dx]+)x(\w+)> (\w+) at (\d+)")
TOTAL = re.compile(r"pipe\.(symmetric|plan)_bytes = (\d+)")

text = pathlib.Path(sys.argv[1]).read_text()
modules = re.split(r"^module\b", text, flags=re.MULTILINE)[1:]
if not modules:
    sys.exit("expected a module")
for module in modules:
    totals = {memory: int(size) for memory, size in TOTAL.findall(module)}
    if len(totals) != 2:
        sys.exit("expected pipe.symmetric_bytes and pipe.plan_bytes")
    # (first byte, end, name) of all that lies in a memory
    places = {memory: [] for memory in totals}
    for name, lanes, depth, at in CHANNEL.findall(module):
        # On each lane a line for each slot, one for credits, one of the owner's.
        size = int(lanes) * (int(depth) + 2) * LINE
        places["symmetric"].append((int(at), int(at) + size, name))
    for name, shape, element, memory, at in BUFFER.findall(module):
        size = math.prod(map(int, shape.split("x"))) * BYTES[element]
        places[memory].append((int(at), int(at) + size, name))
    if sum(map(len, places.values())) != len(re.findall(r"pipe\.(?:buffer|channel) @", module)):
        sys.exit("a buffer or channel without an offset, or of an unknown type")
    for memory, occupied in places.items():
        end = 0
        for at, nextEnd, name in sorted(occupied):
            if at % LINE != 0 or at < end:
                sys.exit(f"@{name} at {at} is unaligned or overlaps what ends at {end}")
            end = nextEnd
        expected = -(-end // LINE) * LINE
        if totals[memory] != expected:
            sys.exit(f"{memory} bytes: expected {expected}, got {totals[memory]}")
