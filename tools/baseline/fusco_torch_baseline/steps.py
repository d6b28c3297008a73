"""The steps of a framework's shuffle that do not depend on how rows travel, compiled."""
import torch


@torch.compile(dynamic=False)
def planSource(ids, sources, numRanks, numExperts):
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
def planExperts(counts, byArrival, alignRows, numRows, noRow):
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
def permuteTokens(x, order, topk, out):
    out.copy_(x.index_select(0, order // topk))


@torch.compile(dynamic=False)
def permute(rows, order, out):
    out.copy_(rows.index_select(0, order))


@torch.compile(dynamic=False)
def sumTokens(rows, positions, weights, out):
    """Of each token's rows, [tokens, topk] `positions`; in float32."""
    total = torch.zeros(out.shape, device=rows.device)
    for choice in range(positions.shape[1]):
        term = rows.index_select(0, positions[:, choice]).float()
        total += term if weights is None else term * weights[:, choice, None]
    out.copy_(total)
