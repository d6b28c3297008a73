#!/bin/sh
# Usage: mpi-shape.sh "IMPORT OPTIONS" RUN-OPTIONS...
# Imports, compiles and checks a model, whose MPI baseline is compared too:
# twice the rows of a check without it.
set -e
fusco-import --name m --max-tokens 64 $1 -o m.mlir
fusco-compile m.mlir --target cpu -o m.so
shift
fusco-run m.so --check --seed 5 "$@" --json own.json
fusco-run m.so --baseline mpi --seed 5 "$@" --json mpi.json
rows() { sed -n 's/.*"rows": \([0-9]*\),/\1/p' "$1"; }
[ $(rows mpi.json) -eq $(($(rows own.json) + $(rows own.json) / 2)) ]
