"""fusco's tools in one build folder, and the libraries that they compiled."""
import json
import os
import shutil
from dataclasses import dataclass

from . import children
from .errors import Error
from .files import makeFolder, readJson, sha256, writeAtomically

COMPILE_TIMEOUT_S = 600
IMPORT_TIMEOUT_S = 120


def ownBin():
    """Where fusco-bench lies when it is installed: beside the other tools."""
    lib = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    return os.path.normpath(os.path.join(lib, "..", "bin"))


class Tools:
    """The tools of a build folder; those beside fusco-bench, or else on PATH,
    without one."""

    def __init__(self, build=None):
        self.bin = os.path.join(build, "bin") if build else ownBin()
        self.isGiven = build is not None

    def find(self, name):
        path = os.path.join(self.bin, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
        path = None if self.isGiven else shutil.which(name)
        if not path:
            raise Error(f"cannot find {name} in '{self.bin}'; build it")
        return path

    def hasMpi(self):
        """Whether fusco-run --baseline mpi can work."""
        beside = os.path.join(os.path.dirname(self.find("fusco-run")), "fusco-mpi-baseline")
        return os.access(beside, os.X_OK) and shutil.which("mpirun") is not None

    @staticmethod
    def torchVersion():
        """Of the PyTorch that fusco-run --baseline torch takes, None if there is none."""
        python = os.environ.get("FUSCO_PYTHON") or "python3"
        if not shutil.which(python):
            return None
        printVersion = "import torch; print(torch.__version__)"
        result = children.run([python, "-c", printVersion], IMPORT_TIMEOUT_S)
        return result.out.strip() if result.code == 0 else None


@dataclass
class Library:
    path: str
    reportPath: str
    about: dict  # for a record: times, memory, hashes


def importFlags(shape, nodes, ranksPerNode, maxTokens):
    return [
        "--name=m",
        f"--hidden={shape.hidden}",
        f"--experts={shape.experts}",
        f"--topk={shape.topk}",
        f"--nodes={nodes}",
        f"--ranks-per-node={ranksPerNode}",
        f"--max-tokens={maxTokens}",
        *shape.flags,
    ]


def compileLibrary(tools, shape, nodes, ranksPerNode, maxTokens, folder, flags=()):
    """Imports and compiles a shape; takes what an earlier call with the same
    module, flags and compiler left in `folder`."""
    makeFolder(folder)
    stem = os.path.join(folder, f"{shape.name}-{nodes}x{ranksPerNode}-{maxTokens}")
    module, library, report = stem + ".mlir", stem + ".so", stem + ".report.json"
    children.call(
        [
            tools.find("fusco-import"),
            *importFlags(shape, nodes, ranksPerNode, maxTokens),
            "-o",
            module,
        ],
        COMPILE_TIMEOUT_S,
    )
    compiler = tools.find("fusco-compile")
    key = {
        "module_sha256": sha256(module),
        "flags": [*shape.compile_flags, *flags],
        "compiler_sha256": sha256(compiler),
    }
    noted = stem + ".json"
    if os.path.exists(noted) and os.path.exists(report):
        about = readJson(noted, "a note on a library")
        if all(about.get(name) == value for name, value in key.items()) and (
            os.path.exists(library) and about.get("sha256") == sha256(library)
        ):
            return Library(library, report, about)
    result = children.call(
        [compiler, module, "--target=cpu", *key["flags"], "-o", library]
        + ["--report", report],
        COMPILE_TIMEOUT_S,
    )
    memory = readJson(report, "a report of fusco-compile")["memory"]
    about = {
        **key,
        "sha256": sha256(library),
        "compile_s": round(result.seconds, 3),
        "compile_peak_bytes": result.peakBytes,
        "library_bytes": os.path.getsize(library),
        "symmetric_bytes": memory["symmetric_bytes"],
        "plan_bytes": memory["plan_bytes"],
    }
    writeAtomically(noted, json.dumps(about) + "\n")
    return Library(library, report, about)
