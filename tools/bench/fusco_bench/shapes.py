"""The shapes that are measured: a table that a user can replace."""
import os
import re
from dataclasses import dataclass

from .errors import Error, UsageError
from .files import readJson

CANONICAL = os.path.join(os.path.dirname(__file__), "shapes.json")
NUMBERS = ("hidden", "experts", "topk")
TEXTS = ("model",)
LISTS = ("flags", "compile_flags")


@dataclass(frozen=True)
class Shape:
    name: str
    hidden: int
    experts: int
    topk: int
    model: str = ""
    flags: tuple = ()  # of fusco-import
    compile_flags: tuple = ()  # of fusco-compile


def _parse(entry, path):
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise Error(f"'{path}': expected a shape with a name, got {entry}")
    name = entry["name"]
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise Error(
            f"'{path}': a shape's name is of letters, digits, '.', '_', '-', got '{name}'"
        )
    for key in NUMBERS:
        if not isinstance(entry.get(key), int) or entry[key] < 1:
            raise Error(
                f"'{path}': shape '{name}': expected a number >= 1 as '{key}', "
                f"got {entry.get(key)}"
            )
    for key, value in entry.items():
        if key in LISTS and (
            not isinstance(value, list) or not all(isinstance(v, str) for v in value)
        ):
            raise Error(f"'{path}': shape '{name}': expected a list of texts as '{key}'")
        if key not in NUMBERS + TEXTS + LISTS + ("name",):
            raise Error(f"'{path}': shape '{name}': unknown key '{key}'")
    return Shape(
        **{key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}
    )


def readShapes(path=None, only=None):
    """The shapes of a table, in its order; `only` names those that are wanted."""
    path = path or CANONICAL
    table = readJson(path, "a table of shapes")
    entries = table.get("shapes") if isinstance(table, dict) else None
    if not isinstance(entries, list) or not entries:
        raise Error(f"'{path}': expected a list 'shapes' that is not empty")
    shapes = [_parse(entry, path) for entry in entries]
    names = [shape.name for shape in shapes]
    for name in names:
        if names.count(name) > 1:
            raise Error(f"'{path}': shape '{name}' is there twice")
    if only is None:
        return shapes
    for name in only:
        if name not in names:
            raise UsageError(f"--only: no shape '{name}' in '{path}'")
    return [shape for shape in shapes if shape.name in only]


def parseTopology(text):
    """NODESxRANKS, ranks per node."""
    match = re.fullmatch(r"([1-9][0-9]*)x([1-9][0-9]*)", text)
    if not match:
        raise UsageError(f"--topology expects NODESxRANKS such as 2x4, got '{text}'")
    return int(match[1]), int(match[2])
