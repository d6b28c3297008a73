"""The memory that fusco-run shares with a baseline, as tools/baseline/Mailbox.h and
Mailbox.cpp lay it out."""
import ctypes
import enum
import mmap
import os

PAGE_BYTES = 4096
ELEMENT_TYPES = ("bfloat16", "float16", "float32")  # names of torch's, by their number
BYTES_OF_TYPE = {"bfloat16": 2, "float16": 2, "float32": 4, "int64": 8}

_libc = ctypes.CDLL(None, use_errno=True)


class Command(enum.IntEnum):
    LOAD_TOKENS = 0
    DISPATCH = 1
    SAVE_ROWS = 2
    LOAD_OUTPUTS = 3
    COMBINE = 4
    SAVE_RESULT = 5
    END = 6


class Semaphore(ctypes.Structure):
    """glibc's sem_t."""

    _fields_ = [("opaque", ctypes.c_long * 4)]

    def wait(self):
        while _libc.sem_wait(ctypes.byref(self)) != 0:
            pass  # a signal came, whose handler has run

    def post(self):
        _libc.sem_post(ctypes.byref(self))


class Shape(ctypes.Structure):
    _fields_ = [
        ("nodes", ctypes.c_int),
        ("ranksPerNode", ctypes.c_int),
        ("topk", ctypes.c_int),
        ("type", ctypes.c_int32),
        ("isWeighted", ctypes.c_bool),
        ("experts", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("alignRows", ctypes.c_int64),
        ("maxTokens", ctypes.c_int64),
        ("maxRows", ctypes.c_int64),
    ]

    @property
    def numRanks(self):
        return self.nodes * self.ranksPerNode

    @property
    def elementType(self):
        return ELEMENT_TYPES[self.type]

    def numLocalExperts(self, rank):
        """By block placement."""
        return self.experts // self.numRanks + (rank < self.experts % self.numRanks)


class Header(ctypes.Structure):
    _fields_ = [
        ("bytes", ctypes.c_uint64),
        ("shape", Shape),
        ("command", ctypes.c_int32),
        ("answered", Semaphore),
    ]


class Rank(ctypes.Structure):
    _fields_ = [
        ("commanded", Semaphore),
        ("tokens", ctypes.c_int64),
        ("startUs", ctypes.c_double),
        ("endUs", ctypes.c_double),
        ("hasAnswered", ctypes.c_bool),
    ]


class Part:
    """An array of a rank's part of the memory, for torch.frombuffer."""

    def __init__(self, memory, offset, elementType, numElements):
        self.memory, self.offset = memory, offset
        self.elementType, self.numElements = elementType, numElements


class Mailbox:
    def __init__(self, path):
        """Raises ValueError if `path` is no memory of a fusco-run of this version."""
        with open(path, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            self._memory = mmap.mmap(file.fileno(), size) if size >= PAGE_BYTES else b""
        isHeader = self._memory and (
            ctypes.c_uint64.from_buffer(self._memory).value == ctypes.sizeof(Header)
        )
        self._header = Header.from_buffer(self._memory) if isHeader else None
        self._starts = self._layOut() if isHeader else {}
        if not isHeader or size != PAGE_BYTES + self.shape.numRanks * self._starts["end"]:
            raise ValueError(f"expected the memory of a fusco-run of this version, got '{path}'")
        self.ranks = [
            Rank.from_buffer(self._memory, self._offset(rank, "rank"))
            for rank in range(self.shape.numRanks)
        ]

    @property
    def shape(self):
        return self._header.shape

    def await_(self, ranks):
        """Waits for the next command of `ranks`; all ranks get the same."""
        for rank in ranks:
            self.ranks[rank].commanded.wait()
        return Command(self._header.command)

    def answer(self, ranks):
        """For `ranks`."""
        for rank in ranks:
            self.ranks[rank].hasAnswered = True
            self._header.answered.post()

    # Arrays of a rank, see Mailbox.h.

    def ids(self, rank):
        return self._part(rank, "ids", "int64", self.ranks[rank].tokens * self.shape.topk)

    def weights(self, rank):
        return self._part(rank, "weights", "float32", self.ranks[rank].tokens * self.shape.topk)

    def counts(self, rank):
        return self._part(rank, "counts", "int64", self.shape.numLocalExperts(0))

    def offsets(self, rank):
        return self._part(rank, "offsets", "int64", self.shape.numLocalExperts(0) + 1)

    def tokenRows(self, rank):
        numElements = self.ranks[rank].tokens * self.shape.hidden
        return self._part(rank, "tokens", self.shape.elementType, numElements)

    def expertRows(self, rank, numRows):
        """As many of `numRows` as there is room for."""
        numElements = min(numRows, self.shape.maxRows) * self.shape.hidden
        return self._part(rank, "rows", self.shape.elementType, numElements)

    def _part(self, rank, name, elementType, numElements):
        return Part(self._memory, self._offset(rank, name), elementType, numElements)

    def _offset(self, rank, name):
        return PAGE_BYTES + rank * self._starts["end"] + self._starts[name]

    def _layOut(self):
        """Where the parts of a rank start, from where the rank's start."""
        shape = self.shape
        pairs = shape.maxTokens * shape.topk
        experts = shape.numLocalExperts(0)
        bytesPerRow = shape.hidden * BYTES_OF_TYPE[shape.elementType]
        parts = {
            "rank": ctypes.sizeof(Rank),
            "ids": pairs * 8,
            "weights": pairs * 4,
            "counts": experts * 8,
            "offsets": (experts + 1) * 8,
            "tokens": shape.maxTokens * bytesPerRow,
            "rows": shape.maxRows * bytesPerRow,
        }
        starts, end = {}, 0
        for name, size in parts.items():
            starts[name] = end
            end += -(-size // PAGE_BYTES) * PAGE_BYTES
        starts["end"] = end
        return starts
