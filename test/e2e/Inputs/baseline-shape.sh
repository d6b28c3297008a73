#!/bin/sh
# Usage: baseline-shape.sh BASELINE "IMPORT OPTIONS" RUN-OPTIONS...
# Imports, compiles and checks a model, whose BASELINE is compared too: half as many
# rows more than in a check without it.
set -e
baseline=$1
fusco-import --name m --max-tokens 64 $2 -o m.mlir
fusco-compile m.mlir --target cpu -o m.so
shift 2
fusco-run m.so --check --seed 5 "$@" --json own.json
fusco-run m.so --baseline "$baseline" --seed 5 "$@" --json both.json
rows() { sed -n 's/.*"rows": \([0-9]*\),/\1/p' "$1"; }
[ $(rows both.json) -eq $(($(rows own.json) + $(rows own.json) / 2)) ]
