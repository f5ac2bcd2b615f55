"""Sentence pairs for alignment: batches of them, the frozen base's vectors of their English, and
how many find their other side.

A base that was trained with prefixes reads texts as queries or as passages. A step takes one of the
two for all its texts, at random, so that the module serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from polyrank.base import Base
from polyrank.machine import fast_bf16
from polyrank.progress import track
from polyrank.training.language.mean_pool import mean_pool
from polyrank.training.language.students import Encoding
from polyrank.training.loop.steps import Batch

SIDES = ("query", "passage")
HELD_OUT = 200  # pairs at most, and a tenth of them at most

Pair = tuple[str, str]  # text, English


def held_out_pairs(pairs: Sequence[Pair], seed: int) -> tuple[list[Pair], list[Pair]]:
    """Some pairs to measure on, none where there are fewer than ten, and the others."""
    count = min(HELD_OUT, len(pairs) // 10)
    order = np.random.default_rng(seed).permutation(len(pairs))
    held, seen = ([pairs[i] for i in sorted(part)] for part in (order[:count], order[count:]))
    return held, seen


class SentenceEncoder:
    """Texts with the base's prefixes, tokenised or as vectors.

    Args:
        base: whose tokenizer and prefixes.
        length: tokens of a text at most, prefix and specials included.
    """

    def __init__(self, base: Base, length: int) -> None:
        self.tokenizer, self.card, self.length = base.tokenizer, base.card, length

    def inputs(self, texts: Sequence[str], side: str) -> tuple[dict[str, Tensor], Tensor]:
        """The encoder's inputs, each (B, L), and which tokens are of the text itself, (B, L):
        neither prefix nor special."""
        prefix = self.card.prefix(side)
        encoded = dict(
            self.tokenizer(
                [prefix + text for text in texts],
                truncation=True,
                max_length=self.length,
                padding=True,
                return_tensors="pt",
                return_offsets_mapping=True,
            )
        )
        ends = encoded.pop("offset_mapping")[..., 1]  # (B, L), 0 for special tokens
        return encoded, ends > len(prefix)

    @torch.no_grad()
    def vectors(self, encode: Encoding, texts: Sequence[str], side: str, device: Any) -> Tensor:
        """Pooled unit vectors, (N, H), on the CPU; encoded in order of length."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        parts = []
        starts = range(0, len(order), 64)
        for start in track(starts, f"encoding {len(texts):,} sentences"):
            inputs, _ = self.inputs([texts[i] for i in order[start : start + 64]], side)
            inputs = {name: value.to(device) for name, value in inputs.items()}
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=fast_bf16()):
                hidden = encode(inputs)
            parts.append(mean_pool(hidden, inputs["attention_mask"]).cpu())
        found = torch.cat(parts)
        return torch.empty_like(found).index_copy_(0, torch.tensor(order), found)


class SentencePairs:
    """The pairs of each step, and the targets of the English sides that are drawn.

    Args:
        pairs: to learn from.
        encoder: of texts.
        size: pairs a step.
        seed: of what is drawn.
        tokens: whether the English side is handed out too, for losses over its tokens.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        encoder: SentenceEncoder,
        size: int,
        seed: int,
        tokens: bool = False,
    ) -> None:
        self.pairs, self.encoder, self.size, self.seed = pairs, encoder, size, seed
        self.tokens = tokens
        self.places: dict[str, dict[int, int]] = {}  # side → number of the pair → row
        self.targets: dict[str, Tensor] = {}  # side → (rows, H)

    def draw(self, step: int) -> tuple[list[int], str]:
        """Numbers of the pairs of a step, and which side's prefix their texts get."""
        random = np.random.default_rng([self.seed, step, 1])
        side = SIDES[int(random.integers(2))]
        return random.integers(len(self.pairs), size=self.size).tolist(), side

    def prepare(self, frozen: Encoding, steps: int, path: Path, device: Any) -> None:
        """Encode the English sides that the steps draw, once: they do not change.

        Args:
            frozen: the base.
            steps: of the training, or of its longest phase.
            path: of a file to keep them in, so that a resumed run reads them.
            device: that the base is on.
        """
        drawn: dict[str, set[int]] = {side: set() for side in SIDES}
        for step in range(steps):
            numbers, side = self.draw(step)
            drawn[side].update(numbers)
        rows = {side: sorted(numbers) for side, numbers in drawn.items() if numbers}
        self.places = {side: {n: row for row, n in enumerate(r)} for side, r in rows.items()}
        if path.is_file():
            self.targets = load_file(path)
            return
        for side, numbers in rows.items():
            english = [self.pairs[number][1] for number in numbers]
            self.targets[side] = self.encoder.vectors(frozen, english, side, device)
        aside = path.with_suffix(".part")
        save_file(self.targets, aside)
        aside.replace(path)

    def batch(self, step: int) -> Batch:
        """`sentence` and its `own` tokens, the `target` (B, H), perhaps `english` with its own."""
        numbers, side = self.draw(step)
        sentence, own = self.encoder.inputs([self.pairs[n][0] for n in numbers], side)
        places = torch.tensor([self.places[side][n] for n in numbers])
        batch: dict[str, Any] = {
            "sentence": sentence,
            "own": own,
            "target": self.targets[side][places],
        }
        if self.tokens:
            english, english_own = self.encoder.inputs([self.pairs[n][1] for n in numbers], side)
            batch |= {"english": english, "english own": english_own}
        return batch


def accuracy(
    encode: Encoding, frozen: Encoding, encoder: SentenceEncoder, pairs: Sequence[Pair], device: Any
) -> dict[str, float]:
    """Share of sentences whose English is the nearest among that of all pairs, and the reverse.

    What is searched for is encoded as a query, the rest as passages; English always by the base.
    A text that stands in several pairs is right in each.
    """
    texts = [text for text, _ in pairs]
    english = [text for _, text in pairs]
    shares = {}
    for name, queries, passages in (
        ("to English", (encode, texts), (frozen, english)),
        ("from English", (frozen, english), (encode, texts)),
    ):
        asked = encoder.vectors(*queries, "query", device)
        answers = encoder.vectors(*passages, "passage", device)
        nearest = (asked @ answers.T).argmax(1).tolist()
        right = [passages[1][place] == passages[1][own] for own, place in enumerate(nearest)]
        shares[name] = round(sum(right) / len(right), 3)
    return shares
