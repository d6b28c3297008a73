"""Files of real routing, and which shapes they are for."""
import glob
import os
from dataclasses import dataclass
from typing import Optional

import numpy

from .errors import Error, UsageError
from .files import sha256

IDS, WEIGHTS = ".ids.npy", ".weights.npy"


@dataclass
class RoutingFile:
    name: str
    ids: str
    weights: Optional[str]
    layers: int  # 1 for a file of one
    hasLayers: bool
    experts: int  # one more than the largest id
    topk: int
    sha256: str


def _read(path):
    name = os.path.basename(path)[: -len(IDS)]
    try:
        ids = numpy.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise Error(f"cannot read '{path}': {error}")
    if ids.ndim not in (2, 3) or ids.dtype.kind not in "iu" or ids.size == 0:
        raise Error(
            f"'{path}': expected expert ids, [rows, topk] or [layers, rows, topk], "
            f"got {ids.dtype} {list(ids.shape)}"
        )
    weights = os.path.join(os.path.dirname(path), name + WEIGHTS)
    return RoutingFile(
        name,
        path,
        weights if os.path.exists(weights) else None,
        ids.shape[0] if ids.ndim == 3 else 1,
        ids.ndim == 3,
        int(ids.max()) + 1,
        ids.shape[-1],
        sha256(path),
    )


def readFolder(folder):
    """All NAME.ids.npy of a folder, with NAME.weights.npy where there is one."""
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), "*" + IDS)))
    if not paths:
        raise Error(f"--routing: no NAME{IDS} in folder '{folder}'")
    return [_read(path) for path in paths]


def isFor(file, shape):
    """A file is of a shape's model if its experts and top-k are the shape's."""
    return file.experts == shape.experts and file.topk == shape.topk


def parseLayers(text):
    """`all`, `middle`, or numbers separated by commas: what layersOf() takes."""
    if text in ("all", "middle"):
        return text
    try:
        layers = [int(part) for part in text.split(",")]
    except ValueError:
        layers = [-1]
    if min(layers) < 0:
        raise UsageError(
            f"--layers expects all, middle or numbers from 0 separated by commas, got '{text}'"
        )
    return layers


def layersOf(file, wanted):
    """Which layers of a file are measured, the middle one first."""
    middle = file.layers // 2
    if wanted == "middle":
        return [middle]
    if wanted == "all":
        return [middle] + [layer for layer in range(file.layers) if layer != middle]
    return [layer for layer in wanted if layer < file.layers]
