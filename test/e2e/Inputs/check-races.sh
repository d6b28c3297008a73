#!/bin/sh
# Usage: check-races.sh "IMPORT FLAGS" "COMPILE FLAGS" COMMAND...
# Compiles a small model for ThreadSanitizer and checks it with COMMAND, a
# fusco-run that is built with it; fails at the first race.
set -e
import=$1 compile=$2
shift 2
# shellcheck disable=SC2086 # flags are words
fusco-import --name m --experts 6 --topk 3 --max-tokens 40 $import -o m.mlir
# shellcheck disable=SC2086
fusco-compile m.mlir --target cpu --sanitize thread $compile -o m.so
"$@" m.so --check --baseline unfused
