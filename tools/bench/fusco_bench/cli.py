"""The command line of fusco-bench."""
import argparse
import os
import signal
import sys

from . import compare, growth, machine, render, routing, sweep
from .errors import Error, UsageError
from .files import readJson
from .record import understanding
from .shapes import CANONICAL, parseTopology, readShapes
from .sweep import BASELINES, DEFAULT_BASELINES, Interrupted
from .tools import ownBin

DESCRIPTION = """Measures compiled shuffles against what users would pick instead: one boundary
(input ready to expert-major ready; output ready to combined), slowest rank,
planning and permutes included, hashed inputs, in one run.
Exit code 0; 1 for an error or, of compare, something slower; 2 for a wrong
command line; 130 after Ctrl-C."""


class Parser(argparse.ArgumentParser):
    """Errors in one line."""

    def error(self, message):
        raise UsageError(f"{message}; see {self.prog} --help")


def _commas(text):
    return [part for part in text.split(",") if part]


def _numbers(flag, text, least=1):
    try:
        values = [int(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or min(values) < least:
        raise UsageError(f"{flag} expects numbers >= {least} separated by commas, got '{text}'")
    return values


def _atLeast(flag, value, least):
    if value is not None and value < least:
        raise UsageError(f"{flag} must be at least {least}, got {value}")


def _addShapes(parser, topology):
    parser.add_argument(
        "--shapes", metavar="FILE.json", help=f"table of shapes in place of {CANONICAL}"
    )
    parser.add_argument("--only", metavar="NAME,...", help="of these shapes, some")
    parser.add_argument(
        "--topology",
        metavar="NxG,...",
        default=topology,
        help=f"nodes x ranks per node (default {topology})",
    )


def _addBuild(parser):
    parser.add_argument(
        "--build", metavar="DIR", help="build folder whose tools are measured (default: own)"
    )


def _parser():
    formatter = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="fusco-bench", description=DESCRIPTION, formatter_class=formatter)
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    run = commands.add_parser(
        "run",
        help="sweep shapes over tokens and routing into one record",
        description="Sweeps shapes over tokens and routing into one record. If the record is "
        "there, goes on where it ends.",
    )
    run.add_argument("-o", "--output", metavar="RECORD.json", required=True, help="the record")
    _addShapes(run, "1x8")
    run.add_argument(
        "--tokens", metavar="T,...", help="tokens of each rank (default: 1, 2, 4, ... 8192)"
    )
    run.add_argument(
        "--max-tokens",
        metavar="T,...",
        default="512,8192",
        help="libraries are compiled for so many tokens, and a cell takes the smallest that "
        "holds its own, as servers do for decode and prefill (default 512,8192)",
    )
    run.add_argument(
        "--routing",
        metavar="DIR",
        help="folder of real routing, NAME.ids.npy and NAME.weights.npy, for shapes of the same "
        "experts and top-k; other shapes have routing drawn like it",
    )
    run.add_argument(
        "--layers",
        metavar="L,...",
        default="middle",
        help="of these files: all, middle, or numbers from 0 (default middle)",
    )
    run.add_argument("--real-only", action="store_true", help="leave out routing that is drawn")
    run.add_argument(
        "--baseline",
        metavar="NAME,...",
        default=",".join(DEFAULT_BASELINES),
        help="unfused, mpi, torch or none (default unfused,mpi)",
    )
    run.add_argument("--iterations", metavar="N", type=int, help="of each cell (default: some 4 s)")
    run.add_argument("--budget-s", metavar="S", type=float, help="end after so long; default: never")
    run.add_argument(
        "--cell-timeout-s", metavar="S", type=float, default=600, help="of a cell (default 600)"
    )
    run.add_argument(
        "--memory-gb", metavar="GB", type=float, help="leave out cells that need more (default: what is there)"
    )
    run.add_argument("--cache", metavar="DIR", help="compiled libraries (default: RECORD.json.libraries)")
    run.add_argument("--retry", action="store_true", help="measure cells that failed again")
    run.add_argument("--restart", action="store_true", help="begin a new record in place of the old")
    _addBuild(run)

    show = commands.add_parser("render", help="tables and plots of a record")
    show.add_argument("record", metavar="RECORD.json")
    show.add_argument("--format", choices=["text", "markdown"], default="text")
    show.add_argument("-o", "--output", metavar="FILE", help="in place of standard output")
    show.add_argument("--plots", metavar="DIR", help="write plots there, as SVG")

    diff = commands.add_parser(
        "compare",
        help="what got slower: two records, or libraries in turn",
        description="Compares two records, or with --pairs runs libraries (or each shape by each "
        "of several build folders) in turn; the first is what the others are compared with.",
    )
    diff.add_argument("what", nargs="+", metavar="RECORD.json|LIB.so|BUILD")
    diff.add_argument("--pairs", metavar="N", type=int, help="paired runs")
    diff.add_argument(
        "--tolerance",
        metavar="F",
        type=float,
        default=0.02,
        help="a difference beyond noise that does not matter (default 0.02)",
    )
    diff.add_argument("--all", action="store_true", help="records: also cells that are the same")
    diff.add_argument("--tokens", metavar="T", type=int, help="of each rank, with --pairs (default 1024)")
    diff.add_argument("--iterations", metavar="N", type=int, help="of a run, with --pairs")
    diff.add_argument("--routing", metavar="IDS.npy", help="with --pairs, as of fusco-run")
    diff.add_argument("--weights", metavar="W.npy", help="likewise")
    diff.add_argument("--layer", metavar="L", type=int, help="likewise")
    _addShapes(diff, "1x8")
    _addBuild(diff)

    grow = commands.add_parser(
        "growth", help="what planning and compiling cost as tokens, experts and ranks grow"
    )
    grow.add_argument("-o", "--output", metavar="RECORD.json", required=True, help="the record")
    grow.add_argument("--quick", action="store_true", help="few and small points, once")
    _addBuild(grow)
    return parser


def _run(options, commandLine):
    options.shapes = readShapes(options.shapes, options.only and _commas(options.only))
    options.topologies = [parseTopology(text) for text in _commas(options.topology)]
    options.tokens = (
        _numbers("--tokens", options.tokens)
        if options.tokens
        else growth.powers(1, 8192)
    )
    options.maxTokens = _numbers("--max-tokens", options.max_tokens)
    options.layers = routing.parseLayers(options.layers)
    options.files = routing.readFolder(options.routing) if options.routing else []
    if options.real_only and not options.routing:
        raise UsageError("--real-only needs --routing")
    options.realOnly = options.real_only
    options.baselines = [] if options.baseline == "none" else _commas(options.baseline)
    for name in options.baselines:
        if name not in BASELINES:
            raise UsageError(f"--baseline expects unfused, mpi, torch or none, got '{name}'")
    _atLeast("--iterations", options.iterations, 1)
    _atLeast("--budget-s", options.budget_s, 0)
    _atLeast("--cell-timeout-s", options.cell_timeout_s, 1)
    _atLeast("--memory-gb", options.memory_gb, 0)
    options.budgetS, options.cellTimeoutS = options.budget_s, options.cell_timeout_s
    options.memoryBytes = None if options.memory_gb is None else int(options.memory_gb * 1e9)
    sweep.Sweep(options, commandLine).run()
    return 0


def _render(options, _):
    with understanding(options.record):
        render.render(options)
    return 0


def _compare(options, _):
    _atLeast("--tolerance", options.tolerance, 0)
    if options.pairs is None:
        if len(options.what) != 2:
            raise UsageError("expected two records; to run libraries in turn give --pairs")
        for name in ("tokens", "iterations", "routing", "weights", "layer", "only", "build"):
            if getattr(options, name) is not None:
                raise UsageError(f"--{name} is for runs: give --pairs")
        with understanding(*options.what):
            return compare.compareRecords(options)
    if len(options.what) < 2:
        raise UsageError("--pairs expects two libraries or build folders, or more")
    if options.all:
        raise UsageError("--all is for records, --pairs shows everything")
    _atLeast("--tokens", options.tokens, 1)
    _atLeast("--iterations", options.iterations, 1)
    options.shapes = readShapes(options.shapes, options.only and _commas(options.only))
    options.topologies = [parseTopology(text) for text in _commas(options.topology)]
    return compare.comparePairs(options)


def _growth(options, commandLine):
    record = growth.measure(options, commandLine)
    print(growth.growthText(record, asMarkdown=False), end="")
    return 0


COMMANDS = {"run": _run, "render": _render, "compare": _compare, "growth": _growth}


def _dispatch(arguments):
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.version:
        path = os.path.join(ownBin(), machine.BUILD_INFO)
        info = readJson(path, "what is known of the build")
        print(f"fusco-bench {info['version']}")
        return 0
    if not options.command:
        raise UsageError("expected a command: run, render, compare or growth; see fusco-bench --help")
    return COMMANDS[options.command](options, arguments)


def _interrupt(*_):
    raise KeyboardInterrupt


def main(arguments):
    signal.signal(signal.SIGINT, _interrupt)  # also where a shell ignores it for us
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _dispatch(arguments)
    except UsageError as error:
        code, text = 2, f"error: {error}"
    except Error as error:
        code, text = 1, f"error: {error}"
    except Interrupted as stop:
        code, text = 130, str(stop)
    except KeyboardInterrupt:
        code, text = 130, "interrupted"
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code, text = 1, "error: cannot write to standard output"
    except MemoryError:
        code, text = 1, "error: not enough memory"
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""  # a step under way stands there
    print(f"{clear}fusco-bench: " + " ".join(text.splitlines()), file=sys.stderr)
    return code
