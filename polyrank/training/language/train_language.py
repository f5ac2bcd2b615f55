"""Trains a language's module of any kind.

What it is trained for is a sum of losses (`language_objective`): masked language modelling on plain
text, and with sentence pairs alignment to the frozen base's English. The masked-language head and
its output embeddings stay frozen, because no ranking uses them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from polyrank.base import Base, device_of, load_base
from polyrank.errors import DataError
from polyrank.languages import tags
from polyrank.messages import note
from polyrank.modules.card import Data, ModuleCard
from polyrank.training.head.head_folder import BaseHead, head_of
from polyrank.training.kinds import part_of
from polyrank.training.kinds.contract import LANGUAGE, Fitted, Ground, Shape
from polyrank.training.language.language_batches import Batches, blocks, encode_pairs
from polyrank.training.language.language_loss import LanguageLoss
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
from polyrank.training.language.students import Encoding, Frozen
from polyrank.training.language.text import held_out, read_lines, read_pairs
from polyrank.training.loop import processes
from polyrank.training.loop.checks import check_length, check_mask_token
from polyrank.training.loop.run import Lesson, Place, module_card, train
from polyrank.training.loop.sparsity import PUBLISHED, Sparsity
from polyrank.training.loop.steps import Schedule, digest


def train_language_module(
    base: str,
    language: str,
    text: str | Path | None,
    output: str | Path,
    kind: str = LanguageRecipe.kind,
    parallel: str | Path | None = None,
    loss: str | None = None,
    steps: int = LanguageRecipe.steps,
    batch_size: int = LanguageRecipe.batch_size,
    length: int = LanguageRecipe.length,
    rate: float | None = None,
    reduction: int | None = None,
    start: str | Path | None = None,
    head: str | Path | None = None,
    sparsity: Sparsity = PUBLISHED,
    seed: int = LanguageRecipe.seed,
    resume: bool = False,
    zoo: str | Path | None = None,
    data: Sequence[Data] = (),
    command: str = "",
) -> ModuleCard:
    """Trains one language's module.

    Args:
        base: 'e5-small', a Hub id or a folder.
        language: tag of the text.
        text: file, one sentence a line, gzipped or not; None to learn from pairs alone.
        output: module folder to write; `<output>.work` holds checkpoints until the end.
        kind: 'adapter' or 'mask'.
        parallel: file of `language <tab> text <tab> English`.
        loss: a sum of `language_objective.LOSSES`, such as 'align+0.1*mlm'; None takes 'mlm'
            without pairs, 'align' without text, and 'align+0.1*mlm' with both.
        steps, batch_size, length: optimizer steps, sequences and pairs a step, tokens a sequence.
        rate: peak learning rate; None takes 1e-3 for an adapter, 5e-4 for a mask.
        reduction: of an adapter, width of the base over width of the bottlenecks and of what is
            inside the invertible adapter; None takes 8, or that of `start`.
        start: of an adapter, the language adapter to start from: a name of the zoo or a folder.
        head: folder of a masked-language head; None takes the base's own, else the zoo's.
        sparsity: of a mask; without k it keeps as many coordinates as an adapter of that
            reduction has parameters. Frozen LayerNorms and an L1 pull of 0.1 are as published.
        resume: continue from the last checkpoint.
        zoo: a folder in which `start` and the head are searched first.
        data: sources and licences for the card.
        command: what the card quotes as its recipe.

    Returns:
        The card as written, with held-out perplexity, and how many held-out sentences find their
        English, before and after: whichever the loss is about.

    Raises:
        UsageError: another kind, a loss that does not fit, or a base without masked-language head.
        DataError: text or pairs that are missing or too few.
        ModuleError: a module to start from, or a head, that is missing or of another base.
    """
    shape = Shape(reduction, sparsity, None if start is None else str(start))
    recipe = LanguageRecipe(
        base,
        language,
        text,
        parallel,
        kind,
        loss,
        steps,
        batch_size,
        length,
        rate,
        shape,
        head,
        seed,
    )
    place = Place(Path(output), resume, zoo, tuple(data), command)
    return train(LanguageTraining, recipe, place)


class LanguageTraining:
    """The training of one language's module."""

    def __init__(self, recipe: LanguageRecipe, place: Place) -> None:
        self.recipe, self.objective = recipe, recipe.objective
        self.language = tags.normalise(recipe.language)
        self.lines = _lines(recipe.text) if recipe.text is not None else []
        self.pairs = _pairs(recipe.parallel, self.language) if recipe.parallel is not None else []
        self.base = load_base(recipe.base)
        check_length(recipe.length, self.base)
        self._warn()
        self.head: BaseHead | None = None
        if self.objective.masked:
            check_mask_token(self.base)
            self.head = head_of(self.base, recipe.head, place.zoo)
        self.base.model.requires_grad_(False).to(device_of(None))
        self.frozen = Frozen(self.base.model)
        self.part = part_of(recipe.kind, LANGUAGE)
        self.ground = Ground(
            self.base, place.name, LANGUAGE, recipe.shape, recipe.seed, zoo=place.zoo
        )

    def _warn(self) -> None:
        if self.base.card.vectors and not self.objective.aligned:
            note(
                f"'{self.objective}' alone moves a language away from where the base for retrieval "
                f"'{self.base.name}' puts its translations; give sentence pairs with --parallel to "
                "keep retrieval"
            )

    def build(self) -> Any:
        return self.part.build(self.ground)

    def settings(self, model: Any) -> Mapping[str, Any]:
        recipe = self.recipe
        texts = [path for path in (recipe.text, recipe.parallel) if path is not None]
        return {
            "base": str(self.base.fingerprint),
            "kind": recipe.kind,
            "language": self.language,
            "loss": str(self.objective),
            "steps": recipe.steps,
            "batch size": recipe.batch_size,
            "length": recipe.length,
            "rate": recipe.peak_rate,
            **self.part.options(self.ground, model),
            "head": self.head and self.head.name,
            "seed": recipe.seed,
            "text": digest(*texts),
        }

    def prepare(self, model: Any, place: Place) -> Lesson:
        recipe, objective, frozen = self.recipe, self.objective, self.frozen
        learnt = _Learnt.of(self.lines, self.pairs, recipe, self.base)
        self.measured = _Measured(learnt, self.head, recipe, self.base)
        self.before = self.measured(frozen, frozen)
        if learnt.aligned is not None:
            longest = self.part.longest(self.ground, recipe.steps)
            targets, device = place.work / "targets.safetensors", self.base.model.device
            with processes.main_first():
                learnt.aligned.prepare(frozen, longest, targets, device)
        batches = Batches(
            learnt.sequences,
            learnt.aligned,
            learnt.pairs if objective.hides(PAIR) else [],
            self.base.tokenizer,
            recipe.batch_size,
            recipe.length,
            recipe.seed,
        )
        teacher = frozen if objective.english_tokens else None
        loss = LanguageLoss(objective, self.measured.output, teacher)
        schedule = Schedule(steps=recipe.steps, rate=recipe.peak_rate, seed=recipe.seed)
        return Lesson(model, batches, loss, schedule, self.part, self.ground)

    def save(self, fitted: Fitted, place: Place) -> ModuleCard:
        before, after = self.before, self.measured(fitted.model.eval(), self.frozen)
        for name in before:
            note(f"{self.language}: held-out {name} {before[name]} -> {after[name]}")
        both = (("before", before), ("after", after))
        figures = {f"{name} {when}": values[name] for name in before for when, values in both}
        card = module_card(
            place,
            self.base,
            LANGUAGE,
            self.recipe.kind,
            self.language,
            recipe=self._recipe(fitted, place),
            figures={**figures, **self.measured.sizes()},
        )
        written: ModuleCard = self.part.save(fitted, self.ground, place.output, card)
        return written

    def _recipe(self, fitted: Fitted, place: Place) -> Mapping[str, Any]:
        recipe = self.recipe
        return {
            "command": place.command,
            "objective": str(self.objective),
            "batch_size": recipe.batch_size,
            "length": recipe.length,
            "rate": recipe.peak_rate,
            **self.part.options(self.ground, fitted.model),
            **({"head": self.head.name} if self.head else {}),
            "lines": len(self.lines),
            "pairs": len(self.pairs),
            "tokens seen": int(fitted.model.seen),
            **fitted.facts,
        }


@dataclass(frozen=True)
class _Learnt:
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
    def of(cls, lines: list[str], pairs: list[Pair], recipe: LanguageRecipe, base: Base) -> _Learnt:
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


class _Measured:
    """Perplexity and accuracy on what is held out: whichever the objective is about."""

    def __init__(
        self, learnt: _Learnt, head: BaseHead | None, recipe: LanguageRecipe, base: Base
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


def _lines(text: str | Path) -> list[str]:
    lines = read_lines(text)
    if len(lines) < 2:
        raise DataError(text, None, "only one line; some are held out to measure perplexity on")
    return lines


def _pairs(path: str | Path, language: str) -> list[Pair]:
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
