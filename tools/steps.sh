# shellcheck shell=bash
#===- steps.sh - What the scripts share -----------------------------------===//
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===-----------------------------------------------------------------------===//
#
# Sourced by check.sh and quickstart.sh, in the repository's root: long steps
# that print one line each, with their output in a log, and the steps that both
# begin with.
#
#===-----------------------------------------------------------------------===//

# No step may wait for a person.
exec </dev/null

logDirectory=$(mktemp -d "${TMPDIR:-/tmp}/fusco-log.XXXXXX")
trap 'rm -rf "$logDirectory"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# step LABEL COMMAND...: runs COMMAND with its output in a log and prints how
# long it took; on failure prints the end of the log and returns its status.
step() {
  local label=$1 log=$logDirectory/step.log start=$SECONDS status=0
  shift
  printf '%s ... ' "$label"
  "$@" >"$log" 2>&1 || status=$?
  if ((status == 0)); then
    echo "$((SECONDS - start)) s"
  else
    echo "failed after $((SECONDS - start)) s: $*"
    tail -n 60 "$log" | cut -c 1-300 >&2
  fi
  return "$status"
}

# Jobs for the build: every core, but no more than memory holds. A compilation
# unit that includes MLIR takes about 1 GiB.
buildJobs() {
  local jobs memory
  jobs=$(nproc)
  memory=$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
  ((memory >= jobs)) || jobs=$((memory > 0 ? memory : 1))
  echo "$jobs"
}


# ccache ends the build where it cannot write; build without it there.
if command -v ccache >/dev/null; then
  cacheDirectory=$(ccache --get-config cache_dir)
  if ! mkdir -p "$cacheDirectory" 2>/dev/null || [[ ! -w $cacheDirectory ]]; then
    export CCACHE_DISABLE=1
  fi
fi

# prepare TARGET...: installs what is missing, configures and builds in build/.
prepare() {
  step "install packages" tools/install-deps.sh &&
    step "configure" cmake --preset release &&
    step "build" cmake --build build --parallel "$(buildJobs)" --target "$@"
}
