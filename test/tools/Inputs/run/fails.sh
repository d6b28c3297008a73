#!/bin/sh
# Usage: fails.sh TEST CODE KEY COMMAND...
# Passes if COMMAND exits with CODE, prints nothing on standard output and one
# error: what the line "KEY: ..." of TEST says. Lines of progress may precede it.
# The text is not an argument because lit replaces names of tools in those.
expected="fusco-run: error: $(sed -n "s/^$3: //p" "$1")"
code=$2
shift 3
output=$("$@" 2>stderr.txt)
got=$?
errors=$(grep -v -e '^fusco-run: checking' -e '^fusco-run: timing' stderr.txt)
[ "$got" -eq "$code" ] && [ "$errors" = "$expected" ] && [ -z "$output" ] && exit 0
printf 'expected exit code %s and: %s\ngot exit code %s and: %s\nprinted: %s\n' \
  "$code" "$expected" "$got" "$errors" "$output" >&2
exit 1
