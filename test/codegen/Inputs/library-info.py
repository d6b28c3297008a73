# ===- library-info.py - Print a library's description -------*- Python -*-=== #
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
#
# \file
# Usage: library-info.py < MODULE
#
# Finds the constant @fusco_library_info in a module's text and prints the fields
# of fusco_library_info (runtime/include/fusco/library.h). The layout is written
# down anew here, so that a change of the ABI does not go unseen.
#
# ===----------------------------------------------------------------------=== #

import ctypes
import re
import sys

NAME = ctypes.c_char * 64


def structure(*fields):
    return type("Struct", (ctypes.Structure,), {"_fields_": list(fields)})


Tensor = structure(
    ("name", NAME),
    ("dtypeCode", ctypes.c_uint8),
    ("dtypeBits", ctypes.c_uint8),
    ("isOutput", ctypes.c_uint8),
    ("rowsKind", ctypes.c_uint8),
    ("exposure", ctypes.c_uint8),
    ("isByColumns", ctypes.c_uint8),
    ("scaledColumns", ctypes.c_int32),
    ("ndim", ctypes.c_int32),
    ("shape", ctypes.c_int64 * 3),
)
Program = structure(
    ("name", NAME),
    ("writesPlan", ctypes.c_int32),
    ("threadsPerBlock", ctypes.c_int32),
    ("sharedBytes", ctypes.c_int32),
    ("numTensors", ctypes.c_int32),
    ("tensors", Tensor * 12),
)
Channel = structure(("name", NAME), ("phase", ctypes.c_int32))
Span = structure(("name", NAME), ("kind", ctypes.c_int32), ("channel", ctypes.c_int32))
Library = structure(
    ("magic", ctypes.c_uint64),
    ("abiVersion", ctypes.c_uint32),
    ("size", ctypes.c_uint32),
    ("model", NAME),
    ("target", NAME),
    ("cpuLevel", ctypes.c_int32),
    ("maxBlocks", ctypes.c_int32),
    ("numNodes", ctypes.c_int32),
    ("ranksPerNode", ctypes.c_int32),
    ("topk", ctypes.c_int32),
    ("numExperts", ctypes.c_int64),
    ("numRedundant", ctypes.c_int64),
    ("maxTokens", ctypes.c_int64),
    ("hidden", ctypes.c_int64),
    ("alignRows", ctypes.c_int64),
    ("capacityRows", ctypes.c_int64),
    ("scaleOutBytesPerRow", ctypes.c_int64),
    ("dtypeCode", ctypes.c_uint8),
    ("dtypeBits", ctypes.c_uint8),
    ("idBits", ctypes.c_uint8),
    ("isWeighted", ctypes.c_uint8),
    ("hasTable", ctypes.c_uint8),
    ("isRankMajor", ctypes.c_uint8),
    ("dropsOverflow", ctypes.c_uint8),
    ("partialBits", ctypes.c_uint8),
    ("numPrograms", ctypes.c_int32),
    ("symmetricBytes", ctypes.c_uint64),
    ("networkBytes", ctypes.c_uint64),
    ("planBytes", ctypes.c_uint64),
    ("planStatsBytes", ctypes.c_uint64),
    ("programs", Program * 8),
    ("numChannels", ctypes.c_int32),
    ("channels", Channel * 24),
    ("numSpans", ctypes.c_int32),
    ("spans", Span * 96),
)


def show(title, value, skip=()):
    fields = []
    for name, _ in value._fields_:
        if name in skip:
            continue
        field = getattr(value, name)
        if isinstance(field, bytes):
            field = field.decode()
        elif isinstance(field, ctypes.Array):
            field = list(field)
        fields.append(f"{name}={field}")
    print(title, *fields)


found = re.search(
    r'@fusco_library_info\(dense<"0x([0-9A-F]+)">[^)]*\)\s*\{[^}]*alignment = 64',
    sys.stdin.read(),
)
if not found:
    sys.exit("expected a constant @fusco_library_info of alignment 64")
data = bytes.fromhex(found.group(1))
if len(data) != ctypes.sizeof(Library):
    sys.exit(f"expected {ctypes.sizeof(Library)} bytes, got {len(data)}")
library = Library.from_buffer_copy(data)
show("library", library, skip=["programs", "channels", "spans"])
for program in library.programs[: library.numPrograms]:
    show("program", program, skip=["tensors"])
    for tensor in program.tensors[: program.numTensors]:
        show("tensor", tensor)
for channel in library.channels[: library.numChannels]:
    show("channel", channel)
for span in library.spans[: library.numSpans]:
    show("span", span)
