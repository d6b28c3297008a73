#!/bin/sh
# Usage: check-shape.sh HIDDEN EXPERTS TOPK RANKS
# Imports, compiles and checks a model of this shape on one node.
set -e
fusco-import --name m --hidden "$1" --experts "$2" --topk "$3" --nodes 1 \
  --ranks-per-node "$4" --max-tokens 64 -o m.mlir
fusco-compile m.mlir --target cpu -o m.so
fusco-run m.so --tokens 64 --check --baseline unfused
