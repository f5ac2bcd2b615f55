"""What the ranking modules trained on the device share: recipes and English questions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from polyrank.modules.adapter.tensors import AdapterModule
from polyrank.training.pack.loaded import Pack

QUERY, PASSAGE = 40, 176  # tokens that are read in training


@dataclass(frozen=True)
class RankingRecipe:
    """How a ranking module is trained.

    Attributes:
        steps, rate: optimizer steps and peak learning rate.
        queries, negatives: questions a step, hard negatives of each.
        width: of the bottlenecks.
        dim: of token vectors (late interaction).
        temperature: that mean token similarities are divided by (late interaction).
        parallel: weight of sentence pairs beside the questions: a sentence under its language's
            adapter has to find its translation. No judgements are in it, and it keeps the module
            from unlearning other languages than English.
        pairs: sentence pairs a step.
        half: run the encoder in bf16.
    """

    steps: int = 1000
    rate: float = 5e-4
    queries: int = 32
    negatives: int = 3
    width: int = 96
    dim: int = 128
    temperature: float = 0.02
    parallel: float = 0.0
    pairs: int = 32
    half: bool = True

    def but(self, **changed: Any) -> RankingRecipe:
        return replace(self, **changed)


class Questions:
    """English questions with mined hard negatives.

    The base's own nearest passages are mined; one whose score is above 95 % of the right passage's
    is taken for another right answer and left out (positive-aware mining, Moreira et al. 2024,
    arXiv 2407.15831, TopK-PercPos). BM25's negatives, which hold no answer, stand beside them.
    """

    def __init__(self, pack: Pack, count: int = 20, share: float = 0.95) -> None:
        self.pack = pack
        self.queries, self.passages = pack.texts("squad/queries"), pack.texts("squad/passages")
        self.positive = pack.tables["squad/positive"]
        queries = pack.vectors(self.queries, "query", limit=QUERY)
        self.pooled = pack.vectors(self.passages, "passage", limit=PASSAGE)
        mined = []
        for part in torch.arange(len(queries)).split(4096):
            own = self.positive[part].to(pack.device)
            similar = queries[part[0] : part[-1] + 1] @ self.pooled.T  # (q, N)
            limit = similar.gather(1, own[:, None]) * share
            similar.scatter_(1, own[:, None], -1.0)
            similar.masked_fill_(similar > limit, -1.0)
            values, places = similar.topk(count, dim=1)
            mined.append(places.masked_fill(values <= 0, -1).cpu())
        lexical = pack.tables["squad/negatives"]  # (Q, 5), −1 where there is none
        self.negatives = torch.cat([torch.cat(mined), lexical], dim=1)  # (Q, count + 5)
        usable = (self.negatives >= 0).sum(1) >= 5
        if not usable.any():  # a handful of passages, as in tests
            usable = (self.negatives >= 0).any(1)
        self._usable = torch.nonzero(usable).squeeze(1)
        self._orders: dict[tuple[int, int], np.ndarray] = {}

    def _order(self, seed: int, lap: int) -> np.ndarray:
        """The usable questions in the order of an epoch."""
        if (seed, lap) not in self._orders:
            order = np.random.default_rng([seed, 7, lap]).permutation(len(self._usable))
            self._orders[seed, lap] = self._usable.numpy()[order]
        return self._orders[seed, lap]

    def draw(self, step: int, queries: int, negatives: int, seed: int) -> tuple[Tensor, Tensor]:
        """Questions of step i, (B,), and their candidates, the right one first, (B, 1 + n)."""
        turn = step * queries + np.arange(queries)
        laps, places = turn // len(self._usable), turn % len(self._usable)
        chosen = torch.tensor(
            [int(self._order(seed, int(lap))[i]) for lap, i in zip(laps, places, strict=True)]
        )
        weights = (self.negatives[chosen] >= 0).double()
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        picked = torch.multinomial(weights, negatives, generator=generator)
        wrong = self.negatives[chosen].gather(1, picked)
        return chosen, torch.cat([self.positive[chosen][:, None], wrong], dim=1)


Below = Mapping[str, AdapterModule]  # the adapter of each language that has one


def in_its_type(below: Below, encoder: Any) -> dict[str, AdapterModule]:
    """The adapters on the encoder's device, in the type of its weights."""
    weight = encoder.embeddings.word_embeddings.weight
    return {name: module.to(weight.device, weight.dtype) for name, module in below.items()}


def to_train(pack: Pack) -> tuple[Any, list[nn.Parameter]]:
    """A copy of the encoder in fp32, and the weights of its layers, to be trained."""
    encoder = copy.deepcopy(pack.encoder)
    layers = [p for name, p in encoder.named_parameters() if name.startswith("encoder.")]
    for parameter in layers:
        parameter.requires_grad_(True)
    return encoder, layers
