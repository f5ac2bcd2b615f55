"""Trains a masked-language head for an encoder that has none: E5, BGE-M3, LaBSE and their like.

Such encoders were trained for sentences, and their masked-language head was thrown away. Language
modules need one to learn from plain text. The encoder is frozen, and so are its word embeddings,
which are the output embeddings; see `output_head` for what is trained.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
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
from polyrank.training.language.language_batches import blocks, masked_rows
from polyrank.training.language.masked_output import MaskedOutput, perplexity
from polyrank.training.language.students import Frozen
from polyrank.training.language.text import held_out, read_lines
from polyrank.training.loop.checks import check_length, check_mask_token
from polyrank.training.loop.steps import Batch, Schedule, begin, digest, fit


def train_head(
    base: str,
    text: str | Path | Sequence[str | Path],
    output: str | Path,
    steps: int = 600,
    batch_size: int = 32,
    length: int = 96,
    rate: float = 2e-3,
    seed: int = 13,
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
    output, files = Path(output), text_files(text)
    texts = [read_lines(path) for path in files]
    for path, lines in zip(files, texts, strict=True):
        if len(lines) < 2:
            raise DataError(path, None, "only one line; some are held out to measure perplexity on")
    loaded = load_base(base)
    check_length(length, loaded)
    check_mask_token(loaded)
    settings = {
        "base": str(loaded.fingerprint),
        "steps": steps,
        "batch size": batch_size,
        "length": length,
        "rate": rate,
        "seed": seed,
        "text": digest(*files),
    }
    work = Path(f"{output}.work")
    begin(work, settings, resume)

    tokenizer, device = loaded.tokenizer, device_of(None)
    encoder = loaded.model.requires_grad_(False).to(device)
    parts = [held_out(lines, seed) for lines in texts]
    unseen = [blocks(held, tokenizer, length) for held, _ in parts]
    seen = [blocks(lines, tokenizer, length) for _, lines in parts]
    words = encoder.get_input_embeddings().weight
    counts = torch.zeros(len(words), dtype=torch.int64)
    for rows in seen:
        counts += torch.bincount(rows.flatten(), minlength=len(words))
    used = torch.unique(torch.cat([rows.flatten() for rows in (*seen, *unseen)]))

    head = OutputHead(words.shape[1], len(words), eps_of(loaded))
    head.start_at(counts)
    head.to(device)
    masked, frozen = MaskedOutput(head, words, used), Frozen(encoder)

    def measured() -> float:
        """The mean over files, each as it is by itself."""
        each = [perplexity(frozen, masked, rows, tokenizer, seed) for rows in unseen]
        return round(float(np.exp(np.mean(np.log(each)))), 2)

    def loss(model: Any, batch: Batch) -> Tensor:
        return masked.loss(frozen, dict(batch["text"]))

    before = measured()
    schedule = Schedule(steps=steps, rate=rate, seed=seed)
    draw = HeadBatches(seen, tokenizer, batch_size, seed)
    facts = fit(head, draw, loss, schedule, work / "checkpoints", resume)
    after = measured()
    note(f"held-out perplexity {before} -> {after}")
    card = HeadCard(
        loaded.name,
        loaded.fingerprint,
        recipe={
            "command": command,
            "batch_size": batch_size,
            "length": length,
            "rate": rate,
            "files": len(files),
            "lines": sum(map(len, texts)),
            "tokens seen": round(steps * batch_size * np.mean([rows.shape[1] for rows in seen])),
            **facts,
        },
        figures={
            "perplexity before": before,
            "perplexity after": after,
            "pieces": len(used),
            "held-out lines": sum(len(held) for held, _ in parts),
        },
        data=tuple(data),
    )
    written = save_head_folder(head.cpu(), output, card)
    shutil.rmtree(work)
    return written


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
