"""fusco-bench growth: what planning and compiling cost as tokens, experts and
ranks grow."""
import json
import os
import shlex
import statistics as plain
import tempfile
from dataclasses import dataclass, replace

from . import children, machine, tables
from .errors import Error
from .files import readJson, requireWritable
from .progress import Progress
from .record import newRecord, writeRecord
from .shapes import Shape
from .statistics import exponents, fitLinear
from .tools import COMPILE_TIMEOUT_S, Tools, importFlags

PLAN_TIMEOUT_S = 300
ROUNDS = 3  # in which points are measured in turn; the median counts


@dataclass(frozen=True)
class Point:
    """One model on one group of ranks."""

    tokens: int = 1024
    experts: int = 256
    topk: int = 8
    hidden: int = 7168
    nodes: int = 1
    ranksPerNode: int = 8

    @property
    def ranks(self):
        return self.nodes * self.ranksPerNode

    def shape(self):
        return Shape("m", self.hidden, self.experts, self.topk)


def entryOf(point):
    return {**vars(point), "ranks": point.ranks}


def powers(first, last, factor=2):
    values = [first]
    while values[-1] * factor <= last:
        values.append(values[-1] * factor)
    return values


def _ranks(base, counts, perNode=None):
    if not perNode:
        return [replace(base, ranksPerNode=count) for count in counts]
    return [replace(base, nodes=count // perNode, ranksPerNode=perNode) for count in counts]


def planAxes(isQuick):
    """Planning, each axis from a small and from a large group."""
    few = Point(hidden=1)
    decode = replace(few, tokens=128)
    many = replace(few, ranksPerNode=256)
    if isQuick:
        return [
            ("ranks", _ranks(decode, [2, 8, 64])),
            ("tokens", [replace(few, tokens=count) for count in (128, 512)]),
            ("experts", [replace(decode, experts=count) for count in (32, 128)]),
        ]
    axes = [("ranks", _ranks(base, powers(2, 2048))) for base in (decode, few)]
    for base in (few, many):
        axes.append(("tokens", [replace(base, tokens=n) for n in powers(128, 8192)]))
        axes.append(("experts", [replace(base, experts=n) for n in powers(32, 2048)]))
    return axes + [("topk", [replace(few, topk=n) for n in powers(1, 16)])]


def compileAxes(isQuick):
    few = Point(tokens=4096)
    if isQuick:
        return [("ranks", _ranks(few, [2, 32])), ("ranks", _ranks(few, [8, 32], perNode=8))]
    return [
        ("ranks", _ranks(few, powers(2, 2048, 4))),
        ("ranks", _ranks(few, powers(8, 2048, 4), perNode=8)),
        ("experts", [replace(few, experts=n) for n in powers(16, 4096, 4)]),
        ("topk", [replace(few, topk=n) for n in powers(1, 32)]),
        ("hidden", [replace(few, hidden=n) for n in powers(256, 16384, 4)]),
        ("tokens", [replace(few, tokens=n) for n in powers(256, 16384, 4)]),
    ]


def threadAxes(isQuick):
    """All ranks, as threads of fusco-run, which share the cores there are."""
    return [("ranks", _ranks(Point(hidden=1), [2, 4] if isQuick else [2, 4, 8]))]


# ===--- Measuring --------------------------------------------------------=== #


class Compiler:
    def __init__(self, tools, folder, iterations):
        self.tools, self.folder = tools, folder
        self.iterations = iterations  # of a run of all ranks

    def compile(self, point, flags=()):
        """The library, its report, and what compiling took."""
        stem = os.path.join(self.folder, "m")
        flagsOfModel = importFlags(point.shape(), point.nodes, point.ranksPerNode, point.tokens)
        children.call(
            [self.tools.find("fusco-import"), *flagsOfModel, "-o", stem + ".mlir"],
            COMPILE_TIMEOUT_S,
        )
        result = children.call(
            [self.tools.find("fusco-compile"), stem + ".mlir", "--target=cpu", *flags]
            + ["-o", stem + ".so", "--report", stem + ".json"],
            COMPILE_TIMEOUT_S,
        )
        memory = readJson(stem + ".json", "a report of fusco-compile")["memory"]
        return {
            "compile_s": result.seconds,
            "peak_bytes": result.peakBytes,
            "library_bytes": os.path.getsize(stem + ".so"),
            "symmetric_bytes": memory["symmetric_bytes"],
            "plan_bytes": memory["plan_bytes"],
        }

    def plan(self, point):
        """Rank 0's dispatch, alone."""
        about = self.compile(point, ["--no-baseline"])
        stem = os.path.join(self.folder, "m")
        result = children.call(
            [self.tools.find("fusco-one-rank"), stem + ".so", "--report", stem + ".json"]
            + ["--tokens", point.tokens],
            PLAN_TIMEOUT_S,
        )
        timed = json.loads(result.out)
        return {
            "median_us": timed["median_us"],
            "quartiles_us": timed["quartiles_us"],
            "symmetric_bytes": about["symmetric_bytes"],
            "plan_bytes": about["plan_bytes"],
        }

    def threads(self, point):
        """The same with all ranks, as threads: what fusco-one-rank leaves out is
        waiting, and that ranks share caches and cores."""
        self.compile(point, ["--no-baseline"])
        stem = os.path.join(self.folder, "m")
        out = os.path.join(self.folder, "run.json")
        children.call(
            [self.tools.find("fusco-run"), stem + ".so", "--bench", "--tokens", point.tokens]
            + ["--iterations", self.iterations, "--seed", "1", "--json", out],
            PLAN_TIMEOUT_S,
        )
        return {"median_us": readJson(out, "a report of fusco-run")["dispatch"]["median_us"]}


def _median(results):
    """Number by number; of the first round where there is none."""
    merged = dict(results[0])
    for key, value in merged.items():
        if isinstance(value, (int, float)):
            merged[key] = plain.median(result[key] for result in results)
    return merged


def measure(options, commandLine):
    requireWritable(options.output)
    tools = Tools(options.build)
    record = newRecord("growth", machine.describeMachine(), machine.describeTools(tools))
    session = {
        "command": shlex.join(["fusco-bench", *commandLine]),
        "started": machine.now(),
        "load_average": machine.loadAverage(),
    }
    record["sessions"].append(session)
    rounds = 1 if options.quick else ROUNDS
    work = [("plan", *axis) for axis in planAxes(options.quick)]
    work += [("compile", *axis) for axis in compileAxes(options.quick)]
    work += [("threads", *axis) for axis in threadAxes(options.quick)]
    record["axes"] = []
    progress = Progress(rounds * sum(len(points) for _, _, points in work))
    with tempfile.TemporaryDirectory(prefix="fusco-bench-") as folder:
        compiler = Compiler(tools, folder, iterations=3 if options.quick else 21)
        measureOf = {
            "plan": compiler.plan,
            "compile": compiler.compile,
            "threads": compiler.threads,
        }
        for kind, name, points in work:
            results = [[] for _ in points]
            for _ in range(rounds):
                for point, found in zip(points, results):
                    what = f"{kind} {name} {entryOf(point)[name]}"
                    progress.begin(what)
                    try:
                        found.append(measureOf[kind](point))
                        text = ""
                    except Error as error:
                        found.append({"error": str(error)})
                        text = f": failed: {error}"
                    progress.end(what + text)
            for point, found in zip(points, results):
                good = [result for result in found if "error" not in result]
                entry = {**entryOf(point), **(_median(good) if good else found[0])}
                _axis(record, kind, name, points)["points"].append(entry)
    session["ended"] = machine.now()
    writeRecord(options.output, record)
    return record


def _axis(record, kind, name, points):
    first = vars(points[0])
    key = {"kind": kind, "axis": name, "first": first}
    for axis in record["axes"]:
        if {k: axis[k] for k in key} == key:
            return axis
    record["axes"].append({**key, "points": []})
    return record["axes"][-1]


# ===--- What it shows ----------------------------------------------------=== #


@dataclass
class Line:
    name: str  # of the axis
    fixed: str  # what stays
    sizes: list
    points: list


def _fixed(axis):
    first = axis["first"]
    isPlan = axis["kind"] != "compile"
    names = {"ranks": "ranks", "tokens": "tokens", "experts": "experts", "topk": "top-k"}
    parts = []
    for key, text in names.items():
        if key == axis["axis"]:
            if key == "ranks" and axis["points"][0]["nodes"] != axis["points"][-1]["nodes"]:
                parts.append(f"{first['ranksPerNode']} ranks per node")
            continue
        value = first["nodes"] * first["ranksPerNode"] if key == "ranks" else first[key]
        parts.append(f"top-{value}" if key == "topk" else f"{value} {text}")
    if not isPlan and axis["axis"] != "hidden":
        parts.append(f"hidden {first['hidden']}")
    return ", ".join(parts)


def terms(point):
    """What O(tokens * topk + experts * ranks) is made of: a constant, pairs,
    counts, and what each rank costs beside its counts."""
    pairs, ranks = point["tokens"] * point["topk"], point["ranks"]
    return [1, pairs, point["experts"] * ranks, ranks]


def _good(axis):
    return [point for point in axis["points"] if "error" not in point]


def fitPlan(record):
    """The linear model over all points of all axes."""
    points = [p for axis in record["axes"] if axis["kind"] == "plan" for p in _good(axis)]
    if len(points) < 5:
        return points, None, None
    return points, *fitLinear([terms(p) for p in points], [p["median_us"] for p in points])


def listAxes(record, kind):
    """Axes for plots, with derived units."""
    _, coefficients, _ = fitPlan(record)
    lines = []
    for axis in record["axes"]:
        points = []
        for point in _good(axis) if axis["kind"] == kind else []:
            point = dict(point)
            if kind == "plan" and coefficients is not None:
                point["fitted_us"] = float(sum(coefficients * terms(point)))
            if kind == "compile":
                point["peak_gb"] = point["peak_bytes"] / 1e9
            for key in ("symmetric", "plan"):
                if key + "_bytes" in point:
                    point[key + "_mb"] = point[key + "_bytes"] / 1e6
            points.append(point)
        if len(points) > 1:
            sizes = [point[axis["axis"]] for point in points]
            lines.append(Line(axis["axis"], _fixed(axis), sizes, points))
    return lines


def _axisTable(line, columns, asMarkdown):
    head = [line.name] + [head for head, _, _ in columns]
    rows = []
    for size, point in zip(line.sizes, line.points):
        rows.append([size] + [tables.significant(point[key] / unit) for _, key, unit in columns])
    slopes = ["exponent of the last doublings"]
    for _, key, _ in columns:
        values = [point[key] for point in line.points]
        slopes.append(f"{exponents(line.sizes[-2:], values[-2:])[0]:.2f}")
    return tables.render(head, rows + [slopes], asMarkdown)


def growthText(record, asMarkdown):
    parts = []
    plan = [("plan us", "median_us", 1), ("model us", "fitted_us", 1)]
    plan += [("heap MB", "symmetric_bytes", 1e6), ("plan MB", "plan_bytes", 1e6)]
    compiled = [("compile s", "compile_s", 1), ("peak MB", "peak_bytes", 1e6)]
    compiled += [("library kB", "library_bytes", 1e3)] + plan[2:]
    points, coefficients, residuals = fitPlan(record)
    if coefficients is not None:
        parts.append(tables.heading("Planning, one rank alone", asMarkdown))
        constant, perPair, perCount, perRank = coefficients
        spread = sorted(abs(residuals))
        parts.append(
            "A dispatch at hidden 1, which is nearly all planning, of one rank whose peers' part "
            "is played (fusco-one-rank).\n"
            f"Fit over {len(points)} points, relative least squares, with T tokens per rank, "
            "K experts each, E experts, R ranks:\n\n"
            f"    time = {constant:.2f} us + {perPair * 1e3:.2f} ns * T*K "
            f"+ {perCount * 1e3:.3f} ns * E*R + {perRank * 1e3:.1f} ns * R\n\n"
            f"Residuals, of what was measured: median {100 * spread[len(spread) // 2]:.1f} %, "
            f"largest {100 * spread[-1]:.1f} %.\n"
        )
        parts += _axisTables(record, "plan", plan, asMarkdown)
    else:
        parts.append("Too few points of planning for a fit.\n")
    threads = listAxes(record, "threads")
    for line in threads:
        parts.append(tables.heading("All ranks, as threads", asMarkdown))
        parts.append(_axisTable(line, [("dispatch us", "median_us", 1)], asMarkdown))
    parts.append(tables.heading("Compilation", asMarkdown))
    parts += _axisTables(record, "compile", compiled, asMarkdown)
    failed = [p for axis in record["axes"] for p in axis["points"] if "error" in p]
    parts += [f"failed at {p['ranks']} ranks, {p['experts']} experts: {p['error']}\n" for p in failed]
    return "\n".join(parts)


def _axisTables(record, kind, columns, asMarkdown):
    parts = []
    for line in listAxes(record, kind):
        parts += [f"Over {line.name}; {line.fixed}:\n", _axisTable(line, columns, asMarkdown)]
    return parts
