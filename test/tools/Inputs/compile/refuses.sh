#!/bin/sh
# Usage: refuses.sh CODE REGEX COMMAND...
# Passes if COMMAND exits with CODE, one line of its standard error speaks of an
# error and matches REGEX (grep's), and it leaves nothing in the folder.
code=$1
regex=$2
shift 2
before=$(ls -A)
error=$("$@" 2>&1 >/dev/null)
got=$?
after=$(ls -A)
[ "$got" -eq "$code" ] && [ "$before" = "$after" ] &&
  [ "$(printf '%s\n' "$error" | grep -ac 'error')" -eq 1 ] &&
  printf '%s\n' "$error" | grep -a 'error' | grep -aq -e "$regex" && exit 0
printf 'expected exit code %s and one error: %s\ngot %s:\n%s\n' \
  "$code" "$regex" "$got" "$error" >&2
[ "$before" = "$after" ] || printf 'left behind: %s\n' "$after" >&2
exit 1
