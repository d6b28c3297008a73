"""fusco-bench run: measures cell after cell into one record."""
import os
import shlex
import time

from . import children, machine
from .cells import listCells, memoryNeeded
from .errors import Error
from .files import makeFolder, readJson, requireWritable
from .progress import Progress
from .record import newRecord, readRecord, requireSame, understanding, writeRecord
from .tools import Tools, compileLibrary

DEFAULT_BASELINES = ("unfused", "mpi")
BASELINES = (*DEFAULT_BASELINES, "torch")
SEED = 1  # of routing that is drawn, of rows and of weights


class Interrupted(Exception):
    """Ctrl-C, or SIGTERM."""


class Sweep:
    def __init__(self, options, commandLine):
        self.options = options
        self.tools = Tools(options.build)
        self.path = options.output
        self.baselines = self._availableBaselines()
        requireWritable(self.path)
        self.cacheFolder = options.cache or self.path + ".libraries"
        makeFolder(self.cacheFolder)
        about = machine.describeMachine(), machine.describeTools(self.tools, self.baselines)
        with understanding(self.path):
            if os.path.exists(self.path) and not options.restart:
                self.record = readRecord(self.path, "sweep")
                requireSame(self.path, self.record, *about)
            else:
                self.record = newRecord("sweep", *about)
                self.record.update(baselines=self.baselines, libraries={}, cells=[])
            if self.record["baselines"] != self.baselines:
                raise Error(
                    f"'{self.path}' has baselines {','.join(self.record['baselines'])}, now "
                    f"they are {','.join(self.baselines)}: give another -o, or --restart"
                )
            self.done = {cell["id"]: cell for cell in self.record["cells"]}
        self.session = {
            "command": shlex.join(["fusco-bench", *commandLine]),
            "started": machine.now(),
            "load_average": machine.loadAverage(),
        }
        self.record["sessions"].append(self.session)
        self.libraries = {}

    def _availableBaselines(self):
        baselines = list(self.options.baselines)
        self.notes = []
        for name, isThere, reason in (
            ("mpi", self.tools.hasMpi, "no mpirun, or fusco was built without it"),
            ("torch", self.tools.torchVersion, "no PyTorch for python3; FUSCO_PYTHON names another"),
        ):
            if name in baselines and not isThere():
                baselines.remove(name)
                self.notes.append(f"without baseline {name}: {reason}")
        return baselines

    def run(self):
        options = self.options
        cells = listCells(
            options.shapes, options.topologies, options.tokens, options.files, options.layers
        )
        if options.realOnly:
            cells = [cell for cell in cells if cell.file]
        if not cells:
            raise Error("nothing to measure: no shape has real routing in --routing")
        again = ("failed",) if options.retry else ()
        left = [
            cell
            for cell in cells
            if cell.id not in self.done or self.done[cell.id]["status"] in again
        ]
        progress = Progress(len(left))
        for note in self.notes:
            progress.note(f"fusco-bench: {note}")
        if len(left) < len(cells):
            progress.note(
                f"fusco-bench: '{self.path}' has {len(cells) - len(left)} of "
                f"{len(cells)} cells; going on"
            )
        start = time.monotonic()
        longest = 0.0  # of the cells so far
        try:
            for cell in left:
                elapsed = time.monotonic() - start
                if options.budgetS is not None and elapsed + longest > options.budgetS:
                    progress.note(
                        f"fusco-bench: the budget of {options.budgetS} s is used up; the same "
                        f"command measures the {len(left) - progress.done} cells that are left"
                    )
                    break
                progress.begin(cell.id)
                entry = self.measure(cell)
                longest = max(longest, entry.get("wall_s", 0))
                self.keep(entry)
                progress.end(describe(entry))
        except KeyboardInterrupt:
            self.close(len(left) - progress.done, interrupted=True)
            raise Interrupted(
                f"interrupted; '{self.path}' has {len(self.record['cells'])} cells, and the same "
                "command goes on"
            )
        self.close(len(left) - progress.done)
        return self.record

    def keep(self, entry):
        """Adds a cell's entry to the record, or puts it in place of an older one."""
        cells = self.record["cells"]
        if entry["id"] in self.done:
            cells[cells.index(self.done[entry["id"]])] = entry
        else:
            cells.append(entry)
        self.done[entry["id"]] = entry
        self.session["ended"] = machine.now()
        writeRecord(self.path, self.record)

    def close(self, left, interrupted=False):
        self.session["ended"] = machine.now()
        self.session["cells_left"] = left
        if interrupted:
            self.session["interrupted"] = True
        writeRecord(self.path, self.record)

    def library(self, cell):
        """Compiled once for all cells that take it. A failure is kept too."""
        maxTokens = self.options.maxTokens
        fitting = [most for most in maxTokens if most >= cell.tokens]
        most = min(fitting) if fitting else cell.tokens
        key = f"{cell.shape.name} {cell.topology} {most}"
        if key not in self.libraries:
            try:
                library = compileLibrary(
                    self.tools,
                    cell.shape,
                    cell.nodes,
                    cell.ranksPerNode,
                    most,
                    self.cacheFolder,
                )
                self.record["libraries"][key] = library.about
            except Error as error:
                library = error
            self.libraries[key] = library
        if isinstance(self.libraries[key], Error):
            raise self.libraries[key]
        return self.libraries[key]

    def measure(self, cell):
        entry = {
            "id": cell.id,
            "shape": cell.shape.name,
            "hidden": cell.shape.hidden,
            "experts": cell.shape.experts,
            "topk": cell.shape.topk,
            "nodes": cell.nodes,
            "ranks_per_node": cell.ranksPerNode,
            "tokens": cell.tokens,
            "routing": {"kind": "real" if cell.file else "drawn", "seed": SEED},
        }
        if cell.file:
            entry["routing"].update(
                file=cell.file.name, layer=cell.layer, sha256=cell.file.sha256
            )
        needed = memoryNeeded(cell, self.baselines)
        limit = self.options.memoryBytes or int(0.9 * machine.memoryBytes("MemAvailable"))
        if needed > limit:
            reason = f"needs about {needed / 1e9:.1f} GB of memory, {limit / 1e9:.1f} are there"
            return {**entry, "status": "skipped", "reason": reason}
        try:
            library = self.library(cell)
            return {**entry, **self.runCell(cell, library)}
        except Error as error:
            return {**entry, "status": "failed", "reason": str(error)}

    def runCell(self, cell, library):
        out = os.path.join(self.cacheFolder, "run.json")
        if os.path.exists(out):
            os.unlink(out)
        command = [self.tools.find("fusco-run"), library.path, "--bench"]
        command += ["--tokens", cell.tokens, "--seed", SEED, "--json", out]
        if self.baselines:
            command += ["--baseline", ",".join(self.baselines)]
        if self.options.iterations:
            command += ["--iterations", self.options.iterations]
        if cell.file:
            command += ["--routing", cell.file.ids]
            if cell.file.weights:
                command += ["--weights", cell.file.weights]
            if cell.file.hasLayers:
                command += ["--layer", cell.layer]
        result = children.run(command, self.options.cellTimeoutS)
        entry = {"started": machine.now(), "wall_s": round(result.seconds, 2)}
        if result.code != 0 or result.timedOut:
            return {**entry, "status": "failed", "reason": result.reason()}
        measured = readJson(out, "a report of fusco-run")
        return {
            **entry,
            "status": "ok",
            "library_sha256": library.about["sha256"],
            "peak_bytes": result.peakBytes,
            **{
                key: measured[key]
                for key in (
                    "routing_crc32",
                    "seed",
                    "check",
                    "iterations",
                    "dispatch",
                    "combine",
                    "limit",
                    "baseline",
                    "ratio",
                    "plan",
                )
                if key in measured
            },
        }


def describe(entry):
    """A line about a cell that is over."""
    if entry["status"] != "ok":
        return f"{entry['id']}: {entry['status']}: {entry['reason']}"
    ratios = "".join(f", {value:.2f}x {name}" for name, value in entry.get("ratio", {}).items())
    return (
        f"{entry['id']}: dispatch {entry['dispatch']['median_us'] / 1e3:.3f} ms, "
        f"combine {entry['combine']['median_us'] / 1e3:.3f} ms{ratios} ({entry['wall_s']:.0f} s)"
    )
