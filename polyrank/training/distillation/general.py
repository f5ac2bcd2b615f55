"""Phase 1: the student learns the teacher's states and attention on text of both languages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from polyrank.progress import note
from polyrank.training.distillation.recipe import General
from polyrank.training.distillation.state_alignment import States, alignment
from polyrank.training.distillation.teacher import Teacher
from polyrank.training.language.language_batches import blocks
from polyrank.training.language.masking import mask_tokens
from polyrank.training.loop import processes
from polyrank.training.loop.processes import share
from polyrank.training.loop.steps import Batch, Schedule, fit


class TextBatches:
    """Batch of step i: masked blocks of one language, the languages in turn.

    Args:
        blocks: of each language, (N, L) token ids with specials.
        tokenizer: the trimmed one.
        size: sequences a batch.
        seed: of the choice and the masking.
        balanced: take the languages in turn, each cut to the number of blocks of the smaller one;
            otherwise a language comes as often as its share of all blocks.
    """

    def __init__(
        self,
        blocks: Mapping[str, Tensor],
        tokenizer: Any,
        size: int,
        seed: int,
        balanced: bool = True,
    ) -> None:
        self.tokenizer, self.size, self.seed, self.balanced = tokenizer, size, seed, balanced
        if balanced:
            count = min(map(len, blocks.values()))
            order = {name: np.random.default_rng([seed, 1]).permutation(len(rows))[:count]
                     for name, rows in blocks.items()}  # fmt: skip
            blocks = {name: rows[torch.from_numpy(order[name])] for name, rows in blocks.items()}
        self.blocks = dict(blocks)

    def language(self, step: int) -> str:
        """The one language of a step."""
        names = list(self.blocks)
        if self.balanced:
            return names[step % len(names)]
        sizes = np.array([len(rows) for rows in self.blocks.values()], dtype=float)
        drawn = np.random.default_rng([self.seed, step, 2]).choice(
            len(names), p=sizes / sizes.sum()
        )
        return names[int(drawn)]

    def __call__(self, step: int) -> Batch:
        language = self.language(step)
        random = np.random.default_rng([self.seed, step])
        rows = self.blocks[language]
        ids = rows[torch.from_numpy(random.integers(len(rows), size=self.size))]
        hidden, _ = mask_tokens(ids, self.tokenizer, self.seed * 1_000_003 + step)
        inputs = {"input_ids": hidden, "attention_mask": torch.ones_like(hidden)}
        # a tensor, since that is what a Trainer moves between devices
        number = torch.tensor(list(self.blocks).index(language))
        return {"inputs": inputs, "language": number}


class GeneralLoss:
    """Hidden and attention distance to the teacher with the batch's language module.

    Args:
        teacher: frozen.
        languages: by the number that a batch gives.
    """

    def __init__(self, teacher: Teacher, languages: list[str]) -> None:
        self.teacher, self.languages = teacher, languages

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        inputs = share(batch["inputs"])
        theirs = self.teacher(inputs, self.languages[int(batch["language"])])
        mine = model(**inputs, output_hidden_states=True, output_attentions=True)
        return alignment(States.of(mine), theirs, inputs["attention_mask"])


@torch.no_grad()
def held_out_loss(model: Any, loss: GeneralLoss, batches: TextBatches, count: int = 4) -> float:
    """The mean loss on the first `count` batches of held-out text, the same masking every time."""
    was_training = model.training
    model.eval()
    values = [float(loss(model, batches(step))) for step in range(count)]
    model.train(was_training)
    return round(sum(values) / len(values), 4)


def text_batches(
    lines: Mapping[str, list[str]], tokenizer: Any, general: General, seed: int
) -> TextBatches:
    """Batches over the lines of each language."""
    rows = {name: blocks(some, tokenizer, general.length) for name, some in lines.items()}
    return TextBatches(rows, tokenizer, general.batch_size, seed, general.balanced)


def align_on_text(
    student: Any,
    teacher: Teacher,
    tokenizer: Any,
    seen: Mapping[str, list[str]],
    held: Mapping[str, list[str]],
    general: General,
    work: Path,
    seed: int,
    resume: bool,
) -> tuple[Any, dict[str, Any]]:
    """All of phase 1, or what is kept of it in `work`.

    Args:
        tokenizer: the trimmed one.
        seen, held: lines of each language to learn from, and to measure the distance on.

    Returns:
        The student's encoder and facts for the card.
    """
    finished, kept = work / "student.safetensors", work / "general.json"
    if not processes.from_main(finished.is_file()):
        made, unseen = (text_batches(lines, tokenizer, general, seed) for lines in (seen, held))
        sequences = {name: len(rows) for name, rows in made.blocks.items()}
        told = ", ".join(f"{count} sequences of {name}" for name, count in sequences.items())
        note(f"phase 1: {told}")
        loss = GeneralLoss(teacher, list(seen))
        before = held_out_loss(student, loss, unseen)
        schedule = Schedule(steps=general.steps, rate=general.rate, seed=seed)
        facts = fit(student, made, loss, schedule, work / "general", resume)
        after = held_out_loss(student.eval(), loss, unseen)
        note(f"phase 1: held-out distance {before} -> {after}")
        distances = {"held-out distance before": before, "held-out distance after": after}
        if processes.is_main():
            _keep(student, {**facts, **distances, "sequences": sequences}, kept, finished)
            shutil.rmtree(work / "general")
    processes.wait()
    student = student.cpu()
    student.load_state_dict(load_file(finished))
    return student.eval(), json.loads(kept.read_text())


def _keep(student: Any, facts: Mapping[str, Any], kept: Path, finished: Path) -> None:
    """The weights last, so that they say that all is there."""
    kept.write_text(json.dumps(facts, indent=1) + "\n")
    weights = {k: v.detach().cpu().contiguous() for k, v in student.state_dict().items()}
    save_file(weights, aside := finished.with_suffix(".part"))
    aside.replace(finished)
