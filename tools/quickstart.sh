#!/usr/bin/env bash
#===- quickstart.sh - From a fresh Debian 12 to the main job --------------===//
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===-----------------------------------------------------------------------===//
#
# Installs what is missing, builds, compiles a model of DeepSeek-V2-Lite's shape
# (hidden 2048, 64 experts, top-6) for 2 nodes of 4 ranks, runs dispatch and
# combine on 8 ranks of this machine, checks every bit against the reference
# interpreter and times it beside the unfused form.
#
# Usage: quickstart.sh [IDS.npy [WEIGHTS.npy]] [FLAG of fusco-run]...
# The files hold real routing, [rows, 6] or [layers, rows, 6]; FUSCO_ROUTING and
# FUSCO_WEIGHTS name them likewise. Without them the routing is synthetic.
#
#===-----------------------------------------------------------------------===//
set -euo pipefail

# refuse EXIT-CODE MESSAGE
refuse() {
  echo "quickstart.sh: error: $2" >&2
  exit "$1"
}

routing=${FUSCO_ROUTING:-} weights=${FUSCO_WEIGHTS:-}
if (($#)) && [[ $1 != -* ]]; then
  # Weights belong to the ids that they were written with.
  routing=$1 weights=
  shift
  if (($#)) && [[ $1 != -* ]]; then
    weights=$1
    shift
  fi
fi
[[ -n $routing || -z $weights ]] ||
  refuse 2 "expected FUSCO_ROUTING beside FUSCO_WEIGHTS, got none"
runFlags=()
# addFile FLAG FILE: adds a file, seen from here, to fusco-run's flags.
addFile() {
  [[ -n $2 ]] || return 0
  [[ -f $2 && -r $2 ]] || refuse 1 "expected a readable .npy file, got '$2'"
  runFlags+=("$1" "$(realpath "$2")")
}
addFile --routing "$routing"
addFile --weights "$weights"
runFlags+=("$@")

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/steps.sh

prepare fusco-import fusco-opt fusco-compile fusco-run ||
  refuse 1 "cannot build fusco (see above)"

out=build/quickstart
mkdir -p "$out"
step "import the model" build/bin/fusco-import --name dsv2lite \
  --hidden 2048 --experts 64 --topk 6 --nodes 2 --ranks-per-node 4 \
  --max-tokens 1100 -o "$out/dsv2lite.mlir" ||
  refuse 1 "cannot import the model (see above)"
step "compile it" build/bin/fusco-compile "$out/dsv2lite.mlir" --target cpu \
  -o "$out/libdsv2lite.so" --header "$out/dsv2lite.h" \
  --report "$out/dsv2lite.json" ||
  refuse 1 "cannot compile the model (see above)"

echo "run it on 8 ranks with ${routing:-synthetic routing}"
build/bin/fusco-run "$out/libdsv2lite.so" --check --bench --baseline unfused \
  --json "$out/run.json" "${runFlags[@]}"
