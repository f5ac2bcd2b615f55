"""Late interaction on the device, from English questions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from polyrank.encoders.routed import RoutedEncoder
from polyrank.modules.adapter.tensors import AdapterModule
from polyrank.training.language.alignment_loss import token_contrast
from polyrank.training.language.trainable_adapter import TrainableAdapter
from polyrank.training.pack.languages import Pairs
from polyrank.training.pack.loaded import Pack
from polyrank.training.pack.optimise import optimise
from polyrank.training.pack.ragged import Ragged
from polyrank.training.pack.ranking import (
    PASSAGE,
    QUERY,
    Below,
    Questions,
    RankingRecipe,
    in_its_type,
    to_train,
)


class TokenProjection(nn.Module):
    """Hidden states → unit token vectors: a linear map that starts where the base's geometry is.

    It starts by taking a mean token vector away and keeping the main directions of what is left:
    token states of one encoder share a large component, which says nothing and hides differences
    (Mu & Viswanath 2018, arXiv 1702.01417, for word vectors).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())  # (dim, H)
        self.bias = nn.Parameter(bias.clone())  # (dim,)

    def forward(self, hidden: Tensor) -> Tensor:
        """In fp32: (…, H) → (…, dim)."""
        return F.normalize(F.linear(hidden.float(), self.weight, self.bias), dim=-1)


@torch.no_grad()
def start_of_projection(pack: Pack, dim: int, count: int = 600) -> TokenProjection:
    """The centred principal directions of token states, as orthonormal rows; all for dim = H.

    Over English passages and sentences of every language of the pack, in equal parts, so that no
    language's directions are lost.
    """
    hidden = pack.words.shape[1]
    named = ["squad/passages", *(f"text/{language}" for language in pack.facts["languages"])]
    runner, means = pack.runner(), []
    second = torch.zeros(hidden, hidden, dtype=torch.float64, device=pack.device)
    for name in filter(pack.has, named):
        texts = pack.texts(name)
        ids, real = texts.rows(torch.arange(0, len(texts), max(1, len(texts) // count)), 100)
        parts = []
        for some, live in zip(ids.split(256), real.split(256), strict=True):
            states, _, own, _ = pack.states(some, live, "passage", runner)
            parts.append(states[own].double())
        vectors = torch.cat(parts)  # (tokens, H)
        means.append(vectors.mean(0))
        second += vectors.T @ vectors / len(vectors)
    mean = torch.stack(means).mean(0)  # (H,), of the languages' means
    weight = torch.eye(hidden, dtype=torch.float64, device=pack.device)
    if dim < hidden:
        _, found = torch.linalg.eigh(second / len(means) - torch.outer(mean, mean))  # ascending
        weight = found[:, -dim:].flip(1).T
    return TokenProjection(weight.float().contiguous(), -(weight @ mean).float()).to(pack.device)


def train_late_interaction(
    pack: Pack,
    questions: Questions,
    recipe: RankingRecipe,
    below: Below,
    full: bool = False,
    seed: int = 13,
    seconds: float | None = None,
) -> tuple[TrainableAdapter, TokenProjection, Any, dict[str, Any]]:
    """Train a late-interaction module over the English adapter, or over the bare base.

    Every question is scored against all passages of the batch; the loss is the cross-entropy of its
    own (Khattab & Zaharia 2020, arXiv 2004.12832, with in-batch negatives).

    Args:
        below: the adapter of each language; those beside 'en' are for sentence pairs.
        full: train all weights of the layers instead of an adapter, over no language adapter.

    Returns:
        The adapter (of a full model of no use), the projection, the encoder, and facts.
    """
    if full and recipe.parallel:
        raise ValueError(
            "sentence pairs need adapters of their languages, which a full model lacks"
        )
    layers, hidden = pack.encoder.config.num_hidden_layers, pack.words.shape[1]
    adapter = TrainableAdapter("late", hidden, layers, recipe.width, seed=seed)
    adapter.to(pack.device)
    project = start_of_projection(pack, recipe.dim)
    encoder = pack.half if recipe.half else pack.encoder
    parameters = list(adapter.parameters())
    if full:
        encoder, parameters = to_train(pack)
    modules = {} if full else in_its_type(below, encoder)
    others = [language for language in modules if language != "en"]
    pairs = Pairs(pack, others) if recipe.parallel else None

    def loss(step: int) -> Tensor:
        chosen, candidates = questions.draw(step, recipe.queries, recipe.negatives, seed)
        runner = RoutedEncoder(encoder, [], None if full else adapter.as_module())
        queries, query_own = _states(
            pack, runner, questions.queries, chosen, QUERY, "query", modules.get("en")
        )
        every = candidates.flatten()
        passages, own = _states(
            pack, runner, questions.passages, every, PASSAGE, "passage", modules.get("en")
        )
        with torch.autocast(pack.device.type, enabled=False):
            vectors = project(queries), query_own, project(passages), own
            total = _of_the_batch(*vectors, candidates, recipe.temperature)
        if pairs is not None:
            random = np.random.default_rng([seed, 5, step])
            number, some = pairs.draw(random, recipe.pairs)
            there = pairs.places[number][some]
            foreign, foreign_own = _states(
                pack, runner, pairs.sides[number], some, 100, "query",
                modules[pairs.languages[number]],
            )  # fmt: skip
            english, english_own = _states(
                pack, runner, pairs.english, there, 100, "passage", modules.get("en")
            )
            both = (project(foreign), foreign_own, project(english), english_own)
            total = total + recipe.parallel * token_contrast(*both, recipe.temperature)
        return total

    facts = optimise(
        parameters, loss, recipe.steps, recipe.rate, seconds=seconds,
        bf16=full and recipe.half, slow=project.parameters(),
    )  # fmt: skip
    return adapter, project, encoder, facts


def _of_the_batch(
    queries: Tensor,
    query_own: Tensor,
    passages: Tensor,
    own: Tensor,
    candidates: Tensor,
    temperature: float,
) -> Tensor:
    """The cross-entropy of each question's right passage among all of the batch.

    Args:
        queries: (B, L, d), and query_own, their tokens that count, (B, L).
        passages: (M, T, d), and own, (M, T), of the candidates in turn.
        candidates: (B, 1 + n), the right one first.
    """
    similar = torch.einsum("qld,ntd->qlnt", queries, passages)
    best = similar.masked_fill(~own[None, None], -1.0).amax(-1)  # (B, L, M)
    weight = query_own[..., None].float()
    mean = (best * weight).sum(1) / weight.sum(1).clamp_min(1)  # (B, M)
    places, right = candidates.flatten().to(mean.device), candidates[:, 0].to(mean.device)
    twice = places[None, :] == right[:, None]  # (B, M), the right passage, also elsewhere
    target = torch.arange(len(candidates), device=mean.device) * candidates.shape[1]
    twice.scatter_(1, target[:, None], False)
    return F.cross_entropy((mean / temperature).masked_fill(twice, -1e4), target)


def _states(
    pack: Pack,
    runner: RoutedEncoder,
    texts: Ragged,
    index: Tensor,
    limit: int,
    side: str,
    below: AdapterModule | None,
) -> tuple[Tensor, Tensor]:
    framed, live, own = pack.framed(*texts.rows(index, limit), side)
    return runner.differentiable(framed, live, language=below), own
