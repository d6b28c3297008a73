"""Usage: raise-abi.py FROM TO
Copies a compiled library and adds 1 to the ABI version in its description,
which follows the magic number; see runtime/include/fusco/library.h."""
import struct
import sys

MAGIC, VERSION = 0x4F43535546, 7

library = open(sys.argv[1], "rb").read()
# Code that compares with the magic number holds it too, without a version.
described = struct.pack("<QI", MAGIC, VERSION)
assert library.count(described) == 1, "expected one description"
raised = library.replace(described, struct.pack("<QI", MAGIC, VERSION + 1))
open(sys.argv[2], "wb").write(raised)
