#!/bin/sh
# Usage: torch-on-cpu.sh -B PACKAGE cuda MAILBOX
# The interpreter of a PyTorch baseline, which takes the CPU for the GPU: for libraries
# that run in the emulator.
[ "$3" = cuda ] && exec "$FUSCO_TEST_PYTHON" "$1" "$2" cpu "$4"
