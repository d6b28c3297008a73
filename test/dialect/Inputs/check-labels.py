# ===- check-labels.py - Is every constraint checked and tested? -*- Python -*- #
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
#
# \file
# Usage: check-labels.py DIALECT TESTS
#
# Reads the labels of constraints, `(dispatch_c1)`, from DIALECT/*.td. Each must
# be cited in a comment of DIALECT/*.cpp, where it is checked, and name a symbol,
# `@dispatch_c1`, of TESTS/invalid*.mlir. Prints what is missing; exits with 1 if
# anything is, or if there are no labels at all.
#
# ===----------------------------------------------------------------------=== #

import pathlib
import re
import sys

LABEL = r"\w+_c\d+"


def findAll(folder, pattern, regex):
    """What the group of regex matches in the files of folder, as a set."""
    files = pathlib.Path(folder).glob(pattern)
    return {match for file in files for match in re.findall(regex, file.read_text())}


dialect, tests = sys.argv[1:]
labels = findAll(dialect, "*.td", rf"\(({LABEL})\)")
comments = findAll(dialect, "*.cpp", r"//(.*)")
cited = {label for comment in comments for label in re.findall(LABEL, comment)}
tested = findAll(tests, "invalid*.mlir", rf"@({LABEL})\b")

missing = [f"{label} is not cited in *.cpp" for label in sorted(labels - cited)]
missing += [f"{label} has no test in invalid*.mlir" for label in sorted(labels - tested)]
missing += [f"{label} is cited, but not in *.td" for label in sorted(cited - labels)]
if not labels:
    missing.append(f"no labels in {dialect}/*.td")
print("\n".join(missing) or f"{len(labels)} labels")
sys.exit(1 if missing else 0)
