#!/usr/bin/env bash
#===- check.sh - Builds everything and runs every test --------------------===//
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===-----------------------------------------------------------------------===//
#
# On a fresh Debian 12: installs what is missing, builds with every core, and
# fusco-run with ThreadSanitizer too, checks formatting, runs the unit tests
# (ctest) and the compiler's tests (lit). The last line is `N passed, N failed, N
# skipped`; a step that fails as a whole, such as the build, counts as one failed.
# Exits 0 only if tests ran and nothing failed.
#
#===-----------------------------------------------------------------------===//
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/steps.sh

passed=0 failed=0 skipped=0

# finish: prints the sum and exits.
finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  exit $((failed > 0 || passed == 0))
}

# The C and C++ files of the repository, those not yet added included; without
# git's data, those outside build folders.
sourceFiles() {
  # safe.directory: the files may belong to another user than root.
  local git=(git -c safe.directory="$PWD") file
  if "${git[@]}" rev-parse --git-dir >/dev/null 2>&1; then
    "${git[@]}" ls-files --cached --others --exclude-standard \
      -- '*.c' '*.cpp' '*.h' | while read -r file; do
      [[ ! -f $file ]] || echo "$file"
    done
  else
    find . -path './build*' -prune -o -type f \
      \( -name '*.c' -o -name '*.cpp' -o -name '*.h' \) -print
  fi
}

checkFormat() {
  sourceFiles | xargs -r -d '\n' clang-format-14 --dry-run -Werror
}

# The runtime and fusco-run, for libraries of `fusco-compile --sanitize thread`.
buildSanitized() {
  cmake --preset runtime-tsan &&
    cmake --build build-tsan --parallel "$(buildJobs)" \
      --target fusco_runtime fusco-run
}

# What the test of quantisation compares with; without it that test is skipped.
installMlDtypes() {
  local version=0.5.4 # has float8_e8m0fnu, and works with Debian 12's numpy
  [[ -d build/python/ml_dtypes-$version.dist-info ]] ||
    /usr/bin/python3 -m pip install --target build/python --upgrade --no-deps \
      --only-binary :all: --retries 1 --timeout 15 --root-user-action ignore \
      "ml_dtypes==$version"
}

# addResults REPORT: adds the counts of a JUnit report, or one failure when the
# tests left none.
addResults() {
  local counts suitePassed suiteFailed suiteSkipped
  counts="0 1 0"
  [[ ! -s $1 ]] || counts=$(/usr/bin/python3 - "$1" <<'PYTHON'
import sys
import xml.etree.ElementTree as xml

tests = failed = skipped = 0
for suite in xml.parse(sys.argv[1]).getroot().iter("testsuite"):
    tests += int(suite.get("tests", 0))
    failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped += int(suite.get("skipped", 0)) + int(suite.get("disabled", 0))
print(tests - failed - skipped, failed, skipped)
PYTHON
  )
  read -r suitePassed suiteFailed suiteSkipped <<<"$counts"
  passed=$((passed + suitePassed))
  failed=$((failed + suiteFailed))
  skipped=$((skipped + suiteSkipped))
}

# runTests REPORT COMMAND...: runs COMMAND, which writes REPORT, and adds it.
runTests() {
  local report=$1 status=0 failedBefore=$failed
  shift
  rm -f "$report"
  "$@" || status=$?
  addResults "$report"
  if ((status != 0 && failed == failedBefore)); then
    echo "no test failed, yet exit code $status of: $*" >&2
    failed=$((failed + 1))
  fi
}

if ! prepare all; then
  failed=1
  finish
fi
step "build with ThreadSanitizer" buildSanitized || failed=$((failed + 1))
step "install ml_dtypes" installMlDtypes || true # without a network
step "check formatting" checkFormat || failed=$((failed + 1))

echo "unit tests"
runTests "$PWD/build/ctest.xml" ctest --test-dir build --parallel "$(nproc)" \
  --timeout 600 --output-on-failure --output-junit "$PWD/build/ctest.xml"

echo "compiler tests"
lit=$(sed -n 's/^FUSCO_LIT:FILEPATH=//p' build/CMakeCache.txt)
runTests "$PWD/build/lit.xml" /usr/bin/python3 "$lit" -sv --no-progress-bar \
  --timeout 1800 --show-unsupported --xunit-xml-output "$PWD/build/lit.xml" build/test

finish
