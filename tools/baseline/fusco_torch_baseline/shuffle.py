"""What a framework does for experts on other ranks, as Megatron's all-to-all
dispatcher does it: permute tokens by expert, exchange, sort what has come by
local expert; and the way back with the weighted sum.

All ranks share one device. The buffers of a kind lie one behind the other, rank by
rank, in one tensor, and a step of all ranks is one launch, so that many ranks do
not cost many times a launch. The exchange is a copy from buffer to buffer for
each pair of ranks.
"""
import torch

from .steps import permute, permuteTokens, planExperts, planSource, sumTokens


class Shuffle:
    """Of all ranks."""

    def __init__(self, shape, device):
        self.shape, self.device = shape, device
        self.numRanks, self.numExperts = shape.numRanks, shape.experts
        experts = [shape.numLocalExperts(rank) for rank in range(self.numRanks)]
        self.firstExperts = [sum(experts[:rank]) for rank in range(self.numRanks + 1)]
        # By destination, source and expert.
        self.byArrival = torch.tensor(
            [
                expert * self.numRanks + source
                for destination in range(self.numRanks)
                for source in range(self.numRanks)
                for expert in range(*self.expertsOf(destination))
            ],
            device=device,
        )

    def expertsOf(self, rank):
        """The first of its experts, and the one behind the last."""
        return self.firstExperts[rank], self.firstExperts[rank + 1]

    def setTokens(self, tokensOfRanks, x, ids, weights):
        """Rows of all ranks; `ids` and `weights` are [tokens, topk], the latter None
        where sums have none."""
        self.tokensOfRanks = tokensOfRanks
        self.x, self.ids = x, ids.flatten()
        # What has no row takes the one at the end, which stays zero.
        self.noRow = self.ids.numel()
        ranks = torch.arange(self.numRanks, device=self.device)
        tokens = torch.tensor(tokensOfRanks, device=self.device)
        self.sources = ranks.repeat_interleave(tokens * self.shape.topk)
        self.weights = None if weights is None else weights.where(ids >= 0, 0)
        # Buffers are kept: on a CPU new ones would have to be paged in each time.
        self.bySource, self.byDestination = (
            x.new_zeros(self.noRow + 1, x.shape[1]) for _ in range(2)
        )
        self.rows, self.out = x.new_empty(0, x.shape[1]), torch.empty_like(x)

    def dispatch(self):
        """From x and ids to rows and their layout."""
        order, positions, counts = planSource(
            self.ids, self.sources, self.numRanks, self.numExperts
        )
        # The host has to know how much goes where, as in Megatron: it waits.
        self._layOut(counts.cpu())
        self.positions = positions.where(positions < self.numSent, self.noRow).view(
            -1, self.shape.topk
        )
        arrivals, self.places = planExperts(
            counts, self.byArrival, self.shape.alignRows, self.offsets[-1], self.noRow
        )
        sent, received = self.bySource[: self.numSent], self.byDestination[: self.numSent]
        permuteTokens(self.x, order[: self.numSent], self.shape.topk, sent)
        self._exchange(sent, self.sentRows, received, self.receivedRows)
        if len(self.rows) != self.offsets[-1]:
            self.rows = self.x.new_empty(self.offsets[-1], self.x.shape[1])
        permute(self.byDestination, arrivals, self.rows)

    def combine(self):
        """From y, like rows, to out, by the plan of the last dispatch."""
        sent, received = self.byDestination[: self.numSent], self.bySource[: self.numSent]
        permute(self.y, self.places[: self.numSent], sent)
        self._exchange(sent, self.receivedRows, received, self.sentRows)
        sumTokens(self.bySource, self.positions, self.weights, self.out)

    def _layOut(self, counts):
        """What the host needs of `counts`, by source and expert."""
        self.numSent = int(counts.sum())
        self.counts = counts.sum(0)
        padded = -(-self.counts // self.shape.alignRows) * self.shape.alignRows
        self.offsets = [0, *padded.cumsum(0).tolist()]  # of experts, over all ranks
        sums = torch.zeros(self.numRanks, self.numExperts + 1, dtype=counts.dtype)
        sums[:, 1:] = counts.cumsum(1)
        pairs = sums[:, self.firstExperts].diff(dim=1)  # [source, destination]
        self.sentRows = pairs.flatten().tolist()
        self.receivedRows = pairs.t().flatten().tolist()

    def _exchange(self, source, sourceRows, target, targetRows):
        """A copy for each pair of ranks, whose rows are by one rank and then by the
        other in `source`, and the other way round in `target`."""
        fromParts = source.split(sourceRows)
        toParts = target.split(targetRows)
        pairs = [
            (toParts[to * self.numRanks + of], fromParts[of * self.numRanks + to])
            for to in range(self.numRanks)
            for of in range(self.numRanks)
            if sourceRows[of * self.numRanks + to] != 0
        ]
        if pairs:
            torch._foreach_copy_(*(list(parts) for parts in zip(*pairs)))
