"""What a framework does for experts on other ranks, as Megatron's all-to-all
dispatcher does it: permute tokens by expert, exchange, sort what has come by
local expert; and the way back with the weighted sum.

All ranks share one device. The buffers of a kind lie one behind the other, rank by
rank, in one tensor, and a step of all ranks is one launch, so that many ranks do
not cost many times a launch. The exchange is a copy from buffer to buffer for
each pair of ranks.
"""
import torch


@torch.compile(dynamic=False)
def _planSource(ids, sources, numRanks, numExperts):
    """The order of pairs of token and choice by source rank and expert, those that
    go nowhere last; its inverse; and the counts by source and expert."""
    nowhere = numRanks * numExperts
    keys = torch.where(ids >= 0, sources * numExperts + ids, nowhere).to(torch.int32)
    keys, order = torch.sort(keys, stable=True)
    bounds = torch.searchsorted(
        keys, torch.arange(nowhere + 1, dtype=keys.dtype, device=ids.device)
    )
    positions = torch.empty_like(order)
    positions[order] = torch.arange(order.numel(), device=ids.device)
    return order, positions, bounds.diff().view(numRanks, numExperts)


@torch.compile(dynamic=False)
def _planExperts(counts, byArrival, alignRows, numRows, noRow):
    """For each row in the order of experts where it has arrived, `noRow` for a pad;
    and the inverse, of which what is at `noRow` means nothing. `byArrival`: the runs
    of each expert from each source, in the order in which they arrive."""
    numRanks, numExperts = counts.shape
    device = counts.device
    # A run of rows for each expert and source, and one of pads.
    rowsOf = counts.t()
    pads = -rowsOf.sum(1, keepdim=True) % alignRows
    lengths = torch.cat([rowsOf, pads], 1).flatten()
    ends = lengths.cumsum(0)
    # The runs without pads in the order of arrival.
    arrived = rowsOf.flatten()[byArrival]
    starts = torch.empty_like(arrived)
    starts[byArrival] = arrived.cumsum(0) - arrived

    rows = torch.arange(numRows, device=device)
    run = torch.searchsorted(ends, rows, right=True)
    source = run % (numRanks + 1)
    isPad = source == numRanks
    start = starts[torch.where(isPad, 0, run // (numRanks + 1) * numRanks + source)]
    arrivals = torch.where(isPad, noRow, start + rows - (ends - lengths)[run])
    places = torch.zeros(noRow + 1, dtype=rows.dtype, device=device)
    places[arrivals] = rows
    return arrivals, places


@torch.compile(dynamic=False)
def _permuteTokens(x, order, topk, out):
    out.copy_(x.index_select(0, order // topk))


@torch.compile(dynamic=False)
def _permute(rows, order, out):
    out.copy_(rows.index_select(0, order))


@torch.compile(dynamic=False)
def _sumTokens(rows, positions, weights, out):
    """Of each token's rows, [tokens, topk] `positions`; in float32."""
    total = torch.zeros(out.shape, device=rows.device)
    for choice in range(positions.shape[1]):
        term = rows.index_select(0, positions[:, choice]).float()
        total += term if weights is None else term * weights[:, choice, None]
    out.copy_(total)


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
                for expert in self._expertsOf(destination)
            ],
            device=device,
        )

    def _expertsOf(self, rank):
        return range(self.firstExperts[rank], self.firstExperts[rank + 1])

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
        order, positions, counts = _planSource(
            self.ids, self.sources, self.numRanks, self.numExperts
        )
        # The host has to know how much goes where, as in Megatron: it waits.
        self._layOut(counts.cpu())
        self.positions = positions.where(positions < self.numSent, self.noRow).view(
            -1, self.shape.topk
        )
        arrivals, self.places = _planExperts(
            counts, self.byArrival, self.shape.alignRows, self.offsets[-1], self.noRow
        )
        sent, received = self.bySource[: self.numSent], self.byDestination[: self.numSent]
        _permuteTokens(self.x, order[: self.numSent], self.shape.topk, sent)
        self._exchange(sent, self.sentRows, received, self.receivedRows)
        if len(self.rows) != self.offsets[-1]:
            self.rows = self.x.new_empty(self.offsets[-1], self.x.shape[1])
        _permute(self.byDestination, arrivals, self.rows)

    def combine(self):
        """From y, like rows, to out, by the plan of the last dispatch."""
        sent, received = self.byDestination[: self.numSent], self.bySource[: self.numSent]
        _permute(self.y, self.places[: self.numSent], sent)
        self._exchange(sent, self.receivedRows, received, self.sentRows)
        _sumTokens(self.bySource, self.positions, self.weights, self.out)

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
