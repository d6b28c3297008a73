#!/usr/bin/env bash
#===- gpu-check.sh - Checks and times kernels on a machine with a GPU ------===//
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===-----------------------------------------------------------------------===//
#
# On a machine that has the compiler:
#   tools/gpu-check.sh --prepare DIR [--build BUILD]
# compiles a sweep of shapes into DIR and puts fusco-run beside them. On a machine
# with a GPU, which needs nothing but the driver:
#   tools/gpu-check.sh DIR [--routing ids.npy --layer L] [--record FILE]
# checks all of them bit for bit, replays a CUDA Graph, times the DeepSeek-V3
# shape, with float8 and slots too, and appends what it found, dated, to FILE.
# Compares with PyTorch where python3, or the interpreter in FUSCO_PYTHON, has one
# that finds the GPU. Ends with how many passed and failed; exit 1 if any failed.
#
#===-----------------------------------------------------------------------===//
set -euo pipefail

fail() {
  echo "gpu-check.sh: error: $1" >&2
  exit "${2:-1}"
}

# name | flags of fusco-import | flags of fusco-compile | tokens of the check
shapes=(
  "dsv3|--hidden 7168 --experts 256 --topk 8 --nodes 1 --ranks-per-node 8 --max-tokens 4096||512"
  "dsv3_rank|--hidden 7168 --experts 256 --topk 8 --nodes 1 --ranks-per-node 8 --max-tokens 1024|--unique rank|256"
  "dsv3_2x4|--hidden 7168 --experts 256 --topk 8 --nodes 2 --ranks-per-node 4 --max-tokens 1024||256"
  "lite_4x2|--hidden 2048 --experts 64 --topk 6 --nodes 4 --ranks-per-node 2 --max-tokens 1024|--backward|512"
  "h2880|--hidden 2880 --experts 128 --topk 4 --nodes 1 --ranks-per-node 8 --max-tokens 1024||512"
  "h3584|--hidden 3584 --experts 896 --topk 16 --nodes 1 --ranks-per-node 6 --max-tokens 1024||256"
  "top1|--hidden 5120 --experts 16 --topk 1 --nodes 1 --ranks-per-node 8 --max-tokens 1024||512"
  "top10|--hidden 4096 --experts 160 --topk 10 --nodes 1 --ranks-per-node 7 --max-tokens 1024|--backward|256"
  "cast|--hidden 4096 --experts 30 --topk 4 --nodes 1 --ranks-per-node 4 --max-tokens 1024 --dtype f32 --dispatch-dtype bf16 --align 128||512"
  "float8|--hidden 7168 --experts 256 --topk 8 --nodes 1 --ranks-per-node 8 --max-tokens 4096 --dispatch-dtype f8E4M3FN||512"
  "float8_2x4|--hidden 2880 --experts 128 --topk 4 --nodes 2 --ranks-per-node 4 --max-tokens 1024 --dispatch-dtype f8E5M2 --scale-block 32 --scale-type ue8m0|--unique node|256"
  "float8_already|--hidden 7168 --experts 256 --topk 8 --nodes 1 --ranks-per-node 8 --max-tokens 1024 --dispatch-dtype f8E4M3FN --quantized-input||256"
  "slots|--hidden 7168 --experts 256 --topk 8 --nodes 1 --ranks-per-node 8 --max-tokens 128 --dispatch-dtype f8E4M3FN --layout expert_slots --capacity 512 --residual||128"
  "drop|--hidden 7168 --experts 256 --topk 8 --nodes 1 --ranks-per-node 8 --max-tokens 128 --dispatch-dtype f8E4M3FN --scale-order column --layout expert_slots --capacity 24 --overflow drop --ready --row-weights||128"
  "ready_2x4|--hidden 2880 --experts 128 --topk 4 --nodes 2 --ranks-per-node 4 --max-tokens 1024 --align 128 --ready --row-weights|--unique rank|256"
  "combine_float8|--hidden 7168 --experts 256 --topk 8 --nodes 1 --ranks-per-node 8 --max-tokens 1024 --combine-dtype f8E4M3FN --bias --residual||256"
  "partials_2x4|--hidden 7168 --experts 256 --topk 8 --nodes 2 --ranks-per-node 4 --max-tokens 1024 --combine-dtype f8E5M2 --scale-block 32 --scale-type ue8m0 --partials bf16 --out-dtype f32|--unique rank|256"
  "balanced|--hidden 7168 --experts 256 --topk 8 --nodes 2 --ranks-per-node 4 --max-tokens 1024|--forwarders balanced|256"
  "groups|--hidden 2880 --experts 128 --topk 4 --nodes 4 --ranks-per-node 2 --max-tokens 1024|--forwarders groups --unique rank|256"
  "replicas|--hidden 7168 --experts 256 --redundant 32 --topk 8 --nodes 1 --ranks-per-node 8 --max-tokens 1024||512"
  "replicas_2x4|--hidden 2048 --experts 64 --redundant 8 --topk 6 --nodes 2 --ranks-per-node 4 --max-tokens 1024|--forwarders balanced|256"
  "rank_major|--hidden 7168 --experts 256 --topk 8 --nodes 2 --ranks-per-node 4 --max-tokens 1024 --layout rank_major --ids i64||256"
  "pair|--hidden 4096 --experts 16 --topk 4 --nodes 1 --ranks-per-node 2 --max-tokens 1024|--backward|256"
  "odd|--hidden 7 --experts 5 --topk 3 --nodes 1 --ranks-per-node 3 --max-tokens 64 --dtype f32|--backward|64"
)

prepare=false build=build folder="" record="" routing=()
while (($#)); do
  case $1 in
  --prepare) prepare=true ;;
  --build | --record | --routing | --layer)
    (($# > 1)) || fail "expected a value after $1" 2
    case $1 in
    --build) build=$2 ;;
    --record) record=$2 ;;
    *) routing+=("$1" "$2") ;;
    esac
    shift
    ;;
  -h | --help)
    sed -n '8,16s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  -*) fail "unknown option '$1'; see --help" 2 ;;
  *) folder=$1 ;;
  esac
  shift
done
[[ $folder ]] || fail "expected a folder; see --help" 2

if $prepare; then
  [[ -x $build/bin/fusco-compile ]] ||
    fail "expected the compiler in '$build/bin'; build it, or name another --build"
  mkdir -p "$folder"
  for shape in "${shapes[@]}"; do
    IFS='|' read -r name import compile _ <<<"$shape"
    # shellcheck disable=SC2086 # flags are words
    "$build/bin/fusco-import" --name "$name" $import -o "$folder/$name.mlir"
    # shellcheck disable=SC2086
    "$build/bin/fusco-compile" "$folder/$name.mlir" --target sm_90 $compile \
      -o "$folder/$name.so" --report "$folder/$name.json"
  done
  cp "$build/bin/fusco-run" "$folder/"
  cp -r "$build/lib/fusco_torch_baseline" "$folder/"
  echo "gpu-check.sh: ${#shapes[@]} libraries and fusco-run are in '$folder'"
  exit 0
fi

run=$folder/fusco-run
[[ -x $run ]] || fail "expected '$run'; make it with --prepare $folder"
passed=0 failed=0
check() {
  echo "== $*"
  if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}
for shape in "${shapes[@]}"; do
  IFS='|' read -r name _ _ tokens <<<"$shape"
  check "$run" "$folder/$name.so" --tokens "$tokens" --check
done
check "$run" "$folder/dsv3.so" --tokens 256 --check --baseline unfused
check "$run" "$folder/dsv3.so" --tokens 256 --check --synthetic one-expert
check "$run" "$folder/dsv3_2x4.so" --tokens 256 --check --synthetic one-node
check "$run" "$folder/h2880.so" --tokens 64 --check --graph 1000
check "$run" "$folder/h2880.so" --tokens 64 --check --launch processes
# Through UCX, and by NCCL, which wants a GPU for each rank.
hasLibrary() { [[ -n ${!1:-} ]] || ldconfig -p | grep -q "$2"; }
if hasLibrary FUSCO_LIBUCP libucp.so.0; then
  check "$run" "$folder/lite_4x2.so" --tokens 64 --check --launch processes --transport ucx
else
  echo "gpu-check.sh: no UCX: nodes that reach each other through it are not checked"
fi
numGpus=$(nvidia-smi --list-gpus 2>/dev/null | grep -c . || true)
if ((numGpus >= 2)) && hasLibrary FUSCO_LIBNCCL libnccl.so.2; then
  check "$run" "$folder/pair.so" --tokens 256 --check --bench --launch processes --transport nccl
else
  echo "gpu-check.sh: no NCCL or one GPU only: transport nccl is not checked"
fi
if ((${#routing[@]})); then
  check "$run" "$folder/lite_4x2.so" --tokens 512 --check "${routing[@]}"
fi

hasTorch=false
if "${FUSCO_PYTHON:-python3}" -c \
  "import sys, torch; sys.exit(not torch.cuda.is_available())" 2>/dev/null; then
  hasTorch=true
else
  echo "gpu-check.sh: no PyTorch that finds the GPU: not compared with it"
fi
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
if $hasTorch && ((numGpus >= 2)); then
  check "$run" "$folder/pair.so" --tokens 1024 --bench --launch processes --baseline nccl >>"$figures"
fi
for name in dsv3 dsv3_2x4 float8 slots; do
  for tokens in 128 1024 4096; do
    [[ $name != dsv3_2x4 || $tokens != 4096 ]] || continue
    [[ $name != slots || $tokens == 128 ]] || continue
    baseline=()
    # Float8 and slots it does not do, and checking most tokens takes long.
    if $hasTorch && [[ $name == dsv3* && $tokens != 4096 ]]; then
      baseline=(--baseline torch)
    fi
    check "$run" "$folder/$name.so" --tokens "$tokens" --bench "${baseline[@]}" >>"$figures"
  done
done
cat "$figures"
if [[ $record ]]; then
  {
    echo
    echo "## $(date +%F), $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -1 || echo "unknown GPU")"
    echo
    echo "\`tools/gpu-check.sh\`: $passed passed, $failed failed. 8 virtual ranks on one GPU."
    echo
    sed 's/^/    /' "$figures"
  } >>"$record"
fi
echo "gpu-check.sh: $passed passed, $failed failed"
((failed == 0))
