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
# node). Experts are placed in blocks; tokens take the rows of the routing in order,
# rank by rank, again and again. Exits with 1 and says why if something differs.
#
# ===----------------------------------------------------------------------=== #

import json
import sys

import numpy as np

reportPath, idsPath, layer, unit, dtype = sys.argv[1:]
with open(reportPath) as file:
    report = json.load(file)
shape, plan = report["shape"], report["plan"]
nodes, perNode, experts = shape["nodes"], shape["ranks_per_node"], shape["experts"]
ranks = nodes * perNode

small, larger = divmod(experts, ranks)
rankOfExpert = np.repeat(np.arange(ranks), [small + (r < larger) for r in range(ranks)])

ids = np.load(idsPath)
if ids.ndim == 3:
    ids = ids[int(layer)]

numUniqueNode = numUniqueRank = numScaleOut = row = 0
for rank, tokens in enumerate(shape["tokens_per_rank"]):
    own = rank // perNode
    for _ in range(tokens):
        to = [int(rankOfExpert[e]) for e in ids[row % len(ids)] if e >= 0]
        row += 1
        offNode = [r for r in to if r // perNode != own]
        numUniqueRank += len(set(to))
        numUniqueNode += len({r // perNode for r in offNode})
        numScaleOut += {
            "assignment": len(offNode),
            "rank": len(set(offNode)),
            "node": len({r // perNode for r in offNode}),
        }[unit]

bytesPerRow = shape["hidden"] * {"bf16": 2, "f16": 2, "f32": 4}[dtype]
expected = {
    "rows_unique_node": numUniqueNode,
    "rows_unique_rank": numUniqueRank,
    "bytes_scale_out": numScaleOut * bytesPerRow,
}
wrong = {name: (value, plan[name]) for name, value in expected.items() if plan[name] != value}
for name, (value, got) in wrong.items():
    print(f"{name}: expected {value}, got {got}")
sys.exit(1 if wrong else 0)
