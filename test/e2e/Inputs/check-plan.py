# ===- check-plan.py - Does a plan move as many rows as it must? -*- Python -*- #
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
#
# \file
# Usage: check-plan.py REPORT.json IDS.npy LAYER UNIT DTYPE
#
# Counts anew, from the routing that a run of fusco-run used, what its report says
# of the plan: rows unique per (token, other node) and per (token, rank), and the
# bytes between nodes where rows of DTYPE go there once per UNIT (assignment, rank,
# node). Experts are placed in blocks. Exits with 1 and says why if something
# differs.
#
# ===----------------------------------------------------------------------=== #

import sys

from routed import Run, bytesPerElement

reportPath, idsPath, layer, unit, dtype = sys.argv[1:]
run = Run(reportPath, idsPath, layer)
plan, perNode = run.plan, run.perNode

numUniqueNode = numUniqueRank = numScaleOut = 0
for rank, to in run.tokens:
    offNode = [r for r in to if r // perNode != rank // perNode]
    numUniqueRank += len(set(to))
    numUniqueNode += len({r // perNode for r in offNode})
    numScaleOut += {
        "assignment": len(offNode),
        "rank": len(set(offNode)),
        "node": len({r // perNode for r in offNode}),
    }[unit]

bytesPerRow = run.shape["hidden"] * bytesPerElement[dtype]
expected = {
    "rows_unique_node": numUniqueNode,
    "rows_unique_rank": numUniqueRank,
    "bytes_scale_out": numScaleOut * bytesPerRow,
}
wrong = {name: (value, plan[name]) for name, value in expected.items() if plan[name] != value}
for name, (value, got) in wrong.items():
    print(f"{name}: expected {value}, got {got}")
sys.exit(1 if wrong else 0)
