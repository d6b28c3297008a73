"""fusco-bench render: a record as tables and plots."""
import os
from statistics import median

from . import plots, tables
from .files import makeFolder, writeAtomically
from .record import readRecord
from .statistics import medianError
from .series import listSeries


def machineText(record):
    machine, tools = record["machine"], record["tools"]
    kind = "virtual machine, " if machine.get("virtual") else ""
    commit = (tools.get("git_commit") or "unknown")[:10]
    changed = " with changes" if tools.get("git_is_changed") else ""
    sessions = record["sessions"]
    loads = [session["load_average"] for session in sessions]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, "
        f"{kind}{machine['system']}, Linux {machine['kernel']}",
        f"fusco {tools['fusco']}, commit {commit}{changed}, LLVM {tools['llvm']}, "
        f"{tools['compiler']}, {tools['mpi'] or 'no MPI'}"
        + (f", PyTorch {tools['torch']}" if tools.get("torch") else ""),
        f"{sessions[0]['started']} to {sessions[-1].get('ended', 'an unknown time')}, load average "
        f"at the start {', '.join(str(load) for load in loads)}",
    ]
    return "\n".join(f"- {line}" for line in lines) + f"\n\n    {sessions[0]['command']}\n"


def seriesTable(series, baselines, asMarkdown):
    head = ["tokens", "dispatch us", "combine us", "+- %", "of limit", "of bound", "copy GB/s"]
    head += [f"ratio {name}" for name in baselines]
    rows = []
    for cell in series.cells:
        if cell["status"] != "ok":
            rows.append([cell["tokens"], f"{cell['status']}: {cell['reason']}"])
            rows[-1] += [""] * (len(head) - 2)
            continue
        ways = cell["dispatch"], cell["combine"]
        error = max(
            medianError(way["median_us"], way["quartiles_us"], cell["iterations"]) for way in ways
        )
        rows.append(
            [
                cell["tokens"],
                *(tables.significant(way["median_us"]) for way in ways),
                f"{100 * error:.1f}",
                *(
                    ", ".join(f"{way[key]:.2f}" if key in way else "-" for way in ways)
                    for key in ("fraction_of_limit", "fraction_of_bound")
                ),
                f"{cell['limit']['copy_gbps']:.1f}",
                *(
                    f"{cell['ratio'][name]:.2f}" if name in cell.get("ratio", {}) else "-"
                    for name in baselines
                ),
            ]
        )
    return tables.render(head, rows, asMarkdown)


def summaryTable(allSeries, baselines, asMarkdown):
    """What most will look for: the ratios of each shape, over all its tokens."""
    rows = []
    for series in allSeries:
        row = [series.title]
        measured = [cell for cell in series.cells if cell["status"] == "ok"]
        if not measured:
            continue
        row.append(f"{measured[0]['tokens']} to {measured[-1]['tokens']}")
        for name in baselines:
            ratios = sorted(c["ratio"][name] for c in measured if name in c.get("ratio", {}))
            row.append(
                f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})" if ratios else "-"
            )
        rows.append(row)
    head = ["shape", "tokens per rank"] + [
        f"{name} over fused: median (least to most)" for name in baselines
    ]
    return tables.render(head, rows, asMarkdown)


def renderSweep(record, asMarkdown):
    baselines = record["baselines"]
    allSeries = listSeries(record)
    parts = [tables.heading("Machine", asMarkdown), machineText(record)]
    parts += [
        tables.heading("Ratios", asMarkdown),
        "Time of dispatch and combine together, planning and permutes included, over ours, on "
        "the slowest rank.\n",
        summaryTable(allSeries, baselines, asMarkdown),
    ]
    for series in allSeries:
        parts.append(tables.heading(series.title, asMarkdown))
        parts.append(seriesTable(series, baselines, asMarkdown))
    bad = {s: [c for c in record["cells"] if c["status"] == s] for s in ("failed", "skipped")}
    parts.append(
        f"{len(record['cells'])} cells: {len(bad['failed'])} failed, {len(bad['skipped'])} skipped, "
        f"{record['sessions'][-1].get('cells_left', 0)} not measured yet. '+- %' is half of an "
        "interval of 95 % of the median; 'of limit' and 'of bound' are of dispatch and combine.\n"
    )
    return "\n".join(parts)


def renderGrowth(record, asMarkdown):
    from .growth import growthText

    parts = [tables.heading("Machine", asMarkdown), machineText(record)]
    return "\n".join(parts + [growthText(record, asMarkdown)])


def render(options):
    record = readRecord(options.record)
    isSweep = record["kind"] == "sweep"
    text = (renderSweep if isSweep else renderGrowth)(record, options.format == "markdown")
    if options.plots:
        makeFolder(options.plots)
        draw = plots.plotSweep if isSweep else plots.plotGrowth
        names = draw(record, options.plots)
        if options.format == "markdown":
            target = os.path.dirname(options.output) if options.output else "."
            folder = os.path.relpath(options.plots, target or ".")
            text += "\n" + "".join(f"![{n}]({os.path.join(folder, n)})\n" for n in names)
    if options.output:
        writeAtomically(options.output, text)
    else:
        print(text, end="")
