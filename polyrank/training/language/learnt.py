"""What a language module learns from, what is held out of it, and how it does on that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from polyrank.base import Base
from polyrank.errors import DataError
from polyrank.languages import tags
from polyrank.training.head.head_folder import BaseHead
from polyrank.training.language.language_batches import blocks, encode_pairs
from polyrank.training.language.language_objective import PAIR
from polyrank.training.language.masked_output import MaskedOutput, perplexity
from polyrank.training.language.recipe import LanguageRecipe
from polyrank.training.language.sentence_pairs import (
    Pair,
    SentenceEncoder,
    SentencePairs,
    accuracy,
    held_out_pairs,
)
from polyrank.training.language.students import Encoding
from polyrank.training.language.text import held_out, read_lines, read_pairs


@dataclass(frozen=True)
class Learnt:
    """What is learnt from, and what is held out.

    Attributes:
        sequences, unseen: of masked language modelling, (N, L); None without.
        held_lines: how many lines `unseen` is made of.
        pairs, held_pairs: of sentences.
        aligned: the pairs of each step; None where no loss aligns.
    """

    sequences: Tensor | None
    unseen: Tensor | None
    held_lines: int
    pairs: list[Pair]
    held_pairs: list[Pair]
    aligned: SentencePairs | None

    @classmethod
    def of(cls, lines: list[str], pairs: list[Pair], recipe: LanguageRecipe, base: Base) -> Learnt:
        objective, length, seed = recipe.objective, recipe.length, recipe.seed
        held, seen = held_out(lines, seed) if lines else ([], [])
        sequences, unseen = (
            blocks(some, base.tokenizer, length) if some else None for some in (seen, held)
        )
        held_pairs, pairs = held_out_pairs(pairs, seed)
        aligned = None
        if objective.aligned:
            encoder = SentenceEncoder(base, length)
            aligned = SentencePairs(
                pairs, encoder, recipe.batch_size, seed, objective.english_tokens
            )
        return cls(sequences, unseen, len(held), pairs, held_pairs, aligned)


class Measured:
    """Perplexity and accuracy on what is held out: whichever the objective is about."""

    def __init__(
        self, learnt: Learnt, head: BaseHead | None, recipe: LanguageRecipe, base: Base
    ) -> None:
        objective, length, device = recipe.objective, recipe.length, base.model.device
        self.learnt, self.tokenizer, self.seed = learnt, base.tokenizer, recipe.seed
        self.device = device
        self.encoder = SentenceEncoder(base, length)
        self.pairs = learnt.held_pairs if objective.aligned else []
        self.output = None
        if head is not None:
            parts = [rows for rows in (learnt.sequences, learnt.unseen) if rows is not None]
            if objective.hides(PAIR):
                parts.append(encode_pairs(learnt.pairs, base.tokenizer, length)["input_ids"])
            used = torch.unique(torch.cat([rows.flatten() for rows in parts]))
            self.output = MaskedOutput(head.head.to(device), head.words.to(device), used)

    def __call__(self, encode: Encoding, frozen: Encoding) -> dict[str, float]:
        found = {}
        if self.output is not None and self.learnt.unseen is not None:
            unseen = self.learnt.unseen
            found["perplexity"] = perplexity(encode, self.output, unseen, self.tokenizer, self.seed)
        if self.pairs:
            shares = accuracy(encode, frozen, self.encoder, self.pairs, self.device)
            found |= {f"accuracy {name}": share for name, share in shares.items()}
        return found

    def sizes(self) -> dict[str, int]:
        """Of what it is measured on."""
        found: dict[str, int] = {}
        if self.output is not None and self.learnt.unseen is not None:
            found |= {"held-out lines": self.learnt.held_lines, "pieces": len(self.output)}
        if self.pairs:
            found["held-out pairs"] = len(self.pairs)
        return found


def lines_of(text: str | Path) -> list[str]:
    """The lines of a text, of which there must be two at least."""
    lines = read_lines(text)
    if len(lines) < 2:
        raise DataError(text, None, "only one line; some are held out to measure perplexity on")
    return lines


def pairs_of(path: str | Path, language: str) -> list[Pair]:
    """The pairs of one language, of which there must be some."""
    by_language = read_pairs(path)
    pairs = [
        pair
        for tag, rows in by_language.items()
        if tags.normalise(tag) == language
        for pair in rows
    ]
    if not pairs:
        raise DataError(
            path, None, f"no pair is in '{language}'; there are {', '.join(sorted(by_language))}"
        )
    return pairs
