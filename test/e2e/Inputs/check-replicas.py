# ===- check-replicas.py - Are replicas used as well as can be? -*- Python -*- #
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
#
# \file
# Usage: check-replicas.py LIBRARY.so IDS.npy ROWS TABLE.npy RANKS MEAN WORST
#
# Runs the library on each layer of IDS, on the rows BEGIN:END that ROWS says, with
# experts placed by TABLE, and looks at plan.imbalance.rank_rows:
#   - it is within 3 % of the least that any division of experts among their
#     replicas gives, which is found by bisection over the busiest rank's rows, with
#     a maximum flow from experts to ranks for each;
#   - over the layers its mean is at most MEAN and its largest at most WORST.
# Prints what block placement would give, too.
#
# ===----------------------------------------------------------------------=== #

import collections
import json
import subprocess
import sys

import numpy as np
from routed import blocks

library, idsPath, rowsText, tablePath, ranks, mean, worst = sys.argv[1:]
ranks = int(ranks)
ids, tables = np.load(idsPath), np.load(tablePath)
begin, end = (int(part) for part in rowsText.split(":"))
layers, _, topk = ids.shape
tokens = (end - begin) // ranks


def flow(loads, ranksOf, room):
    """The most assignments that fit, by augmenting along shortest paths (Edmonds and
    Karp): experts are nodes e, ranks are nodes len(loads) + r."""
    residual = collections.defaultdict(dict)
    source, sink = "source", "sink"
    for e, load in enumerate(loads):
        residual[source][e] = load
        residual[e][source] = 0
        for r in ranksOf[e]:
            residual[e][len(loads) + r] = load
            residual[len(loads) + r][e] = 0
    for r in range(ranks):
        residual[len(loads) + r][sink] = room
        residual[sink][len(loads) + r] = 0
    total = 0
    while True:
        before, queue = {source: None}, collections.deque([source])
        while queue and sink not in before:
            node = queue.popleft()
            for to, left in residual[node].items():
                if left > 0 and to not in before:
                    before[to] = node
                    queue.append(to)
        if sink not in before:
            return total
        path, node = [], sink
        while before[node] is not None:
            path.append((before[node], node))
            node = before[node]
        pushed = min(residual[a][b] for a, b in path)
        for a, b in path:
            residual[a][b] -= pushed
            residual[b][a] += pushed
        total += pushed


def optimum(loads, table):
    rankOf = blocks(len(table), ranks)
    ranksOf = [sorted({int(rankOf[p]) for p in np.flatnonzero(table == e)}) for e in range(len(loads))]
    total = sum(loads)
    low, high = -(-total // ranks), total
    while low < high:
        middle = (low + high) // 2
        if flow(loads, ranksOf, middle) == total:
            high = middle
        else:
            low = middle + 1
    return low


figures, failures = [], []
for layer in range(layers):
    subprocess.run(
        ["fusco-run", library, "--check", "--routing", idsPath, "--rows", rowsText, "--layer", str(layer),
         "--placement", tablePath, "--tokens", str(tokens), "--json", "replicas.json"],
        check=True, capture_output=True)
    with open("replicas.json") as file:
        got = json.load(file)["plan"]["imbalance"]["rank_rows"]
    taken = ids[layer, begin:end][: tokens * ranks]
    table = tables[layer] if tables.ndim == 2 else tables
    experts = int(tables.max()) + 1
    loads = [int(n) for n in np.bincount(taken.reshape(-1), minlength=experts)]
    average = sum(loads) / ranks
    best = optimum(loads, table) / average
    inBlocks = np.bincount(blocks(experts, ranks), weights=loads).max() / average
    figures.append((got, best, inBlocks))
    if got > 1.03 * best:
        failures.append(f"layer {layer}: rank_rows {got:.4f}, the optimum is {best:.4f}")

got, best, inBlocks = (np.array(column) for column in zip(*figures))
print(f"rank_rows over {layers} layers: mean {got.mean():.3f}, worst {got.max():.3f}; "
      f"at best {best.mean():.3f}, {best.max():.3f}; in blocks {inBlocks.mean():.3f}, {inBlocks.max():.3f}")
if got.mean() > float(mean):
    failures.append(f"mean {got.mean():.4f}, expected at most {mean}")
if got.max() > float(worst):
    failures.append(f"worst {got.max():.4f}, expected at most {worst}")
print("\n".join(failures))
sys.exit(1 if failures else 0)
