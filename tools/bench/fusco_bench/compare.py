"""fusco-bench compare: what got slower, from two records or from paired runs."""
import os
import tempfile
from statistics import median

from . import children, tables
from .errors import Error, UsageError
from .files import readJson
from .progress import Progress
from .record import readRecord
from .series import total
from .statistics import leastPairs, medianError, medianInterval, signTest
from .tools import Tools, compileLibrary

SEED = 1
RUN_TIMEOUT_S = 600
DEFAULT_TOKENS = 1024
REFERENCE = "unfused"  # in the same run, by the same compiler: drifts as ours does


def verdictOf(low, high, tolerance):
    """Of an interval of new over old."""
    if low > 1 + tolerance:
        return "slower"
    if high < 1 - tolerance:
        return "faster"
    return "same"


# ===--- Two records ------------------------------------------------------=== #


def _totalError(cell, name=None):
    """Of total(): as if both directions erred the same way."""
    if name is None:
        parts = [(cell[d]["median_us"], cell[d]["quartiles_us"]) for d in ("dispatch", "combine")]
    else:
        baseline = cell["baseline"][name]
        parts = [
            (baseline[f"{d}_us"], baseline[f"{d}_quartiles_us"]) for d in ("dispatch", "combine")
        ]
    return max(medianError(*part, cell["iterations"]) for part in parts)


def compareCells(old, new, tolerance):
    """New over old: of times as they are, of times over the unfused form's in
    the same run where both have it, half of an interval, and the verdict."""
    raw = total(new) / total(old)
    ratio, error = raw, _totalError(old) + _totalError(new)
    isRelative = all(REFERENCE in cell.get("baseline", {}) for cell in (old, new))
    if isRelative:
        ratio *= total(old, REFERENCE) / total(new, REFERENCE)
        error += _totalError(old, REFERENCE) + _totalError(new, REFERENCE)
    return raw, ratio, error, verdictOf(ratio - error, ratio + error, tolerance)


def compareRecords(options):
    old, new = (readRecord(path, "sweep") for path in options.what)
    before = {cell["id"]: cell for cell in old["cells"]}
    rows, verdicts = [], []
    for cell in new["cells"]:
        then = before.get(cell["id"])
        if not then or then["status"] != "ok":
            continue
        if cell["status"] != "ok":
            if cell["status"] == "failed":
                rows.append([cell["id"], "", "", "", f"failed: {cell['reason']}"])
                verdicts.append("slower")
            continue
        if then["routing_crc32"] != cell["routing_crc32"]:
            raise Error(
                f"'{cell['id']}' has other inputs in '{options.what[0]}' than in "
                f"'{options.what[1]}': routing_crc32 {then['routing_crc32']}, "
                f"{cell['routing_crc32']}"
            )
        raw, ratio, error, verdict = compareCells(then, cell, options.tolerance)
        verdicts.append(verdict)
        if verdict != "same" or options.all:
            rows.append([cell["id"], f"{raw:.3f}", f"{ratio:.3f}", f"{error:.3f}", verdict])
    if not verdicts:
        raise Error("the records have no measured cell in common")
    if rows:
        head = ["cell", "time new/old", "over unfused's", "+-", "verdict"]
        print(tables.render(head, rows, asMarkdown=False), end="")
    counts = {v: verdicts.count(v) for v in ("slower", "faster", "same")}
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()) + " beyond noise")
    return 1 if counts["slower"] else 0


# ===--- Paired runs ------------------------------------------------------=== #


class Contender:
    """A library with the fusco-run that runs it."""

    def __init__(self, name, path, tools):
        self.name, self.path, self.run = name, path, tools.find("fusco-run")

    def time(self, flags, folder):
        """Microseconds of dispatch and combine."""
        out = os.path.join(folder, "run.json")
        command = [self.run, self.path, "--bench", "--seed", SEED, "--json", out, *flags]
        children.call(command, RUN_TIMEOUT_S)
        return total(readJson(out, "a report of fusco-run"))


def _contendersByShape(options, folder):
    """[(what is compared, contenders)]: libraries as they are given, or each
    shape compiled by each build folder."""
    if all(os.path.isdir(path) for path in options.what):
        groups = []
        for shape in options.shapes:
            for nodes, ranks in options.topologies:
                contenders = []
                for number, build in enumerate(options.what):
                    tools = Tools(build)
                    cache = os.path.join(folder, str(number))
                    library = compileLibrary(
                        tools, shape, nodes, ranks, options.tokens or DEFAULT_TOKENS, cache
                    )
                    contenders.append(Contender(build, library.path, tools))
                groups.append((f"{shape.name} {nodes}x{ranks}", contenders))
        return groups
    for path in options.what:
        if not os.path.isfile(path):
            raise Error(f"expected libraries, or build folders alone, got '{path}'")
    tools = Tools(options.build)
    return [("", [Contender(path, path, tools) for path in options.what])]


def _pairs(contenders, flags, count, progress, what, folder):
    """Ratios of each contender's time to the first one's, pair by pair. Every
    other pair runs the other way round, so that no one profits from coming
    second."""
    ratios = [[] for _ in contenders]
    for number in range(count):
        order = range(len(contenders)) if number % 2 == 0 else range(len(contenders))[::-1]
        times = {}
        for i in order:
            progress.begin(f"{what} pair {number + 1} of {count}: {contenders[i].name}")
            times[i] = contenders[i].time(flags, folder)
        for i, own in enumerate(ratios):
            own.append(times[i] / times[0])
        progress.end(f"{what} pair {number + 1}: " + ", ".join(f"{r[-1]:.3f}" for r in ratios[1:]))
    return ratios


def comparePairs(options):
    if options.pairs < leastPairs():
        raise UsageError(
            f"--pairs must be at least {leastPairs()}: fewer say nothing with 95 % confidence"
        )
    flags = ["--tokens", options.tokens] if options.tokens else []
    if options.iterations:
        flags += ["--iterations", options.iterations]
    for name in ("routing", "weights", "layer"):
        if getattr(options, name) is not None:
            flags += ["--" + name, getattr(options, name)]
    rows, isSlower = [], False
    with tempfile.TemporaryDirectory(prefix="fusco-bench-") as folder:
        groups = _contendersByShape(options, folder)
        progress = Progress(len(groups) * options.pairs)
        for what, contenders in groups:
            ratios = _pairs(contenders, flags, options.pairs, progress, what, folder)
            for contender, own in list(zip(contenders, ratios))[1:]:
                low, high = medianInterval(own)
                verdict = verdictOf(low, high, options.tolerance)
                isSlower |= verdict == "slower"
                rows.append(
                    [
                        f"{what} {contender.name}".strip(),
                        f"{median(own):.3f}",
                        f"{low:.3f} to {high:.3f}",
                        f"{signTest(own):.3f}",
                        verdict,
                    ]
                )
    head = [f"time over {options.what[0]}", "median", "95 %", "sign test p", "verdict"]
    print(tables.render(head, rows, asMarkdown=False), end="")
    return 1 if isSlower else 0
