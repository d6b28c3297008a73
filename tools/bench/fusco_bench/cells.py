"""What a sweep measures, in the order of importance."""
from dataclasses import dataclass
from typing import Optional

from . import routing
from .shapes import Shape

# What papers and servers use comes first: decode and prefill, then the ends.
TOKENS_BY_IMPORTANCE = [128, 1024, 4096, 1, 8192, 32, 512, 256, 2048, 8, 64, 16, 4, 2]


@dataclass(frozen=True)
class Cell:
    shape: Shape
    nodes: int
    ranksPerNode: int
    tokens: int  # of each rank
    file: Optional[routing.RoutingFile] = None  # None: drawn
    layer: int = 0

    @property
    def ranks(self):
        return self.nodes * self.ranksPerNode

    @property
    def topology(self):
        return f"{self.nodes}x{self.ranksPerNode}"

    @property
    def routingName(self):
        if not self.file:
            return "drawn"
        return f"{self.file.name}:{self.layer}" if self.file.hasLayers else self.file.name

    @property
    def id(self):
        """What a cell of another record has if it measures the same."""
        return f"{self.shape.name} {self.topology} {self.tokens} {self.routingName}"


def listCells(shapes, topologies, tokens, files, layers, drawsRouting=True):
    """By tokens, most important first; then real before drawn routing, of all
    shapes in their order. A shape that has real routing is not drawn for."""

    def importance(count):
        known = count in TOKENS_BY_IMPORTANCE
        return (0, TOKENS_BY_IMPORTANCE.index(count)) if known else (1, count)

    cells = []
    for count in sorted(tokens, key=importance):
        # The first layer of each file, before more of them.
        for depth in range(max([1] + [file.layers for file in files])):
            for shape in shapes:
                own = [file for file in files if routing.isFor(file, shape)]
                for nodes, ranks in topologies:
                    for file in own:
                        chosen = routing.layersOf(file, layers)
                        if depth < len(chosen):
                            cells.append(Cell(shape, nodes, ranks, count, file, chosen[depth]))
                    if not own and drawsRouting and depth == 0:
                        cells.append(Cell(shape, nodes, ranks, count))
    return cells


def memoryNeeded(cell, baselines):
    """Bytes that a run of fusco-run takes, nearly. In multiples of the rows of
    all experts: what it compares with and the buffers of all programs, as
    measured; and of MPI's ranks or of PyTorch's process 5, rows and y, what they
    send and receive, and what they share with fusco-run."""
    rows = cell.ranks * cell.tokens * cell.shape.topk * cell.shape.hidden * 2
    return 3_000_000_000 + rows * (10 + 5 * len({"mpi", "torch"} & set(baselines)))
