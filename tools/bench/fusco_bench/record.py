"""The record of a sweep: one JSON file, written whole after each cell."""
import contextlib
import json

from .errors import Error
from .files import readJson, writeAtomically

FORMAT = "fusco-bench record"
VERSION = 1
KINDS = ("sweep", "growth")


def readRecord(path, kind=None):
    record = readJson(path, "a record of fusco-bench")
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise Error(f"expected a record of fusco-bench, got '{path}'")
    if record.get("version") != VERSION:
        raise Error(
            f"'{path}': expected a record of version {VERSION}, got {record.get('version')}"
        )
    if kind and record.get("kind") != kind:
        raise Error(f"'{path}': expected a record of kind {kind}, got {record.get('kind')}")
    return record


@contextlib.contextmanager
def understanding(*paths):
    """For what is done with records alone: a value that fusco-bench would not have
    written there is an Error."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, SystemError, TypeError, ValueError) as odd:
        names = " and ".join(f"'{path}'" for path in paths)
        reason = " ".join(f"{type(odd).__name__}: {odd}".split())
        raise Error(
            f"expected {names} as fusco-bench writes records, got a value of another kind "
            f"({reason[:100]}); measure again, or take it from where it was whole"
        ) from odd


def writeRecord(path, record):
    """A line for each cell, so that two records can be told apart by line."""
    text = json.dumps({key: value for key, value in record.items() if key != "cells"}, indent=1)
    if "cells" in record:
        cells = ",\n".join("  " + json.dumps(cell) for cell in record["cells"])
        text = f'{text[:-2]},\n "cells": [\n{cells}\n ]\n}}'
    writeAtomically(path, text + "\n")


def newRecord(kind, machine, tools):
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        "machine": machine,
        "tools": tools,
        "sessions": [],
    }


def requireSame(path, record, machine, tools):
    """A record is of one machine and of one build, so that its cells can be
    compared with each other."""
    for part, now in (("machine", machine), ("tools", tools)):
        for key, value in now.items():
            then = record[part].get(key)
            # What memory there is varies by pages that the kernel keeps.
            if key == "memory_bytes":
                then, value = then >> 30, value >> 30
            if key not in ("git_commit", "git_is_changed") and then != value:
                raise Error(
                    f"'{path}' was made with {part} '{key}' {then}, now it is {value}: "
                    "give another -o, or --restart"
                )
