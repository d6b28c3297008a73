"""Files that are there whole or not at all, and what is in them."""
import contextlib
import hashlib
import json
import os
import tempfile

from .errors import Error


def writeAtomically(path, text):
    folder = os.path.dirname(os.path.realpath(path))
    try:
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".fusco-bench-")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            os.chmod(temporary, 0o644)
            os.replace(temporary, os.path.realpath(path))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise Error(f"cannot write '{path}': {error.strerror}")


def requireWritable(path):
    """Refuses a path before hours of work end in it."""
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise Error(f"cannot write '{path}'")


def makeFolder(path):
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise Error(f"cannot make folder '{path}': {error.strerror}")


def readJson(path, what):
    try:
        with open(path) as file:
            return json.load(file)
    except OSError as error:
        raise Error(f"cannot open '{path}': {error.strerror}")
    except ValueError as error:
        raise Error(f"expected {what} in JSON, got '{path}': {error}")


def sha256(path):
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise Error(f"cannot read '{path}': {error.strerror}")
    return digest.hexdigest()
