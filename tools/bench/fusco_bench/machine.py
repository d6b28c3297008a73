"""What a record says of the machine and the tools that made it."""
import datetime
import os
import platform
import re
import shutil
import subprocess

from .files import readJson, sha256

# Of a build folder's bin/: what CMake wrote there.
BUILD_INFO = os.path.join("..", "lib", "fusco_bench", "build_info.json")


def _firstLine(*command):
    try:
        text = subprocess.run(
            command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return text.splitlines()[0].strip() if text.strip() else None


def _field(path, name):
    with open(path) as file:
        match = re.search(rf"^{name}\s*:\s*(.*)$", file.read(), re.M)
    return match[1].strip() if match else None


def memoryBytes(name):
    """A field of /proc/meminfo, or less where a control group allows less."""
    value = int(_field("/proc/meminfo", name).split()[0]) * 1024
    try:
        with open("/sys/fs/cgroup/memory.max") as file:
            value = min(value, int(file.read()))
    except (OSError, ValueError):
        pass
    return value


def describeMachine():
    release = platform.freedesktop_os_release()
    flags = (_field("/proc/cpuinfo", "flags") or "").split()
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "avx512": "avx512f" in flags,
        "memory_bytes": memoryBytes("MemTotal"),
        "virtual": "hypervisor" in flags,
        "kernel": platform.release(),
        "system": release.get("PRETTY_NAME"),
    }


def describeTools(tools, baselines=()):
    """Versions, and hashes of what is measured."""
    path = os.path.join(tools.bin, BUILD_INFO)
    info = readJson(path, "what is known of the build") if os.path.exists(path) else {}
    source = info.pop("source", None)
    commit = source and _firstLine("git", "-C", source, "rev-parse", "HEAD")
    changed = source and _firstLine(
        "git", "-C", source, "status", "--porcelain", "--untracked-files=no"
    )
    about = {
        "fusco": info.pop("version", None),
        "git_commit": commit,
        "git_is_changed": changed is not None if commit else None,
        "build_type": info.get("build_type"),
        "compiler": info.get("compiler"),
        "llvm": info.get("llvm"),
        "linker": _firstLine("c++", "--version"),
        "mpi": _firstLine("mpirun", "--version") if shutil.which("mpirun") else None,
        "python": platform.python_version(),
    }
    if "torch" in baselines:
        about["torch"] = tools.torchVersion()
    for name in ("fusco-import", "fusco-compile", "fusco-run"):
        about[name + "_sha256"] = sha256(tools.find(name))
    return about


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def loadAverage():
    return round(os.getloadavg()[0], 2)
