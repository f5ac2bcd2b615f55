"""Trains a masked-language head for an encoder that has none: E5, BGE-M3, LaBSE and their like.

Such encoders were trained for sentences, and their masked-language head was thrown away. Language
modules need one to learn from plain text. The encoder is frozen, and so are its word embeddings,
which are the output embeddings; see `output_head` for what is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.base import device_of, load_base
from polyrank.errors import DataError
from polyrank.modules.card import Data
from polyrank.progress import note
from polyrank.training.head.head_folder import HeadCard, eps_of, save_head_folder
from polyrank.training.head.output_head import OutputHead
from polyrank.training.head.recipe import HeadRecipe
from polyrank.training.kinds.contract import Fitted
from polyrank.training.language.language_batches import blocks, masked_rows
from polyrank.training.language.masked_output import MaskedOutput, perplexity
from polyrank.training.language.students import Frozen
from polyrank.training.language.text import held_out, read_lines
from polyrank.training.loop.checks import check_length, check_mask_token
from polyrank.training.loop.run import Lesson, Place, train
from polyrank.training.loop.steps import Batch, Schedule, digest
from polyrank.training.loop.warnings import tell_worse


def train_head(
    base: str,
    text: str | Path | Sequence[str | Path],
    output: str | Path,
    steps: int = HeadRecipe.steps,
    batch_size: int = HeadRecipe.batch_size,
    length: int = HeadRecipe.length,
    rate: float = HeadRecipe.rate,
    seed: int = HeadRecipe.seed,
    resume: bool = False,
    data: Sequence[Data] = (),
    command: str = "",
) -> HeadCard:
    """Trains a masked-language head over a frozen base.

    Args:
        base: 'e5-small', a Hub id or a folder.
        text: files, a sentence a line, gzipped or not; or folders of `*.txt` and `*.txt.gz`. Each
            file is drawn from equally often, so give one for each language.
        output: folder to write; `<output>.work` holds checkpoints until the end.
        steps, batch_size, length: optimizer steps, sequences a step, tokens a sequence.
        rate: peak learning rate.
        seed: of what is drawn and hidden.
        resume: continue from the last checkpoint.
        data: sources and licences for the card.
        command: what the card quotes as its recipe.

    Returns:
        The card as written, with held-out perplexity before and after over the pieces of the text.

    Raises:
        DataError: text that is missing or too short.
        UsageError: a base without mask token, or too long sequences.
    """
    recipe = HeadRecipe(base, text, steps, batch_size, length, rate, seed)
    place = Place(Path(output), resume, None, tuple(data), command)
    return train(HeadTraining, recipe, place)


class HeadTraining:
    """The training of one masked-language head."""

    def __init__(self, recipe: HeadRecipe, place: Place) -> None:
        self.recipe, self.files = recipe, text_files(recipe.text)
        self.texts = [read_lines(path) for path in self.files]
        for path, lines in zip(self.files, self.texts, strict=True):
            if len(lines) < 2:
                raise DataError(
                    path, None, "only one line; some are held out to measure perplexity on"
                )
        self.base = load_base(recipe.base)
        check_length(recipe.length, self.base)
        check_mask_token(self.base)
        self.encoder = self.base.model.requires_grad_(False).to(device_of(None))
        self.words = self.encoder.get_input_embeddings().weight

    def build(self) -> OutputHead:
        head = OutputHead(self.words.shape[1], len(self.words), eps_of(self.base))
        return head.to(self.words.device)

    def settings(self, model: OutputHead) -> Mapping[str, Any]:
        recipe = self.recipe
        return {
            "base": str(self.base.fingerprint),
            "steps": recipe.steps,
            "batch size": recipe.batch_size,
            "length": recipe.length,
            "rate": recipe.rate,
            "seed": recipe.seed,
            "text": digest(*self.files),
        }

    def prepare(self, model: OutputHead, place: Place) -> Lesson:
        recipe, tokenizer = self.recipe, self.base.tokenizer
        parts = [held_out(lines, recipe.seed) for lines in self.texts]
        self.held_lines = sum(len(held) for held, _ in parts)
        self.unseen = [blocks(held, tokenizer, recipe.length) for held, _ in parts]
        self.seen = [blocks(lines, tokenizer, recipe.length) for _, lines in parts]
        counts = torch.zeros(len(self.words), dtype=torch.int64)
        for rows in self.seen:
            counts += torch.bincount(rows.flatten(), minlength=len(self.words))
        model.start_at(counts)
        used = torch.unique(torch.cat([rows.flatten() for rows in (*self.seen, *self.unseen)]))
        self.masked, self.frozen = MaskedOutput(model, self.words, used), Frozen(self.encoder)
        self.before = self._perplexity()
        batches = HeadBatches(self.seen, tokenizer, recipe.batch_size, recipe.seed)
        schedule = Schedule(steps=recipe.steps, rate=recipe.rate, seed=recipe.seed)
        return Lesson(model, batches, self._loss, schedule)

    def _loss(self, model: Any, batch: Batch) -> Tensor:
        return self.masked.shared_loss(self.frozen, dict(batch["text"]))

    def _perplexity(self) -> float:
        """The mean over files, each as it is by itself."""
        seed, tokenizer = self.recipe.seed, self.base.tokenizer
        each = [perplexity(self.frozen, self.masked, rows, tokenizer, seed) for rows in self.unseen]
        return round(float(np.exp(np.mean(np.log(each)))), 2)

    def save(self, fitted: Fitted, place: Place) -> HeadCard:
        recipe, after = self.recipe, self._perplexity()
        note(f"held-out perplexity {self.before} -> {after}")
        tell_worse({"perplexity": self.before}, {"perplexity": after})
        width = np.mean([rows.shape[1] for rows in self.seen])
        card = HeadCard(
            self.base.name,
            self.base.fingerprint,
            recipe={
                "command": place.command,
                "batch_size": recipe.batch_size,
                "length": recipe.length,
                "rate": recipe.rate,
                "files": len(self.files),
                "lines": sum(map(len, self.texts)),
                "tokens seen": round(recipe.steps * recipe.batch_size * width),
                **fitted.facts,
            },
            figures={
                "perplexity before": self.before,
                "perplexity after": after,
                "pieces": len(self.masked),
                "held-out lines": self.held_lines,
            },
            data=place.data,
        )
        return save_head_folder(fitted.model.cpu(), place.output, card)


class HeadBatches:
    """Batch of step i: each sequence from a file drawn at random."""

    def __init__(self, seen: Sequence[Tensor], tokenizer: Any, size: int, seed: int) -> None:
        self.seen, self.tokenizer, self.size, self.seed = seen, tokenizer, size, seed
        self.length = max(rows.shape[1] for rows in seen)

    def __call__(self, step: int) -> Batch:
        random = np.random.default_rng([self.seed, step])
        ids = torch.full((self.size, self.length), self.tokenizer.pad_token_id)
        live = torch.zeros_like(ids)
        for row, number in enumerate(random.integers(len(self.seen), size=self.size)):
            some = self.seen[number]
            ids[row, : some.shape[1]] = some[random.integers(len(some))]
            live[row, : some.shape[1]] = 1
        rows = masked_rows(ids, self.tokenizer, self.seed, step)
        return {"text": {**rows, "attention_mask": live}}


def text_files(text: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files that are meant, those of a folder by name.

    Raises:
        DataError: a folder without text.
    """
    given = [text] if isinstance(text, str | Path) else list(text)
    files: list[Path] = []
    for path in map(Path, given):
        inside = sorted([*path.glob("*.txt"), *path.glob("*.txt.gz")]) if path.is_dir() else [path]
        if not inside:
            raise DataError(path, None, "a folder without *.txt and *.txt.gz; give files of text")
        files += inside
    return files
