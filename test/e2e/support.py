#!/usr/bin/python3
"""What is supported: layout x transform x direction x target, from runs.

Every cell is a model that fusco-import writes, fusco-compile compiles and fusco-run
--check compares bit for bit with the reference, on one node and on two. `yes` stands
where both passed, `-` where a tool refuses the combination with one line; anything else
is a failure. Prints the table as Markdown, or with --compare says where FILE differs.
The tools are those on PATH; FUSCO_LIBCUDA names what runs kernels.
"""
import argparse
import concurrent.futures
import difflib
import os
import subprocess
import sys
import tempfile

TOPOLOGIES = [(1, 3), (2, 2)]
SHAPE = ["--name=m", "--hidden=200", "--experts=7", "--topk=3", "--max-tokens=12"]
TARGETS = {
    "cpu": ["--target=cpu"],
    "sm_90": ["--target=sm_90", "--threads-per-block=64"],
}
TOKENS = {"cpu": "12", "sm_90": "4"}
COMMAND_TIMEOUT_S = 300

LAYOUTS = {
    "expert_major": ["--align=8"],
    "expert_slots": ["--layout=expert_slots", "--capacity=48"],
    "expert_slots, drop": ["--layout=expert_slots", "--capacity=5", "--overflow=drop"],
    "rank_major": ["--layout=rank_major"],
}
FLOAT8 = ["--dispatch-dtype=f8E4M3FN"]
UE8M0 = ["--scale-type=ue8m0"]
# What a dispatch does with rows, and leaves beside them.
DISPATCH = {
    "rows as they are": [],
    "cast": ["--dtype=f32", "--dispatch-dtype=bf16"],
    "f8E4M3FN, a scale for 128": [*FLOAT8, "--scale-block=128"],
    "f8E4M3FN, powers of two for 128": [*FLOAT8, "--scale-block=128", *UE8M0],
    "f8E4M3FN, powers of two for 32 (MXFP8)": [*FLOAT8, "--scale-block=32", *UE8M0],
    "f8E4M3FN, a scale per token": [*FLOAT8, "--scale-block=200"],
    "f8E5M2, a scale for 128": ["--dispatch-dtype=f8E5M2", "--scale-block=128"],
    "float8 already, with scales": [*FLOAT8, "--quantized-input"],
    "scales by columns": [*FLOAT8, "--scale-block=128", "--scale-order=column"],
    "ids of 64 bits": ["--ids=i64"],
    "the router's ids beside rows": ["--ids-out=global"],
    "weights beside rows": ["--row-weights"],
    "counts of arrivals": ["--ready"],
    "experts placed by a table": ["--redundant=2"],
}
COMBINE = {
    "plain: weighted, but for rank_major": [],
    "without weights": ["--unweighted"],
    "f8E4M3FN in, a scale for 128": ["--combine-dtype=f8E4M3FN", "--scale-block=128"],
    "f8E5M2 in, powers of two for 32": ["--combine-dtype=f8E5M2", "--scale-block=32", *UE8M0],
    "partial sums in bf16": ["--partials=bf16"],
    "residual": ["--residual"],
    "bias": ["--bias"],
    "result of another type": ["--out-dtype=f32"],
}
BACKWARD = {
    "plain": [],
    "cast": ["--dtype=f32", "--dispatch-dtype=bf16"],
    "f8E4M3FN, a scale for 128": [*FLOAT8, "--scale-block=128"],
    "residual": ["--residual"],
    "experts placed by a table": ["--redundant=2"],
}
DIRECTIONS = {
    "dispatch": (DISPATCH, []),
    "combine": (COMBINE, []),
    "backward of both": (BACKWARD, ["--backward"]),
}


class Refused(Exception):
    pass


def call(command, tool_may_refuse):
    result = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    lines = [line for line in result.stderr.splitlines() if "error:" in line]
    if result.returncode == 0:
        return
    if tool_may_refuse and result.returncode in (1, 2) and len(lines) == 1:
        raise Refused(lines[0])
    sys.exit(f"{' '.join(command)}: exit code {result.returncode}\n{result.stderr}")


def is_supported(flags, compilation, target):
    """Whether it passes on every topology; exits if it fails there."""
    outcomes = set()
    for nodes, ranks_per_node in TOPOLOGIES:
        with tempfile.TemporaryDirectory() as folder:
            model, library = (os.path.join(folder, name) for name in ("m.mlir", "m.so"))
            try:
                call(["fusco-import", *SHAPE, f"--nodes={nodes}",
                      f"--ranks-per-node={ranks_per_node}", *flags, "-o", model], True)
                call(["fusco-compile", model, *TARGETS[target], *compilation, "--no-baseline",
                      "-o", library], True)
            except Refused:
                outcomes.add(False)
                continue
            call(["fusco-run", library, "--check", "--tokens", TOKENS[target]], False)
            outcomes.add(True)
    if len(outcomes) != 1:
        sys.exit(f"{' '.join(flags + compilation)}: not the same on all of {TOPOLOGIES}")
    return outcomes.pop()


def make_table(targets):
    cells = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for direction, (transforms, compilation) in DIRECTIONS.items():
            for name, flags in transforms.items():
                for layout, layout_flags in LAYOUTS.items():
                    for target in targets:
                        cells[direction, name, layout, target] = pool.submit(
                            is_supported, layout_flags + flags, compilation, target)
        results = {key: future.result() for key, future in cells.items()}
    lines = [
        "# What is supported",
        "",
        "Made by `test/e2e/support.py` from runs: `yes` where all targets that are named "
        "gave the reference's bits on one node and on two, `-` where fusco-import or "
        "fusco-compile refuses. `sm_90` ran in the emulator.",
    ]
    for direction, (transforms, _) in DIRECTIONS.items():
        lines += ["", f"| {direction} | " + " | ".join(LAYOUTS) + " |",
                  "|---" * (1 + len(LAYOUTS)) + "|"]
        for name in transforms:
            row = []
            for layout in LAYOUTS:
                passed = [t for t in targets if results[direction, name, layout, t]]
                row.append("yes" if len(passed) == len(targets) else ", ".join(passed) or "-")
            lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", default="cpu,sm_90")
    parser.add_argument("--compare", metavar="FILE")
    options = parser.parse_args()
    table = make_table(options.targets.split(","))
    if not options.compare:
        print(table, end="")
        return
    with open(options.compare) as file:
        committed = file.read()
    if committed != table:
        sys.stdout.writelines(difflib.unified_diff(
            committed.splitlines(True), table.splitlines(True), options.compare, "what ran"))
        sys.exit(1)


if __name__ == "__main__":
    main()
