"""The PyTorch baselines of `fusco-run --baseline torch` and `nccl`, which starts them:

python3 -B fusco_torch_baseline cpu|cuda|nccl|gloo MAILBOX

cpu, cuda: one process plays all ranks, on that device. nccl: a process for each rank, with
a GPU of its own; gloo: the same on the CPU, for tests.
"""
import datetime
import os
import signal
import sys
import tempfile

EXCHANGE_TIMEOUT = datetime.timedelta(minutes=10)  # fusco-run has its own, shorter ones


def fail(text, code=1):
    """One line, whatever the text holds; the name is what fusco-run looks for."""
    print("fusco_torch_baseline: error:", " ".join(text.split()), file=sys.stderr)
    sys.exit(code)


def requireTorch(needsGpu, numRanks):
    hint = "install it for this interpreter, or name another one in FUSCO_PYTHON"
    try:
        import torch
    except ImportError as error:
        fail(f"expected PyTorch in '{sys.executable}', got: {error}; {hint}")
    if int(torch.__version__.split(".")[0]) < 2:
        fail(f"expected PyTorch 2 or later, got {torch.__version__}; {hint}")
    if needsGpu and not torch.cuda.is_available():
        fail(
            "the library is for a GPU: expected a PyTorch that finds one, got "
            f"{torch.__version__} in '{sys.executable}', which does not; {hint}"
        )
    if needsGpu and torch.cuda.device_count() < numRanks:
        fail(
            f"expected a GPU for each of {numRanks} ranks, got {torch.cuda.device_count()}; "
            "compile the model for as many ranks, or compare with --baseline torch"
        )


def playAllRanks(mailbox, device):
    requireTorch(needsGpu=device == "cuda", numRanks=1)
    from fusco_torch_baseline.clock import makeClock
    from fusco_torch_baseline.shuffle import Shuffle
    from fusco_torch_baseline.worker import Worker

    ranks = range(mailbox.shape.numRanks)
    Worker(mailbox, ranks, Shuffle(mailbox.shape, device), makeClock(device)).work()


def playRank(mailbox, rank, backend, folder):
    numRanks = mailbox.shape.numRanks
    requireTorch(needsGpu=backend == "nccl", numRanks=numRanks)
    import torch
    from fusco_torch_baseline.clock import makeClock
    from fusco_torch_baseline.exchange import RankShuffle
    from fusco_torch_baseline.worker import Worker

    device = "cuda" if backend == "nccl" else "cpu"
    if device == "cuda":
        torch.cuda.set_device(rank)
    else:
        torch.set_num_threads(1)
    torch.distributed.init_process_group(
        backend,
        init_method="file://" + os.path.join(folder, "meeting"),
        rank=rank,
        world_size=numRanks,
        timeout=EXCHANGE_TIMEOUT,
    )
    clock = makeClock(device, meet=torch.distributed.barrier)
    Worker(mailbox, [rank], RankShuffle(mailbox.shape, rank, device), clock).work()
    torch.distributed.destroy_process_group()


def main(device, path):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="fusco-torch-baseline-") as folder:
        # All files of compilation go there; and no process compiles but those that run,
        # so that none is left running.
        tempfile.tempdir = folder
        os.environ["TMPDIR"] = folder
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(folder, "inductor")
        os.environ["TRITON_CACHE_DIR"] = os.path.join(folder, "triton")
        os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
        from fusco_torch_baseline.mailbox import Mailbox
        from fusco_torch_baseline.ranks import runRanks

        def play(rank=None):
            try:
                if rank is None:
                    playAllRanks(Mailbox(path), device)
                else:
                    playRank(Mailbox(path), rank, device, folder)
            except Exception as error:
                fail(f"{type(error).__name__}: {error}")

        if device in ("cpu", "cuda"):
            play()
        else:
            try:
                numRanks = Mailbox(path).shape.numRanks
            except (OSError, ValueError) as error:
                fail(str(error))
            runRanks(numRanks, play)


# In place of the package's own folder, whose modules are no top-level ones.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
if len(sys.argv) != 3 or sys.argv[1] not in ("cpu", "cuda", "nccl", "gloo"):
    fail(
        "expected cpu, cuda, nccl or gloo and the memory to work with; fusco-run starts this", 2
    )
main(*sys.argv[1:])
