"""The same shuffle of a rank with a device of its own: rows go from process to process
by torch.distributed, whose all_to_all_single is grouped sends and receives of NCCL."""
import torch
from torch import distributed

from .steps import permute, permuteTokens, planExperts, planSource, sumTokens


class RankShuffle:
    """Of one rank; all ranks call the same together."""

    def __init__(self, shape, rank, device):
        self.shape, self.device = shape, device
        self.numRanks = shape.numRanks
        self.expertsOfRanks = [shape.numLocalExperts(other) for other in range(self.numRanks)]
        self.numExperts = self.expertsOfRanks[rank]
        # By source and expert.
        self.byArrival = torch.tensor(
            [
                expert * self.numRanks + source
                for source in range(self.numRanks)
                for expert in range(self.numExperts)
            ],
            dtype=torch.int64,
            device=device,
        )

    def expertsOf(self, _):
        """The first of its experts, and the one behind the last."""
        return 0, self.numExperts

    def setTokens(self, tokensOfRanks, x, ids, weights):
        """Rows of the rank; `ids` and `weights` are [tokens, topk], the latter None where
        sums have none."""
        self.tokensOfRanks = tokensOfRanks
        self.x, self.ids = x, ids.flatten()
        self.sources = torch.zeros_like(self.ids)
        self.weights = None if weights is None else weights.where(ids >= 0, 0)
        # What has no row takes the one at the end, which stays zero.
        self.noRow = self.ids.numel()
        self.sent = x.new_zeros(self.noRow + 1, x.shape[1])
        self.received = x.new_zeros(1, x.shape[1])
        self.rows, self.out = x.new_empty(0, x.shape[1]), torch.empty_like(x)

    def dispatch(self):
        """From x and ids to rows and their layout."""
        order, positions, counts = planSource(
            self.ids, self.sources, 1, self.shape.experts
        )
        arriving = counts.new_empty(self.numRanks * self.numExperts)
        distributed.all_to_all_single(
            arriving, counts.view(-1), [self.numExperts] * self.numRanks, self.expertsOfRanks
        )
        # The host has to know how much goes where, as in Megatron: it waits.
        self._layOut(*torch.cat([counts.view(-1), arriving]).cpu().split(
            [self.shape.experts, len(arriving)]
        ))
        self.positions = positions.where(positions < self.numSent, self.noRow).view(
            -1, self.shape.topk
        )
        arrivals, self.places = planExperts(
            arriving.view(self.numRanks, self.numExperts),
            self.byArrival,
            self.shape.alignRows,
            self.offsets[-1],
            self.numReceived,
        )
        sent = self.sent[: self.numSent]
        permuteTokens(self.x, order[: self.numSent], self.shape.topk, sent)
        self._exchange(sent, self.sentRows, self.received[:-1], self.receivedRows)
        if len(self.rows) != self.offsets[-1]:
            self.rows = self.x.new_empty(self.offsets[-1], self.x.shape[1])
        permute(self.received, arrivals, self.rows)

    def combine(self):
        """From y, like rows, to out, by the plan of the last dispatch."""
        back = self.received[:-1]
        permute(self.y, self.places[: self.numReceived], back)
        self._exchange(back, self.receivedRows, self.sent[: self.numSent], self.sentRows)
        sumTokens(self.sent, self.positions, self.weights, self.out)

    def _layOut(self, sent, arriving):
        """What the host needs of the counts that go and come."""
        self.sentRows = [int(part.sum()) for part in sent.split(self.expertsOfRanks)]
        arriving = arriving.view(self.numRanks, self.numExperts)
        self.receivedRows = arriving.sum(1).tolist()
        self.numSent, self.numReceived = sum(self.sentRows), sum(self.receivedRows)
        self.counts = arriving.sum(0)
        padded = -(-self.counts // self.shape.alignRows) * self.shape.alignRows
        self.offsets = [0, *padded.cumsum(0).tolist()]
        if len(self.received) != self.numReceived + 1:
            self.received = self.x.new_zeros(self.numReceived + 1, self.x.shape[1])

    @staticmethod
    def _exchange(source, sourceRows, target, targetRows):
        # As bytes: not every backend knows bf16.
        distributed.all_to_all_single(
            target.view(torch.uint8), source.view(torch.uint8), targetRows, sourceRows
        )
