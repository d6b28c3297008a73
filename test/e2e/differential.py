#!/usr/bin/python3
"""Random models through the whole tool chain, checked against the reference.

Each case draws an awkward shape, a way to compile it and routing, runs fusco-import,
fusco-compile and fusco-run --check, and must pass bit for bit. The tools are those on PATH, or in
--bin. With --target sm_90 shapes are small, for FUSCO_LIBCUDA may name an emulator; with
--transport ranks are processes. Exit code 0 only if every case passed; a failure prints the
commands and the seed that repeats it.
"""
import argparse
import os
import random
import secrets
import shlex
import subprocess
import sys
import tempfile

import numpy as np

# (nodes, ranks per node)
TOPOLOGIES = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 8), (2, 4), (4, 2), (3, 3),
              (8, 1), (1, 5), (1, 6), (3, 5), (4, 4)]
# Rows that fill no vector, one that models have and is no power of two, and
# plain ones.
HIDDEN = [1, 7, 33, 64, 576, 2048, 2880, 3584, 7168]
TOPK = [1, 2, 3, 6, 8, 10, 16]
MAX_TOKENS = [1, 2, 17, 64, 257]
ALIGN = [1, 3, 16, 128]
DTYPES = ["bf16", "f16", "f32"]
FLOAT8 = ["f8E4M3FN", "f8E5M2"]
# The usual ones, and one that fits no vector; the hidden size is drawn beside them.
SCALE_BLOCKS = [1, 32, 48, 128]
SCALE_TYPES = ["f32", "ue8m0"]
UNIQUE = ["auto", "assignment", "rank", "node"]
FORWARDERS = ["auto", "rail", "groups", "balanced"]
# Chunks that split tokens everywhere, and rings that wrap around.
CHUNK_TOKENS = [0, 1, 3, 16]
RING_CHUNKS = [0, 7, 8]
SYNTHETIC = ["skewed", "one-expert", "one-node", "empty"]
COMMAND_TIMEOUT_S = 120

# What an emulator does in seconds.
SMALL_TOPOLOGIES = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 4)]
SMALL_HIDDEN = [1, 7, 33, 64, 576, 2880]
SMALL_MAX_TOKENS = [1, 2, 9]


class Failure(Exception):
    pass


def scale_blocks(hidden):
    return [block for block in SCALE_BLOCKS if block < hidden] + [hidden]


def runs_unfused(options):
    """Not where other nodes would put to tensors in a GPU's memory."""
    return options.target == "cpu" or options.transport != "ucx"


def draw_shape(rng, options):
    is_small = options.target != "cpu"
    nodes, ranks_per_node = rng.choice(SMALL_TOPOLOGIES if is_small else TOPOLOGIES)
    ranks = nodes * ranks_per_node
    # Fewer experts than ranks, as many, and numbers that ranks do not divide.
    experts = rng.choice([max(1, ranks // 2), ranks, ranks + 1, 3 * ranks - 1,
                          rng.randint(1, 70), 256, 896])
    hidden = rng.choice(SMALL_HIDDEN if is_small else HIDDEN)
    dtype = rng.choice(DTYPES)
    shape = {
        "nodes": nodes,
        "ranks-per-node": ranks_per_node,
        "experts": experts,
        "topk": rng.choice([k for k in TOPK if k <= experts]),
        "hidden": hidden,
        "max-tokens": rng.choice(SMALL_MAX_TOKENS if is_small else MAX_TOKENS),
        "dtype": dtype,
        "dispatch-dtype": rng.choice([dtype, rng.choice(DTYPES)]),
        "align": rng.choice(ALIGN),
        "ids": rng.choice(["i32", "i64"]),
        "form": rng.choice(["fused", "fused", "unfused"]),
    }
    if options.float8 or rng.random() < 0.3:
        # There is no unfused form of it.
        shape.update({"dispatch-dtype": rng.choice(FLOAT8), "form": "fused",
                      "scale-block": rng.choice(scale_blocks(hidden)),
                      "scale-type": rng.choice(SCALE_TYPES)})
    # What combine reads and adds; the unfused form has no part of it but casts.
    for flag, types, chance in [("combine-dtype", DTYPES, 0.2), ("out-dtype", DTYPES, 0.2)]:
        if rng.random() < chance:
            shape[flag] = rng.choice(types)
    if shape["form"] == "fused":
        if options.float8 or rng.random() < 0.3:
            shape["combine-dtype"] = rng.choice(FLOAT8)
            shape.setdefault("scale-block", rng.choice(scale_blocks(hidden)))
            shape.setdefault("scale-type", rng.choice(SCALE_TYPES))
        if rng.random() < 0.3:
            shape["partials"] = "bf16"
    # Room for all assignments at one expert, where that is not too much.
    capacity = ranks * shape["max-tokens"] * shape["topk"]
    elements = -(-experts // ranks) * capacity * hidden
    if shape["form"] == "fused" and elements < 1 << 24 and rng.random() < 0.4:
        del shape["align"]
        shape.update({"layout": "expert_slots", "capacity": capacity})
        if rng.random() < 0.5:  # too little room
            shape.update({"capacity": rng.randint(1, 1 + capacity // 4), "overflow": "drop"})
    elif shape["form"] == "fused" and rng.random() < 0.3:
        del shape["align"]
        shape.update({"layout": "rank_major", "ids-out": rng.choice(["local", "global"])})
    if shape["dispatch-dtype"] in FLOAT8 and shape.get("layout") != "rank_major":
        shape["scale-order"] = rng.choice(["row", "column"])
    if shape["form"] == "fused" and shape.get("layout") != "rank_major" and rng.random() < 0.3:
        shape.update({"placement": "table", "redundant": rng.choice([0, 1, 5, experts])})
    return shape


def draw_compilation(rng, shape, is_quantized, options):
    """Flags of fusco-compile; is_quantized: what the library gets is so already."""
    flags = [f"--target={options.target}", f"--unique={rng.choice(UNIQUE)}",
             f"--forwarders={rng.choice(FORWARDERS)}",
             f"--chunk-tokens={rng.choice(CHUNK_TOKENS)}",
             f"--ring-chunks={rng.choice(RING_CHUNKS)}"]
    # Neither slots nor rank-major rows have one, nor what experts return as float8.
    # Nor dispatches of two tensors.
    has_backward = ("layout" not in shape and shape.get("combine-dtype") not in FLOAT8
                    and not is_quantized)
    if has_backward and rng.random() < 0.4:
        flags.append("--backward")
    if shape["form"] == "unfused" and runs_unfused(options) and rng.random() < 0.5:
        flags.append("--no-fuse")
    if options.target != "cpu":
        flags += [f"--max-blocks={rng.choice([1, 3, 16])}",
                  f"--threads-per-block={rng.choice([32, 64, 128])}"]
    return flags


def draw_ids(generator, rng, shape):
    """[layers, rows, topk]: experts from even to a single hot one, repeated
    within a token or not, and tokens that are not routed."""
    layers, rows = rng.randint(1, 3), rng.randint(1, 400)
    topk, experts = shape["topk"], shape["experts"]
    heat = generator.random((layers, rows, experts)) ** rng.choice([1, 4])
    heat[:, :, :max(1, experts // 8)] += rng.choice([0, 0.3, 2])
    ids = np.argsort(-heat, axis=-1)[:, :, :topk]
    if rng.random() < 0.3:  # repeats
        ids[:, :, -1] = ids[:, :, 0]
    if rng.random() < 0.6:
        ids[generator.random(ids.shape) < rng.choice([0.05, 0.5, 0.95])] = -1
    return ids.astype(rng.choice(["i2", "i4", "i8"]))


def draw_weights(generator, rng, ids):
    weights = generator.random(ids.shape)
    if rng.random() < 0.5:  # signs, zeros, infinities, NaNs
        special = generator.random(ids.shape)
        weights[special < 0.2] *= -1
        weights[special > 0.9] = 0
        weights[special > 0.98] = np.inf
        weights[special > 0.99] = np.nan
    return weights.astype(rng.choice(["f2", "f4", "f8"]))


class Case:
    def __init__(self, number, options, folder):
        self.rng = random.Random(f"{options.seed}/{number}")
        self.generator = np.random.default_rng([options.seed, number])
        self.options = options
        self.folder = folder
        self.commands = []

    def run(self):
        shape = draw_shape(self.rng, self.options)
        model, library = self.path("model.mlir"), self.path("lib.so")
        flags = [f"--{name}={value}" for name, value in shape.items()]
        summands = [flag for flag in ["--bias", "--residual"]
                    if shape["form"] == "fused" and self.rng.random() < 0.3]
        flags += summands
        if shape.get("layout") != "rank_major" and self.rng.random() < 0.2:
            flags.append("--unweighted")
        if shape["dispatch-dtype"] in FLOAT8 and self.rng.random() < 0.25:
            flags.append("--quantized-input")
        if shape["form"] == "fused" and shape.get("layout") != "rank_major":
            flags += [flag for flag in ["--ready", "--row-weights"] if self.rng.random() < 0.3]
        self.call("fusco-import", "--name=m", *flags, "-o", model)
        compilation = draw_compilation(self.rng, shape, "--quantized-input" in flags,
                                       self.options)
        self.call("fusco-compile", model, *compilation, "-o", library)

        seed = str(self.rng.getrandbits(32))
        run = ["fusco-run", library, "--check", "--seed", seed]
        if self.options.transport != "local":
            run += ["--launch", "processes", "--transport", self.options.transport]
        # What was compiled unfused is a baseline itself, and not everything has one.
        has_none = summands or any(flag in shape for flag in
                                   ["scale-block", "layout", "placement", "partials"])
        if ("--no-fuse" not in compilation and not has_none
                and runs_unfused(self.options)):
            run += ["--baseline", "unfused"]
        self.call(*run, "--synthetic", self.rng.choice(SYNTHETIC))
        ids = draw_ids(self.generator, self.rng, shape)
        np.save(self.path("ids.npy"), ids)
        np.save(self.path("weights.npy"),
                draw_weights(self.generator, self.rng, ids))
        layer = str(self.rng.randrange(ids.shape[0]))
        ranks = shape["nodes"] * shape["ranks-per-node"]
        tokens = ",".join(
            str(self.rng.choice([0, shape["max-tokens"],
                                 self.rng.randint(0, shape["max-tokens"])]))
            for _ in range(ranks))
        if "placement" in shape:
            # Steps take them in turn.
            for number in range(2):
                table = np.concatenate([np.arange(shape["experts"]),
                                        self.generator.integers(0, shape["experts"], shape["redundant"])])
                self.generator.shuffle(table)
                np.save(self.path(f"table{number}.npy"), table)
                run += ["--placement", self.path(f"table{number}.npy")]
        self.call(*run, "--routing", self.path("ids.npy"), "--weights",
                  self.path("weights.npy"), "--layer", layer,
                  "--tokens-per-rank", tokens)
        return flags + compilation

    def path(self, name):
        return os.path.join(self.folder, name)

    def call(self, tool, *arguments):
        if self.options.bin:
            tool = os.path.join(self.options.bin, tool)
        command = [tool, *arguments]
        self.commands.append(shlex.join(command))
        try:
            result = subprocess.run(command, capture_output=True, text=True,
                                    timeout=COMMAND_TIMEOUT_S)
        except FileNotFoundError:
            raise Failure(f"there is no {tool}; give --bin")
        except subprocess.TimeoutExpired:
            raise Failure(f"no end after {COMMAND_TIMEOUT_S} s")
        if result.returncode != 0:
            raise Failure(f"exit code {result.returncode}: "
                          f"{result.stderr.strip()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--first", type=int, default=0,
                        help="number of the first case")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--target", default="cpu", choices=["cpu", "sm_90"])
    parser.add_argument("--transport", default="local", choices=["local", "ipc", "ucx", "nccl"])
    parser.add_argument("--float8", action="store_true",
                        help="quantise rows in every case")
    parser.add_argument("--bin", help="folder of the tools; default: PATH")
    parser.add_argument("--keep", help="leave the files of a failure here")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = secrets.randbits(32)
    print(f"seed {options.seed}", flush=True)

    for number in range(options.first, options.first + options.cases):
        with tempfile.TemporaryDirectory() as folder:
            if options.keep:
                folder = options.keep
                os.makedirs(folder, exist_ok=True)
            case = Case(number, options, folder)
            try:
                flags = case.run()
            except Failure as failure:
                print(f"case {number} FAILED: {failure}\n"
                      f"  repeat with: {sys.argv[0]} --seed {options.seed} "
                      f"--first {number} --cases 1 --keep DIR "
                      f"--target {options.target} --transport {options.transport}"
                      f"{' --float8' if options.float8 else ''}\n  "
                      + "\n  ".join(case.commands))
                return 1
            print(f"case {number} passed: "
                  + " ".join(flag.lstrip("-") for flag in flags), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
