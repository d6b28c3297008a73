#!/bin/sh
# Usage: torch-on-cpu.sh -B PACKAGE cuda|nccl MAILBOX
# The interpreter of a PyTorch baseline, which takes the CPU for the GPUs: for libraries
# that run in the emulator.
case $3 in
cuda) device=cpu ;;
nccl) device=gloo ;;
esac
exec "$FUSCO_TEST_PYTHON" "$1" "$2" "$device" "$4"
