# ===- routed.py - What a run of fusco-run routed ---------------*- Python -*- #
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
#
# \file
# For the scripts here that count anew what a report of fusco-run says.
#
# ===----------------------------------------------------------------------=== #

import json

import numpy as np

bytesPerElement = {"bf16": 2, "f16": 2, "f32": 4}


def blocks(experts, ranks):
    """The rank of each expert, placed in blocks."""
    small, larger = divmod(experts, ranks)
    return np.repeat(np.arange(ranks), [small + (r < larger) for r in range(ranks)])


class Run:
    """A run's report: `shape`, `plan`, and `tokens`, a pair of each token's rank and
    the ranks of its experts. Tokens take the rows of the routing in order, rank by
    rank, again and again."""

    def __init__(self, reportPath, idsPath, layer):
        with open(reportPath) as file:
            report = json.load(file)
        self.shape, self.plan = report["shape"], report["plan"]
        self.nodes, self.perNode = self.shape["nodes"], self.shape["ranks_per_node"]
        self.ranks = self.nodes * self.perNode
        ids = np.load(idsPath)
        if ids.ndim == 3:
            ids = ids[int(layer)]
        rankOf = blocks(self.shape["experts"], self.ranks)
        self.tokens, row = [], 0
        for rank, tokens in enumerate(self.shape["tokens_per_rank"]):
            for _ in range(tokens):
                to = [int(rankOf[e]) for e in ids[row % len(ids)] if e >= 0]
                self.tokens.append((rank, to))
                row += 1
