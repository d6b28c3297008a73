"""Cells of a record that differ in their tokens alone: a line in a plot."""
from dataclasses import dataclass


@dataclass
class Series:
    title: str
    cells: list  # by tokens


def listSeries(record):
    """In the order in which the record first has them."""
    found = {}
    for cell in record["cells"]:
        routing = cell["routing"]
        name = "drawn routing"
        if routing["kind"] == "real":
            name = f"{routing['file']}, layer {routing['layer']}"
        key = f"{cell['shape']}, {cell['nodes']} x {cell['ranks_per_node']} ranks, {name}"
        found.setdefault(key, []).append(cell)
    return [
        Series(title, sorted(cells, key=lambda cell: cell["tokens"]))
        for title, cells in found.items()
    ]


def total(cell, name=None):
    """Microseconds of dispatch and combine, of ours or of a baseline."""
    if name is None:
        return cell["dispatch"]["median_us"] + cell["combine"]["median_us"]
    baseline = cell["baseline"][name]
    return baseline["dispatch_us"] + baseline["combine_us"]
