"""Does for all ranks what the mailbox says."""
import torch

from .clock import makeClock
from .mailbox import Command
from .shuffle import Shuffle


def view(part):
    """The memory itself, as a tensor."""
    elementType = getattr(torch, part.elementType)
    if part.numElements == 0:
        return torch.empty(0, dtype=elementType)
    return torch.frombuffer(
        part.memory, dtype=elementType, count=part.numElements, offset=part.offset
    )


class Worker:
    def __init__(self, mailbox, device):
        self.mailbox, self.device = mailbox, device
        self.ranks = range(mailbox.shape.numRanks)
        self.shuffle = Shuffle(mailbox.shape, device)
        self.clock = makeClock(device)

    def work(self):
        """Returns when it is told to end."""
        follow = {
            Command.LOAD_TOKENS: self.loadTokens,
            Command.DISPATCH: lambda: self.time(self.shuffle.dispatch),
            Command.SAVE_ROWS: self.saveRows,
            Command.LOAD_OUTPUTS: self.loadOutputs,
            Command.COMBINE: lambda: self.time(self.shuffle.combine),
            Command.SAVE_RESULT: self.saveResult,
        }
        self.mailbox.answer()
        while (command := self.mailbox.await_()) != Command.END:
            with torch.inference_mode():
                follow[command]()
            self.mailbox.answer()

    def time(self, body):
        us = self.clock.timeUs(body)
        for rank in self.mailbox.ranks:
            rank.startUs, rank.endUs = 0, us

    def gather(self, partOf, columns):
        """An array of all ranks, on the device."""
        rows = [view(partOf(rank)).view(-1, columns) for rank in self.ranks]
        return torch.cat(rows).to(self.device)

    def loadTokens(self):
        shape, mailbox, shuffle = self.mailbox.shape, self.mailbox, self.shuffle
        shuffle.setTokens(
            [rank.tokens for rank in mailbox.ranks],
            self.gather(mailbox.tokenRows, shape.hidden),
            self.gather(mailbox.ids, shape.topk),
            self.gather(mailbox.weights, shape.topk) if shape.isWeighted else None,
        )
        # Once untimed, so that all is compiled.
        shuffle.dispatch()
        shuffle.y = torch.zeros_like(shuffle.rows)
        shuffle.combine()
        # Which must not pass for results.
        shuffle.rows.fill_(torch.nan)
        shuffle.out.fill_(torch.nan)

    def rowsOf(self, rank):
        """Where the rows of `rank` are among those of all."""
        first, end = self.shuffle.firstExperts[rank : rank + 2]
        return slice(self.shuffle.offsets[first], self.shuffle.offsets[end])

    def loadOutputs(self):
        for rank in self.ranks:
            rows = self.shuffle.y[self.rowsOf(rank)]
            rows.copy_(view(self.mailbox.expertRows(rank, len(rows))).view_as(rows))

    def saveRows(self):
        shuffle = self.shuffle
        for rank in self.ranks:
            first, end = shuffle.firstExperts[rank : rank + 2]
            counts, offsets = view(self.mailbox.counts(rank)), view(self.mailbox.offsets(rank))
            counts.zero_()  # a rank may have an expert less than others
            counts[: end - first] = shuffle.counts[first:end]
            ends = torch.tensor(shuffle.offsets[first : end + 1]) - shuffle.offsets[first]
            offsets[: len(ends)] = ends
            offsets[len(ends) :] = ends[-1]
            rows = shuffle.rows[self.rowsOf(rank)]
            room = view(self.mailbox.expertRows(rank, len(rows)))
            room.copy_(rows.flatten()[: len(room)])

    def saveResult(self):
        parts = self.shuffle.out.split(self.shuffle.tokensOfRanks)
        for rank, part in zip(self.ranks, parts):
            view(self.mailbox.tokenRows(rank)).copy_(part.flatten())
