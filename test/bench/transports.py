#!/usr/bin/python3
"""Measures ranks that are processes against threads, and UCX against its own ucx_perftest.

For each of several rounds, in turn: threads and `ipc` on one node of 8 ranks; `ucx` on 2 nodes
of 4 over TCP on this machine, and ucx_perftest's put bandwidth for messages of the same size.
Prints medians over the rounds of ratios within each. Threads and processes are compared by what
they need of the time of a plain copy in the same run: a machine's memory may be faster in one
run than in the next. The tools are those on PATH.
"""
import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import tempfile
import time

HIDDEN, TOKENS = 2048, 1024
CHUNK_TOKENS = 16  # what fusco-compile chooses for these rows
BYTES_PER_ROW = 2 * HIDDEN


def run(*command, **environment):
    return subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(os.environ, **environment),
    ).stdout


def build(folder, nodes, ranks):
    model, library = (os.path.join(folder, f"m{nodes}.{end}") for end in ("mlir", "so"))
    run(
        *f"fusco-import --name m --hidden {HIDDEN} --experts 64 --topk 6".split(),
        *f"--nodes {nodes} --ranks-per-node {ranks}".split(),
        *f"--max-tokens {TOKENS} -o {model}".split(),
    )
    run(*f"fusco-compile {model} --target cpu -o {library}".split())
    return library


def bench(library, routing, *how, **environment):
    out = library + ".json"
    run(
        "fusco-run", library, "--bench", "--json", out, *routing, *how, **environment
    )
    with open(out) as file:
        return json.load(file)


def perftest(messageBytes):
    """GB/s of one-sided puts between two processes, one per core."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = dict(os.environ, UCX_TLS="tcp")
    server = subprocess.Popen(
        ["ucx_perftest", "-c", "0", "-p", port],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    time.sleep(0.5)
    last = str(os.cpu_count() - 1)
    text = run(
        *["ucx_perftest", "127.0.0.1", "-p", port, "-c", last, "-t", "ucp_put_bw"],
        *["-s", str(messageBytes), "-n", "10000"],
        UCX_TLS="tcp",
    )
    server.wait()
    # The overall bandwidth, which it counts in units of 2^20.
    final = re.search("^Final:(.*)", text, re.M)[1].split()
    return float(final[5]) * 2**20 / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--routing", help="expert ids, .npy (default: synthetic)")
    options = parser.parse_args()
    routing = ["--routing", options.routing] if options.routing else ["--seed", "1"]
    ipcRatios, ucxRatios = [], []
    with tempfile.TemporaryDirectory() as folder:
        one, two = build(folder, 1, 8), build(folder, 2, 4)
        for number in range(options.rounds):
            us, copies = {}, {}
            for launch in ("threads", "processes"):
                report = bench(one, routing, "--launch", launch)
                us[launch] = [report[d]["median_us"] for d in ("dispatch", "combine")]
                copies[launch] = sum(us[launch]) * report["limit"]["copy_gbps"]
            ipcRatios.append(copies["threads"] / copies["processes"])
            report = bench(
                two, routing, *"--launch processes --transport ucx".split(), UCX_TLS="tcp"
            )
            bytesOut = report["plan"]["bytes_scale_out"]
            gbps = bytesOut / (report["dispatch"]["median_us"] * 1e3)
            own = perftest(CHUNK_TOKENS * BYTES_PER_ROW)
            ucxRatios.append(gbps / own)
            print(
                f"round {number}: threads {us['threads'][0]:.0f} + {us['threads'][1]:.0f} us, "
                f"ipc {us['processes'][0]:.0f} + {us['processes'][1]:.0f} us, "
                f"{ipcRatios[-1]:.2f}; "
                f"ucx dispatch {gbps:.2f} GB/s between nodes, perftest {own:.2f}",
                flush=True,
            )
    print(f"ipc, speed over threads: {statistics.median(ipcRatios):.2f}")
    print(f"ucx, dispatch over perftest: {statistics.median(ucxRatios):.2f}")


if __name__ == "__main__":
    main()
