"""Plots of a record, as SVG files that need nothing else."""
import math
import os
import textwrap

from .errors import Error
from .series import listSeries, total
from .statistics import medianError

# Okabe and Ito's colours, which the colour-blind can tell apart too.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#555555"
BASELINES = {"unfused": (ORANGE, "s"), "mpi": (GREEN, "^"), "torch": (PURPLE, "D")}
COLUMNS = 4
LEGEND_INCHES = 0.3


def _matplotlib():
    try:
        import matplotlib
    except ImportError:
        raise Error("plots need matplotlib: install python3-matplotlib, or leave out --plots")
    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "fusco-bench",  # the same record gives the same file
            "font.size": 8,
            "font.family": "sans-serif",
            "axes.titlesize": 8,
            "axes.grid": True,
            "grid.color": "#dddddd",
            "grid.linewidth": 0.5,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "lines.markersize": 3.5,
            "lines.linewidth": 1.2,
        }
    )
    return plt


def _panels(plt, count, title):
    columns = min(COLUMNS, count)
    rows = math.ceil(count / columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(max(5, 2.9 * columns), 2.3 * rows + 0.9),
        squeeze=False,
        layout="constrained",
    )
    figure.suptitle(title, fontsize=10)
    axes = axes.flatten()
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def _tokenAxis(axis, counts):
    axis.set_xscale("log", base=2)
    counts = sorted(set(counts))
    step = math.ceil(len(counts) / 7)
    shown = counts[::-1][::step][::-1]
    axis.set_xticks(shown, [str(count) for count in shown])
    axis.minorticks_off()


def _logAxis(axis):
    """At least a decade, so that noise does not look like growth."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_yscale("log")
    low, high = axis.get_ylim()
    if high < 10 * low:
        middle = math.sqrt(low * high)
        low, high = axis.set_ylim(middle / math.sqrt(10), middle * math.sqrt(10))
    steps = (1, 2, 5) if high < 300 * low else (1,)
    axis.yaxis.set_major_locator(LogLocator(10, subs=steps, numticks=20))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _ratioAxis(axis, ratios):
    """Twice and half are as far from 1."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    axis.set_yscale("log")
    steps = [s * 10**e for e in range(-3, 4) for s in (1, 1.5, 2, 3, 5)]
    axis.set_ylim(min(0.8, *ratios) * 0.95, max(1.25, *ratios) * 1.1)
    low, high = axis.get_ylim()
    inside = [step for step in steps if low <= step <= high]
    axis.yaxis.set_major_locator(FixedLocator(inside))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_minor_locator(FixedLocator([]))


def _finish(plt, figure, axes, labels, legendAxis, folder, name):
    """One legend below all panels, in a strip that is kept free for it."""
    strip = LEGEND_INCHES / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, strip, 1, 1 - strip))
    xLabel, yLabel = labels
    columns = min(COLUMNS, len(axes))
    for axis in axes[-columns:] if xLabel else []:  # those with none below
        axis.set_xlabel(xLabel)
    figure.supylabel(yLabel, fontsize=8)
    handles, names = legendAxis.get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=len(names), frameon=False)
    try:
        figure.savefig(os.path.join(folder, name), metadata={"Date": None})
    except OSError as error:
        raise Error(f"cannot write '{name}' in '{folder}': {error.strerror}")
    plt.close(figure)
    return name


def _where(record):
    machine = record["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores"


def _panelTitle(series):
    shape, topology, routing = series.title.split(", ", 2)
    return f"{shape}, {topology}\n{routing}"


def _error(cell, direction):
    way = cell[direction]
    return medianError(way["median_us"], way["quartiles_us"], cell["iterations"])


def plotSweep(record, folder):
    plt = _matplotlib()
    shown = []
    for series in listSeries(record):
        cells = [cell for cell in series.cells if cell["status"] == "ok"]
        if cells:
            shown.append((series, cells))
    if not shown:
        raise Error("the record has no cell that could be measured: nothing to plot")
    # The panel with most lines has the legend's.
    baselines = record["baselines"]
    perRank = "tokens per rank"
    names = []

    figure, axes = _panels(plt, len(shown), f"Dispatch and combine together; {_where(record)}")
    for axis, (series, cells) in zip(axes, shown):
        tokens = [cell["tokens"] for cell in cells]
        axis.plot(tokens, [total(c) / 1e3 for c in cells], "o-", color=BLUE, label="fusco")
        for name in baselines:
            color, marker = BASELINES[name]
            has = [cell for cell in cells if name in cell.get("baseline", {})]
            axis.plot(
                [cell["tokens"] for cell in has],
                [total(cell, name) / 1e3 for cell in has],
                marker + "-",
                color=color,
                label=name,
            )
        _tokenAxis(axis, tokens)
        _logAxis(axis)
        axis.set_title(_panelTitle(series))
    labels = perRank, "time in ms, slowest rank, planning included"
    names.append(_finish(plt, figure, axes, labels, axes[0], folder, "time.svg"))

    figure, axes = _panels(plt, len(shown), f"Fraction of the limit of a copy; {_where(record)}")
    for axis, (series, cells) in zip(axes, shown):
        tokens = [cell["tokens"] for cell in cells]
        for direction, color, marker in (("dispatch", BLUE, "o"), ("combine", PURPLE, "D")):
            fractions = [cell[direction]["fraction_of_limit"] for cell in cells]
            errors = [f * _error(cell, direction) for f, cell in zip(fractions, cells)]
            axis.errorbar(
                tokens,
                fractions,
                errors,
                fmt=marker + "-",
                color=color,
                capsize=2,
                label=direction,
            )
        axis.axhline(1, color=GREY, linewidth=0.8, linestyle="--")
        axis.set_ylim(bottom=0)
        _tokenAxis(axis, tokens)
        axis.set_title(_panelTitle(series))
    labels = perRank, "bytes that must be moved, per second, over a copy's"
    names.append(_finish(plt, figure, axes, labels, axes[0], folder, "limit.svg"))

    if baselines:
        figure, axes = _panels(plt, len(shown), f"Time of baselines over fusco's; {_where(record)}")
        for axis, (series, cells) in zip(axes, shown):
            for name in baselines:
                color, marker = BASELINES[name]
                has = [cell for cell in cells if name in cell.get("ratio", {})]
                axis.plot(
                    [cell["tokens"] for cell in has],
                    [cell["ratio"][name] for cell in has],
                    marker + "-",
                    color=color,
                    label=f"{name} over fusco",
                )
            axis.axhline(1, color=GREY, linewidth=0.8, linestyle="--")
            _ratioAxis(axis, [1] + [r for cell in cells for r in cell.get("ratio", {}).values()])
            _tokenAxis(axis, [cell["tokens"] for cell in cells])
            axis.set_title(_panelTitle(series))
        labels = perRank, "ratio of times, dispatch and combine together"
        names.append(_finish(plt, figure, axes, labels, axes[0], folder, "ratio.svg"))
    return names


def _fromZero(axis):
    axis.set_ylim(bottom=0)


def plotGrowth(record, folder):
    from .growth import listAxes

    plt = _matplotlib()
    names = []
    for kind, quantities, title, yLabel, scale, name in (
        (
            "plan",
            [("median_us", "measured", BLUE, "o"), ("fitted_us", "linear model", ORANGE, "")],
            "Planning, one rank of many alone",
            "time in us",
            _logAxis,
            "plan.svg",
        ),
        (
            "compile",
            [("compile_s", "time in s", BLUE, "o"), ("peak_gb", "memory in GB", ORANGE, "s")],
            "fusco-compile",
            "seconds, or gigabytes resident at most",
            _fromZero,
            "compile.svg",
        ),
        (
            "compile",
            [
                ("symmetric_mb", "symmetric heap", BLUE, "o"),
                ("plan_mb", "plan", GREEN, "^"),
            ],
            "Memory of a rank, as compiled",
            "MB",
            _logAxis,
            "memory.svg",
        ),
    ):
        lines = listAxes(record, kind)
        if not lines:
            continue
        figure, axes = _panels(plt, len(lines), f"{title}; {_where(record)}")
        for axis, line in zip(axes, lines):
            for key, label, color, marker in quantities:
                style = marker + ("-" if marker else "--")
                values = [point[key] for point in line.points]
                axis.plot(line.sizes, values, style, color=color, label=label)
            _tokenAxis(axis, line.sizes)
            scale(axis)
            axis.set_xlabel(line.name)
            axis.set_title("\n".join(textwrap.wrap(line.fixed, 34)))
        names.append(_finish(plt, figure, axes, ("", yLabel), axes[0], folder, name))
    return names
