#!/bin/sh
# Usage: fails.sh TEST CODE KEY COMMAND...
# Passes if COMMAND exits with CODE, prints nothing on standard output and one
# line of error, which is that of TEST under the prefix KEY.
test=$1 code=$2 key=$3
shift 3
output=$("$@" 2>stderr.txt)
got=$?
[ "$got" -eq "$code" ] && [ -z "$output" ] && [ "$(wc -l <stderr.txt)" -eq 1 ] &&
  FileCheck "$test" --check-prefix="$key" --match-full-lines --input-file=stderr.txt &&
  exit 0
printf 'expected exit code %s, got %s\nprinted: %s\n' "$code" "$got" "$output" >&2
cat stderr.txt >&2
exit 1
