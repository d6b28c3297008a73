"""Does for ranks what the mailbox says."""
import torch

from .mailbox import Command


def view(part):
    """The memory itself, as a tensor."""
    elementType = getattr(torch, part.elementType)
    if part.numElements == 0:
        return torch.empty(0, dtype=elementType)
    return torch.frombuffer(
        part.memory, dtype=elementType, count=part.numElements, offset=part.offset
    )


class Worker:
    def __init__(self, mailbox, ranks, shuffle, clock):
        """For `ranks`, which `shuffle` is of; times are by `clock`."""
        self.mailbox, self.ranks, self.shuffle, self.clock = mailbox, ranks, shuffle, clock

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
        self.mailbox.answer(self.ranks)
        while (command := self.mailbox.await_(self.ranks)) != Command.END:
            with torch.inference_mode():
                follow[command]()
            self.mailbox.answer(self.ranks)

    def time(self, body):
        us = self.clock.timeUs(body)
        for rank in self.ranks:
            self.mailbox.ranks[rank].startUs, self.mailbox.ranks[rank].endUs = 0, us

    def gather(self, partOf, columns):
        """An array of the ranks, on the device."""
        rows = [view(partOf(rank)).view(-1, columns) for rank in self.ranks]
        return torch.cat(rows).to(self.shuffle.device)

    def loadTokens(self):
        shape, mailbox, shuffle = self.mailbox.shape, self.mailbox, self.shuffle
        shuffle.setTokens(
            [mailbox.ranks[rank].tokens for rank in self.ranks],
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
        """Where the rows of `rank` are among those of the shuffle."""
        first, end = self.shuffle.expertsOf(rank)
        return slice(self.shuffle.offsets[first], self.shuffle.offsets[end])

    def loadOutputs(self):
        for rank in self.ranks:
            rows = self.shuffle.y[self.rowsOf(rank)]
            rows.copy_(view(self.mailbox.expertRows(rank, len(rows))).view_as(rows))

    def saveRows(self):
        shuffle = self.shuffle
        for rank in self.ranks:
            first, end = shuffle.expertsOf(rank)
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
