# ===- check-forwarders.py - Do forwarders carry what they shall? -*- Python -*- #
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
#
# \file
# Usage: check-forwarders.py REPORT.json IDS.npy LAYER POLICY UNIQUE [TX RX]
#
# Counts anew, from the routing that a run of fusco-run used and from what
# #fusco.hop says of the POLICY (rail, groups, balanced), how uneven the load of
# forwarders is, and the rows that pass between ranks of a node where these travel
# once per UNIQUE (assignment, rank); compares both with the report. TX and RX are
# the most that may be. Exits with 1 and says why if something differs.
#
# ===----------------------------------------------------------------------=== #

import sys

import numpy as np
from routed import Run, bytesPerElement

reportPath, idsPath, layer, policy, unique, *limits = sys.argv[1:]
run = Run(reportPath, idsPath, layer)
shape, plan = run.shape, run.plan
nodes, perNode, ranks = run.nodes, run.perNode, run.ranks

# (rank, node, ranks wanted there), token after token, rank by rank.
units = [
    (rank, node, [r for r in to if r // perNode == node])
    for rank, to in run.tokens
    for node in sorted({r // perNode for r in to})
]

load = np.zeros(ranks, int)
for rank, node, _ in units:
    load[rank] += node != rank // perNode


def groupOf():
    group = np.zeros(ranks, int)
    for node in range(nodes):
        members = range(node * perNode, (node + 1) * perNode)
        for place, rank in enumerate(sorted(members, key=lambda r: (-load[r], r))):
            group[rank] = (place + node) % perNode
    return group


group = groupOf() if policy == "groups" else np.arange(ranks) % perNode
memberOf = {(r // perNode, int(group[r])): r for r in range(ranks)}
dealt = np.zeros(nodes, int)
sent = {p: np.zeros(ranks, int) for p in ("rail", policy)}
taken = {p: np.zeros(ranks, int) for p in ("rail", policy)}
rowsScaleUp = 0
for rank, node, wanted in units:
    own, carrier, forwarder = rank // perNode, rank, rank
    if node != own:
        sent["rail"][rank] += 1
        taken["rail"][node * perNode + rank % perNode] += 1
        if policy == "balanced":
            local = dealt[node] % perNode
            dealt[node] += 1
            carrier, forwarder = own * perNode + local, node * perNode + local
        else:
            forwarder = memberOf[node, int(group[rank])]
        if policy != "rail":
            sent[policy][carrier] += 1
            taken[policy][forwarder] += 1
        rowsScaleUp += carrier != rank
    wanted = wanted if unique == "assignment" else sorted(set(wanted))
    rowsScaleUp += sum(r != forwarder for r in wanted)


def uneven(loads):
    byNode = loads.reshape(nodes, perNode)
    means = byNode.mean(axis=1)
    return max([1.0] + [m.max() / mean for m, mean in zip(byNode, means) if mean])


bytesPerRow = shape["hidden"] * bytesPerElement[shape["dtype"]]
got = plan["imbalance"]
checks = [
    ("forwarder_tx", uneven(sent[policy]), got["forwarder_tx"]),
    ("forwarder_rx", uneven(taken[policy]), got["forwarder_rx"]),
    ("rail.forwarder_tx", uneven(sent["rail"]), got["rail"]["forwarder_tx"]),
    ("rail.forwarder_rx", uneven(taken["rail"]), got["rail"]["forwarder_rx"]),
    ("bytes_scale_up", rowsScaleUp * bytesPerRow, plan["bytes_scale_up"]),
]
wrong = [f"{name}: expected {want}, got {has}" for name, want, has in checks if abs(want - has) > 1e-9]
for name, limit in zip(("forwarder_tx", "forwarder_rx"), limits):
    if got[name] > float(limit):
        wrong.append(f"{name}: expected at most {limit}, got {got[name]}")
if policy == "balanced":
    for node in taken[policy].reshape(nodes, perNode):
        if node.max() - node.min() > 1:
            wrong.append(f"forwarders of a node take {node}, expected the same within one")
print("\n".join(wrong))
sys.exit(1 if wrong else 0)
