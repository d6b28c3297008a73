# ===- combine.py - Combined rows against numpy and ml_dtypes --*- Python -*-- #
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
#
# \file
# Usage: combine.py FOLDER [SEED]
#
# Draws rows of experts, and where a token's are, combines them with
# fusco-combine-rows and with numpy and ml_dtypes, which know nothing of each other,
# and compares every bit. Weights are left out: numpy has no fused multiplication.
# The seed is drawn and printed unless it is given. FOLDER takes the files.
#
# ===----------------------------------------------------------------------=== #

import pathlib
import secrets
import subprocess
import sys

import ml_dtypes
import numpy as np

TYPES = {
    "e4m3fn": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "bf16": ml_dtypes.bfloat16,
    "f32": np.float32,
}
# Type of rows, columns of a block, None for a whole row, and type of its scale.
ROWS = [
    ("e4m3fn", 128, "f32"),
    ("e4m3fn", 5, "ue8m0"),
    ("e5m2", 32, "ue8m0"),
    ("e5m2", None, "f32"),
    ("bf16", None, "f32"),
    ("f32", None, "f32"),
]
# Nodes and ranks of a node.
TOPOLOGIES = [(1, 1), (1, 4), (3, 2)]
TOPK, TOKENS, ROWS_OF_RANK, HIDDEN = 6, 40, 16, 333


def drawRows(random, rowType):
    """[rows, hidden]: numbers of many sizes, and in some rows every pattern."""
    scale = 2.0 ** random.integers(-6, 4, size=(ROWS_OF_RANK, 1))
    rows = (random.standard_normal((ROWS_OF_RANK, HIDDEN)) * scale).astype(rowType)
    bits = rows.view(f"u{rows.itemsize}")
    bits[:4] = random.integers(1 << (8 * rows.itemsize), size=(4, HIDDEN), dtype=np.uint64)
    return rows


def drawScales(random, numBlocks, scaleType):
    """Raw scales [rows, columns], and what they are worth [rows, blocks]."""
    shape = (ROWS_OF_RANK, numBlocks)
    if scaleType == "f32":
        scales = (random.standard_normal(shape) * 4).astype(np.float32)
        scales[0] = random.choice(
            np.array([0, -0.0, 2**-149, 2**-126, 3e38, np.inf, np.nan], np.float32), numBlocks
        )
        return scales, scales
    stored = random.integers(118, 137, size=shape).astype(np.uint8)
    stored[0] = random.choice(np.array([0, 1, 126, 254, 255], np.uint8), numBlocks)
    # What belongs to no block is anything.
    unused = random.integers(256, size=(ROWS_OF_RANK, -numBlocks % 4)).astype(np.uint8)
    values = stored.view(ml_dtypes.float8_e8m0fnu).astype(np.float32)
    return np.concatenate([stored, unused], axis=1), values


def combine(ranksPerNode, values, slots, partials, summands):
    """The sums of each token: float32 rows by rank, and where a token's are."""
    out = np.zeros((TOKENS, HIDDEN), np.float32)
    rounded = lambda total: total.astype(partials).astype(np.float32)
    for token in range(TOKENS):
        nodes = {}
        for rank in range(len(values)):
            rows = [row for owner, row in slots[token] if owner == rank]
            if rows:
                total = np.zeros(HIDDEN, np.float32)
                for row in rows:
                    total = values[rank][row] + total
                nodes.setdefault(rank // ranksPerNode, []).append(rounded(total))
        sums = []
        for ofRanks in nodes.values():
            total = ofRanks[0]
            for other in ofRanks[1:]:
                total = total + other
            sums.append(rounded(total))
        for i, total in enumerate(sums):
            out[token] = total if i == 0 else out[token] + total
    for summand in summands:
        out = out + summand.astype(np.float32)
    assert out.dtype == np.float32
    return out


def encode(out, name):
    """As raw bits, with the one NaN that results have."""
    narrow = out.astype(TYPES[name])
    bits = narrow.view(f"u{narrow.itemsize}").copy()
    bits[np.isnan(out)] = 0x7FFF if name == "bf16" else 0x7FFFFFFF
    return bits


folder = pathlib.Path(sys.argv[1])
seed = int(sys.argv[2]) if len(sys.argv) > 2 else secrets.randbits(32)
print("seed", seed, flush=True)
random = np.random.default_rng(seed)
np.seterr(all="ignore")  # infinities and NaNs are meant
comparisons = 0
for nodes, ranksPerNode in TOPOLOGIES:
    numRanks = nodes * ranksPerNode
    for rowName, block, scaleType in ROWS:
        block = block or HIDDEN
        values = []
        for rank in range(numRanks):
            rows = drawRows(random, TYPES[rowName])
            scales, worth = drawScales(random, -(-HIDDEN // block), scaleType)
            value = rows.astype(np.float32)
            if rows.itemsize == 1:
                value = value * np.repeat(worth, block, axis=1)[:, :HIDDEN]
            values.append(value)
            rows.tofile(folder / f"y.{rank}")
            scales.tofile(folder / f"scales.{rank}")
        slots = np.stack(
            [
                random.integers(-1, numRanks, size=(TOKENS, TOPK)),
                random.integers(ROWS_OF_RANK, size=(TOKENS, TOPK)),
            ],
            axis=2,
        ).astype(np.int32)
        slots[0, :, 0] = -1  # no assignment at all
        slots.tofile(folder / "slots")
        bias = random.standard_normal((1, HIDDEN)).astype(ml_dtypes.bfloat16)
        residual = random.standard_normal((TOKENS, HIDDEN)).astype(ml_dtypes.bfloat16)
        bias.tofile(folder / "bias")
        residual.tofile(folder / "residual")
        for partials in "f32", "bf16":
            expected = combine(ranksPerNode, values, slots, TYPES[partials], [bias, residual])
            for outName in "bf16", "f32":
                command = ["fusco-combine-rows", nodes, ranksPerNode, TOPK, HIDDEN]
                command += [rowName, block, scaleType, partials, outName, folder]
                command = [str(argument) for argument in command]
                subprocess.run(command, check=True)
                wanted = encode(expected, outName)
                got = np.fromfile(folder / "out", wanted.dtype).reshape(wanted.shape)
                different = np.argwhere(got != wanted)
                if len(different):
                    at = tuple(different[0])
                    sys.exit(
                        f"{' '.join(command[1:-1])}: {len(different)} elements differ; "
                        f"{at} is {got[at]:#x}, expected {wanted[at]:#x}"
                    )
                comparisons += 1
print(comparisons, "comparisons")
