#!/usr/bin/python3
"""FUSCO's ablation on this machine: the time of a dispatch and a combine without each mechanism.

Compiles one model with everything, without fusion (--no-fuse), without dedup (--unique assignment),
and by rail, and runs each on three kinds of traffic: real (--routing, else drawn like it), all tokens
to the experts of one node, and imbalanced. Beside it, what fusco-sim models for 64 GPUs, and what the
paper measured there. The tools are those on PATH.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

VARIANTS = [
    # name, form, flags of fusco-compile, plan of fusco-sim
    ("full", "fused", ["--forwarders=balanced"], "fusco-paper"),
    ("without fusion", "unfused", ["--no-fuse"], "fusco-paper-no-engine"),
    ("without dedup", "fused", ["--forwarders=balanced", "--unique=assignment"], "fusco-public"),
    ("without balancer (rail)", "fused", ["--forwarders=rail"], "fusco-paper-rail"),
]


def call(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: {result.stderr.strip()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, default=7168)
    parser.add_argument("--experts", type=int, default=64)
    parser.add_argument("--topk", type=int, default=6)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--ranks-per-node", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=21)
    parser.add_argument("--routing")
    parser.add_argument("--layer")
    options = parser.parse_args()

    real = []
    if options.routing:
        real = ["--routing", options.routing] + (["--layer", options.layer] if options.layer else [])
    traffic = {"real": real, "one node": ["--synthetic", "one-node"], "imbalanced": ["--skew", "12"]}
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        call("fusco-sim", "--ablation", "--json", path("sim.json"))
        with open(path("sim.json")) as file:
            modelled = {row["plan"]: row for row in json.load(file)["rows"]}
        print(f"{'measured here, ms':<26}" + "".join(f"{kind:>12}" for kind in traffic) +
              f"{'64 GPUs, modelled':>20}{'paper':>9}   (real traffic)")
        for name, form, flags, plan in VARIANTS:
            call("fusco-import", "--name=m", f"--hidden={options.hidden}", f"--experts={options.experts}",
                 f"--topk={options.topk}", f"--nodes={options.nodes}", f"--ranks-per-node={options.ranks_per_node}",
                 f"--max-tokens={options.tokens}", f"--form={form}", "-o", path("m.mlir"))
            call("fusco-compile", path("m.mlir"), "--target=cpu", "--no-baseline", *flags, "-o", path("m.so"))
            times = []
            for how in traffic.values():
                call("fusco-run", path("m.so"), "--bench", "--seed", "1", "--iterations", str(options.iterations),
                     "--tokens", str(options.tokens), *how, "--json", path("run.json"))
                with open(path("run.json")) as file:
                    run = json.load(file)
                times.append((run["dispatch"]["median_us"] + run["combine"]["median_us"]) / 1e3)
            row = modelled[plan]
            print(f"{name:<26}" + "".join(f"{time:>12.2f}" for time in times) +
                  f"{row['modelled_ms']['real']:>20.1f}{row['paper_ms']:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
