"""The PyTorch baseline of `fusco-run --baseline torch`, which starts it:

python3 -B fusco_torch_baseline cpu|cuda MAILBOX
"""
import os
import signal
import sys
import tempfile


def fail(text, code=1):
    """One line, whatever the text holds; the name is what fusco-run looks for."""
    print("fusco_torch_baseline: error:", " ".join(text.split()), file=sys.stderr)
    sys.exit(code)


def requireTorch(device):
    hint = "install it for this interpreter, or name another one in FUSCO_PYTHON"
    try:
        import torch
    except ImportError as error:
        fail(f"expected PyTorch in '{sys.executable}', got: {error}; {hint}")
    if int(torch.__version__.split(".")[0]) < 2:
        fail(f"expected PyTorch 2 or later, got {torch.__version__}; {hint}")
    if device == "cuda" and not torch.cuda.is_available():
        fail(
            "the library is for a GPU: expected a PyTorch that finds one, got "
            f"{torch.__version__} in '{sys.executable}', which does not; {hint}"
        )


def main(device, path):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="fusco-torch-baseline-") as folder:
        # All files of compilation go there; and no process compiles but this one,
        # so that none is left running.
        tempfile.tempdir = folder
        os.environ["TMPDIR"] = folder
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(folder, "inductor")
        os.environ["TRITON_CACHE_DIR"] = os.path.join(folder, "triton")
        os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
        requireTorch(device)
        from fusco_torch_baseline.mailbox import Mailbox
        from fusco_torch_baseline.worker import Worker

        try:
            Worker(Mailbox(path), device).work()
        except Exception as error:
            fail(f"{type(error).__name__}: {error}")


# In place of the package's own folder, whose modules are no top-level ones.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
if len(sys.argv) != 3 or sys.argv[1] not in ("cpu", "cuda"):
    fail("expected cpu or cuda and the memory to work with; fusco-run starts this", 2)
main(*sys.argv[1:])
