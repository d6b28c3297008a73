#!/bin/sh
# Usage: refuses.sh CODE MESSAGE COMMAND...
# Passes if COMMAND exits with CODE and prints nothing but one line, MESSAGE.
code=$1
message=$2
shift 2
output=$("$@" 2>&1)
got=$?
[ "$got" -eq "$code" ] && [ "$output" = "$message" ] && exit 0
printf 'expected exit code %s and: %s\ngot exit code %s and: %s\n' \
  "$code" "$message" "$got" "$output" >&2
exit 1
