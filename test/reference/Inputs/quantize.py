# ===- quantize.py - Quantised rows against numpy and ml_dtypes -*- Python -*- #
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
#
# \file
# Usage: quantize.py FOLDER [SEED]
#
# Draws rows, random and adversarial, quantises them with fusco-quantize-rows and
# with numpy and ml_dtypes, which know nothing of each other, and compares every
# bit. The seed is drawn and printed unless it is given. FOLDER takes the files.
#
# ===----------------------------------------------------------------------=== #

import pathlib
import secrets
import subprocess
import sys

import ml_dtypes
import numpy as np

TARGETS = {"e4m3fn": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2}
SOURCES = {"bf16": ml_dtypes.bfloat16, "f16": np.float16, "f32": np.float32}
# Columns of a block, None for a whole row, and type of its scale.
SCALINGS = [(128, "f32"), (128, "ue8m0"), (32, "ue8m0"), (None, "f32")]
# Blocks that are whole, that are cut off, and a row that is shorter than one.
HIDDENS = [2048, 2880, 7]
# No block's amax is smaller.
MIN_AMAX = np.float32(2.0**-110)


def scalesOf(amax, largest, scaleType):
    """The raw scales of the blocks whose amax is given, and their inverses."""
    if scaleType == "f32":
        return amax / largest, largest / amax
    # largest * 2^e for every e, exact in float64; the first that is not smaller.
    exponents = np.arange(-126, 128)
    limits = np.float64(largest) * 2.0**exponents
    exponent = exponents[np.searchsorted(limits, amax.astype(np.float64), "left")]
    scales = np.ldexp(np.float32(1), exponent).astype(ml_dtypes.float8_e8m0fnu)
    padding = -scales.shape[1] % 4
    scales = np.pad(scales.view(np.uint8), [(0, 0), (0, padding)])
    return scales, np.ldexp(np.float32(1), -exponent)


def quantize(rows, target, blockColumns, scaleType):
    """The encodings of rows in target, and the raw scales."""
    numRows, hidden = rows.shape
    largest = np.float32(ml_dtypes.finfo(target).max)
    # Zeros fill up the last block; they change no amax.
    padding = -hidden % blockColumns
    x = np.pad(rows.astype(np.float32), [(0, 0), (0, padding)])
    x = x.reshape(numRows, -1, blockColumns)
    amax = np.where(np.isfinite(x), np.abs(x), np.float32(0)).max(axis=2)
    scales, inverse = scalesOf(np.maximum(amax, MIN_AMAX), largest, scaleType)
    product = x * inverse[:, :, np.newaxis]
    assert product.dtype == np.float32
    # ml_dtypes does not saturate, and keeps the sign of a NaN.
    data = np.clip(product, -largest, largest).astype(target).view(np.uint8)
    data = np.where(np.isnan(product), np.uint8(0x7F), data)
    return data.reshape(numRows, -1)[:, :hidden], scales


def everyPattern(random, source):
    """All encodings of 16 bits; of float32, with random bits below them."""
    patterns = np.arange(1 << 16, dtype=np.uint32)
    if source is np.float32:
        below = random.integers(1 << 16, size=1 << 16, dtype=np.uint32)
        return (patterns << 16 | below).view(source)
    return patterns.astype(np.uint16).view(source)


def ties(source, target):
    """The largest number of target, then all halves between two of its neighbours,
    each with its own neighbours in source, and all negatives: a block with the
    largest has scale 1."""
    values = np.arange(256, dtype=np.uint8).view(target).astype(np.float32)
    values = np.unique(values[np.isfinite(values) & (values >= 0)])
    halves = ((values[1:] + values[:-1]) / 2).astype(source)
    bits = halves.view(f"u{halves.itemsize}")
    near = np.concatenate([halves, (bits + 1).view(source), (bits - 1).view(source)])
    return values[-1].astype(source), np.concatenate([near, -near])


def edges(source):
    """Zeros, denormals, the largest numbers, infinities and NaNs."""
    info = ml_dtypes.finfo(source)
    positive = [0, info.smallest_subnormal, info.tiny, info.max, np.inf, np.nan]
    positive = np.array(positive).astype(source)
    return np.concatenate([positive, -positive])


def rowsOf(random, source, target, hidden):
    """Rows of hidden elements that try what can go wrong."""

    def draw(values, numRows):
        return random.choice(values, (numRows, hidden))

    def numbers(numRows, exponents):
        """Normally distributed, each row times a power of two."""
        scale = 2.0 ** random.integers(*exponents, size=(numRows, 1))
        return (random.standard_normal((numRows, hidden)) * scale).astype(source)

    patterns = everyPattern(random, source)
    inOrder = np.resize(patterns, (-(-len(patterns) // hidden), hidden))
    # Few magnitudes meet in a block, so that amax is of every size.
    finite = np.sort(patterns[np.isfinite(patterns.astype(np.float32))])
    start = random.integers(len(finite), size=(64, 1))
    similar = finite[(start + random.integers(99, size=(64, hidden))) % len(finite)]
    # Scaled by powers of two; amax is the largest number times one.
    largest, halves = ties(source, target)
    tied = draw(halves, 64)
    tied[:, ::7] = largest
    scale = 2.0 ** random.integers(-8, 1, size=(64, 1))
    tied = (tied.astype(np.float32) * scale).astype(source)
    # amax is largest * 2^k, or one unit more or less, alone in its block.
    powers = np.zeros((64, hidden), source)
    scale = 2.0 ** random.integers(-20, 1, size=(64, 1))
    exact = (np.float32(largest) * scale).astype(source)
    bits = exact.view(f"u{exact.itemsize}")
    offset = random.integers(-1, 2, size=bits.shape).astype(bits.dtype)
    powers[:, ::32] = (bits + offset).view(source)
    # Numbers with an edge here and there.
    sprinkled = numbers(32, (-4, 5))
    where = random.random(sprinkled.shape) < 0.05
    sprinkled[where] = random.choice(edges(source), np.count_nonzero(where))
    return np.concatenate(
        [
            np.zeros((1, hidden), source),
            inOrder,
            random.permuted(inOrder.reshape(-1)).reshape(inOrder.shape),
            similar,
            tied,
            powers,
            sprinkled,
            draw(edges(source), 16),
            numbers(64, (-8, 9)),
            numbers(32, (-149, -100)),
        ]
    )


def compare(what, got, expected):
    """Ends the program if arrays of bytes differ."""
    expected = np.ascontiguousarray(expected).view(np.uint8).reshape(-1)
    if got.shape != expected.shape:
        sys.exit(f"{what}: {len(got)} bytes, expected {len(expected)}")
    different = np.flatnonzero(got != expected)
    if len(different):
        at = different[0]
        sys.exit(
            f"{what}: {len(different)} bytes differ; byte {at} is {got[at]:#04x}, "
            f"expected {expected[at]:#04x}"
        )


folder = pathlib.Path(sys.argv[1])
seed = int(sys.argv[2]) if len(sys.argv) > 2 else secrets.randbits(32)
print("seed", seed, flush=True)
random = np.random.default_rng(seed)
np.seterr(all="ignore")  # infinities and NaNs are meant
comparisons = 0
for hidden in HIDDENS:
    for sourceName, source in SOURCES.items():
        for targetName, target in TARGETS.items():
            rows = rowsOf(random, source, target, hidden)
            rows.tofile(folder / "rows")
            for blockColumns, scaleType in SCALINGS:
                blockColumns = blockColumns or hidden
                command = ["fusco-quantize-rows", targetName, blockColumns, scaleType]
                command += [sourceName, hidden]
                command += [folder / name for name in ["rows", "data", "scales"]]
                command = [str(argument) for argument in command]
                subprocess.run(command, check=True)
                data, scales = quantize(rows, target, blockColumns, scaleType)
                what = " ".join(command[1:6])
                for name, expected in ("data", data), ("scales", scales):
                    got = np.fromfile(folder / name, np.uint8)
                    compare(f"{what}: {name}", got, expected)
                comparisons += 1
print(comparisons, "comparisons")
