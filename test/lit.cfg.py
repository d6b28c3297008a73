# ===- lit.cfg.py - How the lit tests run --------------------*- Python -*-=== #
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
#
# \file
# Tools, substitutions and features of the lit tests. A feature stands for
# something that a machine may lack; a test that needs it says so with REQUIRES
# and counts as unsupported elsewhere:
#   ptxas        NVIDIA's assembler, on PATH or in /usr/local/cuda/bin
#   cuda-device  a GPU that works
#   multi-gpu    two or more of them
#   nccl         libnccl
#   rdma         an RDMA device
#   ucx          UCX, 1.13 or later
#   mpirun       Open MPI's launcher
#   mpi          that, and the build has found Open MPI's library
#   torch        PyTorch 2, for the interpreter that the environment variable
#                FUSCO_PYTHON names, python3 if none
#   netns        network namespaces, which root makes with iproute2
#   netem        loss and delay in them
#   matplotlib   the Python module: plots of fusco-bench
#   ml_dtypes    the Python module, in the build folder or installed
#   tsan         the build of the preset runtime-tsan, and a kernel on which it runs
#   traces       measured routing, a folder of .npy files: the environment
#                variable FUSCO_TRACES, or shared/traces beside the repository
#
# ===----------------------------------------------------------------------=== #

import ctypes.util
import glob
import os
import shutil
import subprocess

import lit.formats
from lit.llvm import llvm_config

config.name = "fusco"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.fusco_obj_root, "test")

# The build's own tools come first on PATH, LLVM's next: a FileCheck elsewhere
# may be of another version. Nothing is substituted, since the tools' names stand
# in their messages too.
llvm_config.with_environment(
    "PATH", [config.fusco_tools_dir, config.llvm_tools_dir], append_path=True
)
config.environment["FILECHECK_OPTS"] = "--enable-var-scope"

# Not the first python3 of PATH, which may be a virtual environment's.
config.substitutions.append(("%python", "/usr/bin/python3"))
config.substitutions.append(
    ("%fake_library", os.path.join(config.fusco_lib_dir, "fusco-fake-library.so"))
)
config.substitutions.append(
    ("%mpi_fault", os.path.join(config.fusco_lib_dir, "fusco-mpi-fault.so"))
)


# The same with ml_dtypes, which tools/check.sh installs in the build folder.
mlDtypesPath = os.path.join(config.fusco_obj_root, "python")
mlDtypesPython = ["env", f"PYTHONPATH={mlDtypesPath}", "/usr/bin/python3"]
config.substitutions.append(("%ml_dtypes_python", " ".join(mlDtypesPython)))
importMlDtypes = ["-c", "import ml_dtypes; ml_dtypes.float8_e8m0fnu"]
if subprocess.run(mlDtypesPython + importMlDtypes, capture_output=True).returncode == 0:
    config.available_features.add("ml_dtypes")

importMatplotlib = ["/usr/bin/python3", "-c", "import matplotlib"]
if subprocess.run(importMatplotlib, capture_output=True).returncode == 0:
    config.available_features.add("matplotlib")

torchPython = os.environ.get("FUSCO_PYTHON") or "python3"
config.environment["FUSCO_PYTHON"] = torchPython
config.substitutions.append(("%torch_python", torchPython))
# Without importing it, which takes seconds.
findTorch = (
    "from importlib.metadata import version; int(version('torch').split('.')[0]) >= 2 or exit(1)"
)
if shutil.which(torchPython) and (
    subprocess.run([torchPython, "-c", findTorch], capture_output=True).returncode == 0
):
    config.available_features.add("torch")

# A libcuda that interprets PTX (test/cuda-emulator).
config.substitutions.append(
    (
        "%cuda_emulator",
        os.path.join(config.fusco_lib_dir, "libfusco-cuda-emulator.so"),
    )
)
config.substitutions.append(
    (
        "%nccl_emulator",
        os.path.join(config.fusco_lib_dir, "libfusco-nccl-emulator.so"),
    )
)


def countGpus():
    """The GPUs that the driver lists; 0 without a driver."""
    if not shutil.which("nvidia-smi"):
        return 0
    listing = subprocess.run(
        ["nvidia-smi", "-L"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    if listing.returncode != 0:
        return 0
    return sum(line.startswith(b"GPU ") for line in listing.stdout.splitlines())


config.environment["PATH"] += os.pathsep + "/usr/local/cuda/bin"
if shutil.which("ptxas", path=config.environment["PATH"]):
    config.available_features.add("ptxas")

numGpus = countGpus()
if numGpus >= 1:
    config.available_features.add("cuda-device")
if numGpus >= 2:
    config.available_features.add("multi-gpu")
if ctypes.util.find_library("nccl"):
    config.available_features.add("nccl")
if glob.glob("/sys/class/infiniband/*"):
    config.available_features.add("rdma")
if ctypes.util.find_library("ucp"):
    config.available_features.add("ucx")
if shutil.which("mpirun"):
    config.available_features.add("mpirun")
    if os.path.exists(os.path.join(config.fusco_tools_dir, "fusco-mpi-baseline")):
        config.available_features.add("mpi")


def findNetworks():
    """Which of netns and netem there are."""
    name = f"fusco-probe-{os.getpid()}"

    def works(*command):
        try:
            return subprocess.run(command, capture_output=True).returncode == 0
        except OSError:
            return False

    if not works("ip", "netns", "add", name):
        return []
    netem = "tc qdisc add dev lo root netem delay 1ms".split()
    hasNetem = works("ip", "netns", "exec", name, *netem)
    works("ip", "netns", "del", name)
    return ["netns", "netem"] if hasNetem else ["netns"]


config.available_features.update(findNetworks())


def findSanitizedRun():
    """The command of a fusco-run with ThreadSanitizer; None where none works."""
    program = os.path.join(config.fusco_tsan_build, "bin", "fusco-run")
    # GCC's ThreadSanitizer ends where addresses are more random than it expects.
    for prefix in [[], ["setarch", "-R"]]:
        command = prefix + [program]
        try:
            subprocess.run(command + ["--version"], check=True, capture_output=True)
            return " ".join(command)
        except (OSError, subprocess.CalledProcessError):
            pass
    return None


sanitizedRun = findSanitizedRun()
if sanitizedRun:
    config.available_features.add("tsan")
    config.substitutions.append(("%tsan_run", sanitizedRun))
config.substitutions.append(
    (
        "%tsan_archive",
        os.path.join(config.fusco_tsan_build, "lib", "libfusco_runtime_tsan.a"),
    )
)

traces = os.environ.get("FUSCO_TRACES") or os.path.normpath(
    os.path.join(config.fusco_src_root, "..", "shared", "traces")
)
if glob.glob(os.path.join(traces, "*.npy")):
    config.available_features.add("traces")
    config.substitutions.append(("%traces", traces))

# What compiles and links a C program against a generated library.
config.substitutions.append(("%readme", os.path.join(config.fusco_src_root, "README.md")))
config.substitutions.append(
    ("%runtime_include", os.path.join(config.fusco_src_root, "runtime", "include"))
)
