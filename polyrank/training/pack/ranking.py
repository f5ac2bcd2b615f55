"""Ranking modules on the device: late interaction and a cross-encoder, from English questions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from polyrank.encoders.routed import NO_MODULE, RoutedEncoder
from polyrank.modules.adapter.tensors import AdapterModule
from polyrank.training.language.alignment_loss import token_contrast
from polyrank.training.language.trainable_adapter import TrainableAdapter
from polyrank.training.pack.languages import Pairs
from polyrank.training.pack.loaded import Pack
from polyrank.training.pack.measure import Passages
from polyrank.training.pack.optimise import optimise
from polyrank.training.pack.ragged import Ragged

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


Below = Mapping[str, AdapterModule]  # the adapter of each language that has one


def _in(below: Below, encoder: Any) -> dict[str, AdapterModule]:
    weight = encoder.embeddings.word_embeddings.weight
    return {name: module.to(weight.device, weight.dtype) for name, module in below.items()}


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
        encoder, parameters = _to_train(pack)
    modules = {} if full else _in(below, encoder)
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


def _to_train(pack: Pack) -> tuple[Any, list[nn.Parameter]]:
    """A copy of the encoder in fp32, and the weights of its layers, to be trained."""
    encoder = copy.deepcopy(pack.encoder)
    layers = [p for name, p in encoder.named_parameters() if name.startswith("encoder.")]
    for parameter in layers:
        parameter.requires_grad_(True)
    return encoder, layers


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


# --------------------------------------------------------------------------------- cross-encoder


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
        encoder, trained = _to_train(pack)
        parameters = [*adapter.head.parameters(), *trained]
    modules = {} if full else _in(below, encoder)
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
