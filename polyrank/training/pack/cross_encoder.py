"""A cross-encoder on the device, from English questions, and what it reranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from polyrank.encoders.routed import NO_MODULE, RoutedEncoder
from polyrank.modules.adapter.tensors import AdapterModule
from polyrank.training.language.trainable_adapter import TrainableAdapter
from polyrank.training.pack.languages import Pairs
from polyrank.training.pack.loaded import Pack
from polyrank.training.pack.measure import Passages
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


def paired(
    pack: Pack,
    queries: tuple[Tensor, Tensor],
    passages: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """`<s> query </s></s> passage </s>`, with the base's prefixes before both sides.

    Args:
        queries, passages: ids and which are real, (B, Lq) and (B, Ld).

    Returns:
        ids, which are live, and which belong to the passage's side, each (B, L).
    """
    device = queries[0].device
    before = pack.facts["prefixes"]
    first = [pack.first, *before["query"]]
    middle = [pack.last, pack.last, *before["passage"]]
    query_length, length = queries[1].sum(1), passages[1].sum(1)  # (B,)
    width = len(first) + len(middle) + int(queries[0].shape[1] + passages[0].shape[1]) + 1
    ids = torch.full((len(query_length), width), pack.pad, device=device)
    places = torch.arange(width, device=device)[None, :]
    ids[:, : len(first)] = torch.tensor(first, device=device)
    batch = torch.arange(len(ids), device=device)[:, None]
    at = len(first) + torch.arange(queries[0].shape[1], device=device)[None, :]
    ids.scatter_(1, at.expand(len(ids), -1), queries[0].masked_fill(~queries[1], pack.pad))
    start = len(first) + query_length[:, None]  # (B, 1)
    ids[batch, start + torch.arange(len(middle), device=device)] = torch.tensor(
        middle, device=device
    )
    start = start + len(middle)
    ids[batch, start + torch.arange(passages[0].shape[1], device=device)] = passages[0].masked_fill(
        ~passages[1], pack.pad
    )
    end = start + length[:, None]
    ids.scatter_(1, end, pack.last)
    return ids, places <= end, places >= start - len(middle) + 1


def train_cross_encoder(
    pack: Pack,
    questions: Questions,
    recipe: RankingRecipe,
    below: Below,
    full: bool = False,
    seed: int = 13,
    seconds: float | None = None,
) -> tuple[TrainableAdapter, Any, dict[str, Any]]:
    """Train a cross-encoder's ranking adapter and head over the English adapter or the bare base.

    The loss is the cross-entropy of the right passage among a question's candidates.

    Args:
        below: as of `train_late_interaction`.
        full: train all weights of the layers instead of an adapter, over no language adapter.

    Returns:
        The adapter (of a full model its head alone is of use), the encoder, and facts.
    """
    layers, hidden = pack.encoder.config.num_hidden_layers, pack.words.shape[1]
    adapter = TrainableAdapter("squad", hidden, layers, recipe.width, head=True, seed=seed)
    adapter.to(pack.device)
    encoder = pack.half if recipe.half else pack.encoder
    parameters = list(adapter.parameters())
    if full:
        encoder, trained = to_train(pack)
        parameters = [*adapter.head.parameters(), *trained]
    modules = {} if full else in_its_type(below, encoder)
    others = [language for language in modules if language != "en"]
    pairs = Pairs(pack, others) if recipe.parallel else None
    score = scorer(pack, adapter, encoder, full)

    def loss(step: int) -> Tensor:
        chosen, candidates = questions.draw(step, recipe.queries, recipe.negatives, seed)
        repeated = chosen.repeat_interleave(candidates.shape[1])
        queries = questions.queries.rows(repeated, QUERY)
        passages = questions.passages.rows(candidates.flatten(), PASSAGE)
        scores = score(queries, passages, modules.get("en")).view(candidates.shape)  # (B, 1 + n)
        target = torch.zeros(len(chosen), dtype=torch.long, device=pack.device)
        total = F.cross_entropy(scores, target)
        if pairs is not None:
            random = np.random.default_rng([seed, 5, step])
            number, some = pairs.draw(random, recipe.pairs)
            wrong = some[torch.from_numpy(nearest_others(pairs, number, some, 3))]
            places = pairs.places[number][torch.cat([some[:, None], wrong], 1)]  # (B, 4)
            sentences = pairs.sides[number].rows(some.repeat_interleave(4), 60)
            english = pairs.english.rows(places.flatten(), 60)
            module = modules[pairs.languages[number]]
            found = score(sentences, english, module).view(places.shape)
            zero = torch.zeros(len(some), dtype=torch.long, device=pack.device)
            total = total + recipe.parallel * F.cross_entropy(found, zero)
        return total

    autocast = full and recipe.half
    facts = optimise(parameters, loss, recipe.steps, recipe.rate, seconds=seconds, bf16=autocast)
    return adapter, encoder, facts


def nearest_others(pairs: Pairs, number: int, chosen: Tensor, count: int) -> Any:
    """For each of some pairs, the others whose English sides are nearest to its own, (B, count)."""
    vectors = pairs.target(number, chosen, "passage")
    similar = vectors @ vectors.T
    same = pairs.places[number][chosen].to(similar.device)
    similar.masked_fill_(same[:, None] == same[None, :], -1.0)
    return similar.topk(count, dim=1).indices.cpu().numpy()


Texts = tuple[Tensor, Tensor]  # ids, and which are real, both (B, L)
Score = Callable[..., Tensor]


def scorer(pack: Pack, adapter: TrainableAdapter, encoder: Any, full: bool = False) -> Score:
    """A function that scores pairs.

    It takes queries and passages (each ids and which are real), the language adapter over all
    tokens, and, to route by side, another one for the passage's side: scores (B,) in fp32.
    """

    def score(
        queries: Texts,
        passages: Texts,
        module: AdapterModule | None = None,
        of_passage: AdapterModule | None = None,
        split: bool = False,
    ) -> Tensor:
        ids, live, second = paired(pack, queries, passages)
        ranking = None if full else adapter.as_module()
        if split:
            sides = [one for one in (module, of_passage) if one is not None]
            runner = RoutedEncoder(encoder, sides, ranking)
            mine = 0 if module is not None else NO_MODULE
            theirs = len(sides) - 1 if of_passage is not None else NO_MODULE
            index = torch.where(second, theirs, mine)
            hidden = runner.differentiable(ids, live, None, index)[:, 0]
        else:
            runner = RoutedEncoder(encoder, [], ranking)
            hidden = runner.differentiable(ids, live, language=module)[:, 0]
        with torch.autocast(ids.device.type, enabled=False):
            inner, outer = adapter.head
            found: Tensor = outer(torch.tanh(inner(hidden.float()))).squeeze(-1)
        return found

    return score


@torch.no_grad()
def reranked(
    pack: Pack,
    score: Score,
    passages: Passages,
    queries: Ragged,
    gold: Tensor,
    pooled: Tensor,
    modules: tuple[AdapterModule | None, AdapterModule | None] = (None, None),
    split: bool = False,
    depth: int = 20,
    mixtures: tuple[float, ...] = (0.003, 0.01, 0.03),
) -> dict[str, float]:
    """nDCG@10 after the `depth` best of the dense stage were scored again.

    Args:
        pooled: dense vectors of the queries, (Q, H).
        modules, split: language adapters of both sides; without `split` the first one over all.
        mixtures: weights w of the cross-encoder beside 1 of the cosine; its scores alone always.
    """
    first = pooled @ passages.pooled.T
    depth = min(depth, first.shape[1])
    cosine, places = first.topk(depth, dim=1)  # (Q, depth)
    found = torch.zeros_like(cosine)
    for part in torch.arange(len(queries)).split(64):
        repeated = part.repeat_interleave(depth)
        candidates = places[part.to(places.device)].flatten().cpu()
        texts = (queries.rows(repeated, 60), passages.texts.rows(candidates, PASSAGE))
        scores = score(*texts, modules[0], modules[1], split)
        found[part.to(places.device)] = scores.view(len(part), depth).float()
    gold = gold.to(pack.device)

    def ndcg(scores: Tensor) -> float:
        own = torch.where(places == gold[:, None], scores, torch.full_like(scores, -1e9)).amax(1)
        rank = 1 + (scores > own[:, None]).sum(1)
        gain = 1 / torch.log2(1 + rank.double())
        return float(torch.where((rank <= 10) & (own > -1e8), gain, torch.zeros_like(gain)).mean())

    result = {"first": ndcg(cosine), "alone": ndcg(found)}
    return result | {f"cosine + {w} x": ndcg(cosine + w * found) for w in mixtures}
