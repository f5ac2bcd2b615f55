"""Language adapters by alignment to the frozen base's English, by masked tokens, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from polyrank.training.head.output_head import OutputHead
from polyrank.training.language.alignment_loss import (
    sentence_contrast,
    sentence_distance,
    token_contrast,
)
from polyrank.training.language.trainable_adapter import TrainableAdapter
from polyrank.training.pack.loaded import Pack, unit
from polyrank.training.pack.optimise import optimise

HIDDEN_SHARE = 0.15  # of the tokens that masked language modelling asks for
HELD_OUT = 200  # sequences of a language that perplexity is measured on
LENGTH = 128  # of a masked sequence, specials included
OWN_ENGLISH = 6000  # English sentences that the English adapter is trained on


@dataclass(frozen=True)
class Recipe:
    """How a language adapter is trained.

    Attributes:
        distance, contrast, tokens, masked: weights of the four losses; see `alignment_loss`.
        steps, rate: optimizer steps and peak learning rate.
        pairs: sentence pairs a step. sequences: masked sequences of 128 tokens a step.
        width, coupling: of the bottlenecks and inside the invertible coupling (0: none).
        temperature: of the contrast of sentences.
        shared: name of an adapter of many languages to start from; '' for none.
    """

    distance: float = 1.0
    contrast: float = 0.3
    tokens: float = 0.0
    masked: float = 0.0
    steps: int = 400
    rate: float = 1e-3
    pairs: int = 64
    sequences: int = 32
    width: int = 48
    coupling: int = 48
    temperature: float = 0.05
    shared: str = ""

    def but(self, **changed: Any) -> Recipe:
        return replace(self, **changed)


class Pairs:
    """Sentence pairs of some languages, with the frozen base's vectors of the English sides.

    English is paired with itself, so that its adapter keeps the base's vectors.

    Args:
        pack: whose pairs.
        languages: each is drawn from equally often.
    """

    def __init__(self, pack: Pack, languages: Sequence[str]) -> None:
        self.pack = pack
        self.english = pack.texts("english")
        self.languages, self.sides, self.places = [], [], []
        for language in languages:
            if language == "en":
                side, places = self.english, torch.arange(min(len(self.english), OWN_ENGLISH))
            elif pack.has(f"pairs/{language}"):
                side, places = pack.texts(f"pairs/{language}"), pack.tables[f"pairs/{language}"]
            else:
                continue
            self.languages.append(language)
            self.sides.append(side)
            self.places.append(places)
        used = torch.unique(torch.cat(self.places)) if self.places else torch.zeros(0).long()
        self._row = torch.full((len(self.english),), -1)
        self._row[used] = torch.arange(len(used))
        self.targets = {
            side: pack.vectors(self.english, side, limit=100, index=used)
            for side in ("query", "passage")
        }

    def __len__(self) -> int:
        return sum(map(len, self.places))

    def draw(self, random: np.random.Generator, count: int) -> tuple[int, Tensor]:
        """Number of a language, and some of its pairs, (count,)."""
        number = int(random.integers(len(self.languages)))
        return number, torch.from_numpy(random.integers(len(self.places[number]), size=count))

    def target(self, number: int, chosen: Tensor, side: str) -> Tensor:
        """The frozen vectors of the English sides, (B, H)."""
        rows = self._row[self.places[number][chosen]]
        return self.targets[side][rows.to(self.pack.device)]


class Blocks:
    """Lines of some languages run together and cut into sequences; some are held out."""

    def __init__(self, pack: Pack, languages: Sequence[str]) -> None:
        self.pack, self.rows = pack, []
        inside = LENGTH - 2
        for language in languages:
            if pack.has(f"text/{language}"):
                flat = pack.texts(f"text/{language}").flat
                whole = flat[: len(flat) // inside * inside].view(-1, inside)
                self.rows.append(whole)
        self.seen = [rows[: max(1, len(rows) - HELD_OUT)] for rows in self.rows]
        self.unseen = torch.cat(
            [rows[len(rows) - HELD_OUT :] for rows in self.rows]
            or [torch.zeros(0, inside, dtype=torch.long, device=pack.device)]
        )
        used = torch.cat([rows.flatten() for rows in self.rows]) if self.rows else torch.zeros(0)
        self.used = torch.unique(used.long())  # (U,), pieces that logits are computed over
        self.inverse = torch.full((len(pack.words),), -1, device=pack.device)
        self.inverse[self.used] = torch.arange(len(self.used), device=pack.device)

    def masked(self, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Framed ids with hidden tokens (B, L), and which are hidden (B, L).

        80 % of the hidden ones become the mask token, 10 % another piece of the text, 10 % stay.
        """
        device = rows.device
        draw = torch.rand(rows.shape, generator=generator, device=device)
        hidden = draw < HIDDEN_SHARE
        other = self.used[
            torch.randint(len(self.used), rows.shape, generator=generator, device=device)
        ]
        ids = torch.where(draw < 0.8 * HIDDEN_SHARE, self.pack.mask, rows)
        changed = (draw >= 0.8 * HIDDEN_SHARE) & (draw < 0.9 * HIDDEN_SHARE)
        ids = torch.where(changed, other, ids)
        edge = (len(rows), 1)
        first = torch.full(edge, self.pack.first, device=device)
        last = torch.full(edge, self.pack.last, device=device)
        nowhere = torch.zeros(edge, dtype=torch.bool, device=device)
        return torch.cat([first, ids, last], 1), torch.cat([nowhere, hidden, nowhere], 1)

    def loss(
        self,
        rows: Tensor,
        adapter: TrainableAdapter | None,
        head: OutputHead,
        generator: torch.Generator,
        runner: Any,
    ) -> Tensor:
        """Mean cross-entropy at the hidden tokens, over the pieces that the text uses."""
        ids, hidden = self.masked(rows, generator)
        states = runner.differentiable(ids, torch.ones_like(ids))[hidden]  # (n, H)
        framed = torch.cat([rows[:, :1], rows, rows[:, :1]], 1)  # the edges are never hidden
        labels = self.inverse[framed[hidden]]
        uncouple = None if adapter is None else adapter.uncouple
        logits = head(states, self.pack.words[self.used], self.used, uncouple)  # (n, U)
        return F.cross_entropy(logits, labels)

    @torch.no_grad()
    def perplexity(self, adapter: TrainableAdapter | None, head: OutputHead) -> float:
        """exp of the mean loss on the held-out sequences, the same tokens hidden every time."""
        runner = self.pack.runner(adapter.as_module() if adapter else None)
        generator = torch.Generator(self.pack.device).manual_seed(7)
        losses = [
            self.loss(rows, adapter, head, generator, runner) for rows in self.unseen.split(50)
        ]
        return round(float(torch.stack(losses).mean().exp()), 1)


def train_language(
    pack: Pack,
    languages: Sequence[str],
    recipe: Recipe,
    name: str,
    head: OutputHead | None = None,
    start: TrainableAdapter | None = None,
    seed: int = 13,
    seconds: float | None = None,
) -> tuple[TrainableAdapter, dict[str, Any]]:
    """Train an adapter for one language, or one for many to start others from.

    Args:
        pack: text and base.
        languages: whose pairs and text.
        recipe: losses and sizes.
        name: of the adapter.
        head: needed where masked tokens are asked for.
        start: an adapter of the same sizes to start from.
        seed: of weights and batches.
        seconds: time limit.

    Returns:
        The adapter, and facts for its card.
    """
    layers = pack.encoder.config.num_hidden_layers
    adapter = TrainableAdapter(
        name, pack.words.shape[1], layers, recipe.width, recipe.coupling, seed=seed
    ).to(pack.device)
    if start is not None:
        adapter.start_from(start)
    pairs = Pairs(pack, languages)
    blocks = Blocks(pack, languages) if recipe.masked and head is not None else None
    aligned = len(pairs) > 0 and (recipe.distance or recipe.contrast or recipe.tokens)
    frozen = pack.runner()
    seen = 0

    def loss(step: int) -> Tensor:
        nonlocal seen
        random = np.random.default_rng([seed, step])
        runner = pack.runner(adapter.as_module())
        total = torch.zeros((), device=pack.device)
        if aligned:
            number, chosen = pairs.draw(random, recipe.pairs)
            side = ("query", "passage")[int(random.integers(2))]
            ids, real = pairs.sides[number].rows(chosen, 100)
            seen += real.numel()
            hidden, _, own, pooled = pack.states(ids, real, side, runner)
            target = pairs.target(number, chosen, side)
            total = total + recipe.distance * sentence_distance(pooled, target)
            if recipe.contrast:
                contrast = sentence_contrast(pooled, target, recipe.temperature)
                total = total + recipe.contrast * contrast
            if recipe.tokens:
                with torch.no_grad():
                    english = pairs.english.rows(pairs.places[number][chosen], 100)
                    there, _, there_own, _ = pack.states(*english, side, frozen)
                both = (unit(hidden), own, unit(there), there_own)
                total = total + recipe.tokens * token_contrast(*both)
        if blocks is not None and blocks.seen:
            rows = blocks.seen[int(random.integers(len(blocks.seen)))]
            chosen = torch.from_numpy(random.integers(len(rows), size=recipe.sequences))
            generator = torch.Generator(pack.device).manual_seed(seed * 1_000_003 + step)
            some = rows[chosen.to(pack.device)]
            seen += some.numel()
            masked = blocks.loss(some, adapter, head, generator, runner)  # type: ignore[arg-type]
            total = total + recipe.masked * masked
        return total

    facts: dict[str, Any] = optimise(
        adapter.parameters(), loss, recipe.steps, recipe.rate, seconds=seconds
    )
    facts |= {"pairs": len(pairs), "tokens seen, padding included": seen}
    if blocks is not None and head is not None and len(blocks.unseen):
        facts["perplexity before"] = blocks.perplexity(None, head)
        facts["perplexity after"] = blocks.perplexity(adapter, head)
    return adapter, facts


def train_head(
    pack: Pack,
    languages: Sequence[str],
    steps: int = 600,
    rate: float = 2e-3,
    seed: int = 13,
    seconds: float | None = None,
) -> tuple[OutputHead, dict[str, Any]]:
    """Train a masked-language head over the frozen base, on text of many languages."""
    config = pack.encoder.config
    head = OutputHead(config.hidden_size, config.vocab_size, config.layer_norm_eps)
    head.start_at(pack.counts)
    head.to(pack.device)
    blocks = Blocks(pack, languages)
    before = blocks.perplexity(None, head)
    runner = pack.runner()

    def loss(step: int) -> Tensor:
        random = np.random.default_rng([seed, step])
        rows = []
        for language in random.integers(len(blocks.seen), size=8):
            some = blocks.seen[int(language)]
            chosen = torch.from_numpy(random.integers(len(some), size=8))
            rows.append(some[chosen.to(pack.device)])
        generator = torch.Generator(pack.device).manual_seed(seed * 1_000_003 + step)
        return blocks.loss(torch.cat(rows), None, head, generator, runner)

    facts: dict[str, Any] = optimise(head.parameters(), loss, steps, rate, seconds=seconds)
    facts |= {"perplexity before": before, "perplexity after": blocks.perplexity(None, head)}
    return head, facts
