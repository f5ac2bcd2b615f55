"""Development figures on the device: nDCG@10 of dense vectors and of MaxSim."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from polyrank.modules.adapter.tensors import AdapterModule
from polyrank.training.pack.loaded import Pack, unit
from polyrank.training.pack.ragged import Ragged

Project = Callable[[Tensor], Tensor]  # hidden states (…, H) → unit vectors (…, dim)


def ndcg_of_one(scores: Tensor, gold: Tensor, depth: int = 10) -> float:
    """Mean nDCG@10 where each query has one relevant passage: 1 / log2(1 + rank), or 0.

    Passages with the score of the relevant one count half each, as at random order.

    Args:
        scores: (Q, N). gold: (Q,).
    """
    own = scores.gather(1, gold[:, None])
    rank = 1 + (scores > own).sum(1) + ((scores == own).sum(1) - 1) / 2
    gain = torch.where(rank <= depth, 1 / torch.log2(1 + rank), torch.zeros_like(rank))
    return float(gain.mean())


class Passages:
    """Passages as pooled vectors and as token vectors, to be searched by many modules.

    Args:
        pack: whose encoder encodes them.
        texts: the passages.
        adapter: over all their tokens; None for the bare base.
        below: a language adapter beneath it, for token vectors alone.
        project: hidden states to token vectors.
        limit: tokens of a passage that are read.
    """

    def __init__(
        self,
        pack: Pack,
        texts: Ragged,
        adapter: AdapterModule | None = None,
        project: Project = unit,
        limit: int = 200,
        below: AdapterModule | None = None,
    ) -> None:
        self.pack, self.texts, self.limit, self.project = pack, texts, limit, project
        self._adapter, self._below = adapter, below
        self._tokens: list[tuple[Tensor, Tensor, Tensor]] | None = None

    @cached_property
    def pooled(self) -> Tensor:
        """Unit vectors, (N, H)."""
        return self.pack.vectors(self.texts, "passage", self._adapter, self.limit)

    @torch.no_grad()
    def tokens(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Chunks of (places, token vectors in half precision, which count), made once."""
        if self._tokens is None:
            runner, self._tokens = self.pack.runner(self._adapter), []
            order = torch.argsort(self.texts.lengths())
            for part in order.split(256):
                framed, live, own = self.pack.framed(*self.texts.rows(part, self.limit), "passage")
                hidden = runner.differentiable(framed, live, language=self._below)
                vectors = self.project(hidden)
                vectors = vectors.half() if vectors.is_cuda else vectors
                self._tokens.append((part.to(self.pack.device), vectors, own))
        return self._tokens

    @torch.no_grad()
    def maxsim(self, queries: Tensor, real: Tensor) -> Tensor:
        """(Q, N) sums over query tokens: queries (Q, L, dim), real (Q, L)."""
        found = torch.zeros(len(queries), len(self.texts), device=queries.device)
        for places, vectors, own in self.tokens():
            for at in range(0, len(queries), 16):
                some = queries[at : at + 16].to(vectors.dtype)
                similar = torch.einsum("qld,nmd->qlnm", some, vectors)
                similar.masked_fill_(~own[None, None], -1.0)
                best = similar.amax(-1).float() * real[at : at + 16, :, None]  # (q, L, n)
                found[at : at + 16, places] = best.sum(1)
        return found


@torch.no_grad()
def measured(
    pack: Pack,
    passages: Passages,
    queries: Ragged,
    gold: Tensor,
    adapter: AdapterModule | None = None,
    project: Project = unit,
    tokens: bool = True,
    limit: int = 60,
) -> dict[str, float]:
    """nDCG@10 of queries under an adapter, dense and by MaxSim."""
    gold = gold.to(pack.device)
    ids, real = queries.rows(torch.arange(len(queries)), limit)
    hidden, _, own, pooled = pack.states(ids, real, "query", pack.runner(adapter))
    found = {"dense": ndcg_of_one(pooled @ passages.pooled.T, gold)}
    if tokens:
        found["maxsim"] = ndcg_of_one(passages.maxsim(project(hidden), own), gold)
    return found
