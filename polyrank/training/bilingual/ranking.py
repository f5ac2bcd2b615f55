"""Phase 2: the student learns to rank as the teacher does, on judgements in the source language."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from polyrank.base import Base
from polyrank.merge import classifier
from polyrank.modules.adapter import Head
from polyrank.modules.full import head_of
from polyrank.training.bilingual.alignment import States, alignment
from polyrank.training.bilingual.teacher import Teacher
from polyrank.training.bilingual.vocabulary import trimmed_embeddings
from polyrank.training.ranking import Batches
from polyrank.training.stack import adapter_stack
from polyrank.training.steps import Batch
from polyrank.training.teachers import averaged

_ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, None: lambda x: x}


def head_scores(hidden: Tensor, head: Head) -> Tensor:
    """(B, L, H) last states → (B,) scores by a head over the first token."""
    x = hidden[:, 0].float()
    for weight, bias in head.layers[:-1]:
        x = _ACTIVATIONS[head.activation](nn.functional.linear(x, weight, bias))
    return nn.functional.linear(x, *head.layers[-1]).squeeze(-1)


class ModularTeacher:
    """Base, source-language module and ranking module: states and scores of a batch."""

    def __init__(self, teacher: Teacher, head: Head, language: str) -> None:
        self.teacher, self.language = teacher, language
        self.head = Head(
            tuple((w.float(), None if b is None else b.float()) for w, b in head.layers),
            head.activation,
        )

    def __call__(self, batch: Batch) -> tuple[States | None, Tensor]:
        states = self.teacher(batch["pairs"], self.language)
        device = batch["pairs"]["input_ids"].device
        head = Head(
            tuple((w.to(device), None if b is None else b.to(device)) for w, b in self.head.layers),
            self.head.activation,
        )
        return states, head_scores(states.hidden[-1], head)


def is_aligned(model: Any, tokenizer: Any, base: Base) -> bool:
    """Whether a cross-encoder has the vocabulary and the shape of the base."""
    config, like = model.config, base.model.config
    sizes = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads")
    same = all(getattr(config, name, None) == getattr(like, name) for name in sizes)
    return same and tokenizer.get_vocab() == base.tokenizer.get_vocab()


class CrossEncoderTeacher:
    """Any cross-encoder of one logit.

    One that was fine-tuned from the student's base, over the same vocabulary and of the same shape,
    gives states and scores; any other gives scores alone, of texts that its own tokenizer reads.

    Args:
        name: under which a batch has the pairs for its tokenizer.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Any,
        base: Base,
        trimmed: Base,
        kept: list[int],
    ) -> None:
        self.name, self.aligned = name, is_aligned(model, tokenizer, base)
        self.tokenizer = None if self.aligned else tokenizer
        if self.aligned:
            model = copy.deepcopy(model)
            pad = trimmed.tokenizer.pad_token_id
            model.base_model.set_input_embeddings(trimmed_embeddings(model, kept, pad))
        self.model = model.eval().requires_grad_(False)

    @property
    def head(self) -> Head | None:
        """Its head where a student of this base can start from it."""
        return head_of(self.model) if self.aligned else None

    @torch.no_grad()
    def __call__(self, batch: Batch) -> tuple[States | None, Tensor]:
        if not self.aligned:
            pairs = batch["teacher_pairs"][self.name]
            logits = self.model.to(pairs["input_ids"].device)(**pairs).logits
            return None, logits.float().squeeze(-1)
        pairs = batch["pairs"]
        model = self.model.to(pairs["input_ids"].device)
        output = model(**pairs, output_hidden_states=True, output_attentions=True)
        return States.of(output), output.logits.float().squeeze(-1)


class MeanTeacher:
    """Several teachers: the mean of their scores, and the states of the first that gives some.

    Args:
        scale: what is done to each teacher's scores of a query first, see `teachers.averaged`.
    """

    def __init__(self, teachers: Sequence[CrossEncoderTeacher], scale: str) -> None:
        self.teachers, self.scale = teachers, scale

    def __call__(self, batch: Batch) -> tuple[States | None, Tensor]:
        found = [teacher(batch) for teacher in self.teachers]
        states = next((states for states, _ in found if states is not None), None)
        queries = batch["mask"].sum(dim=1).tolist()  # candidates of each
        columns = [scores.split(queries) for _, scores in found]
        means = [
            averaged([column[q].tolist() for column in columns], self.scale)
            for q in range(len(queries))
        ]
        flat = [value for mean in means for value in mean]
        return states, torch.tensor(flat, device=found[0][1].device)


class PairBatches(Batches):
    """Batches of lists as for any ranking module, also encoded for teachers that read them their
    own way.

    Args:
        others: the tokenizers of those teachers, by name.
    """

    def __init__(self, *arguments: Any, others: Mapping[str, Any]) -> None:
        super().__init__(*arguments)
        examples, passages, _, *rest = arguments
        self._beside = {
            name: Batches(examples, passages, own, *rest) for name, own in others.items()
        }

    def __call__(self, step: int) -> Batch:
        batch = super().__call__(step)
        if not self._beside:
            return batch
        pairs = {name: own(step)["pairs"] for name, own in self._beside.items()}
        return {**batch, "teacher_pairs": pairs}


class DistilledRankingLoss:
    """Hidden + attention distance + a score loss, with weight 1 each.

    Args:
        teacher: gives states (or None) and scores of a batch; where a batch brings scores of its
            rows, those are the targets.
        loss: of (scores, teacher scores, mask), each (B, N).
    """

    def __init__(self, teacher: Any, loss: Any) -> None:
        self.teacher, self.loss = teacher, loss

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        theirs, scores = self.teacher(batch)
        mine = model(**batch["pairs"], output_hidden_states=True, output_attentions=True)
        mask = batch["mask"]
        targets = batch["teacher"] if "teacher" in batch else _lists(scores, mask)
        total = self.loss(_lists(mine.logits.float().squeeze(-1), mask), targets, mask)
        if theirs is not None:
            attended = batch["pairs"]["attention_mask"]
            total = total + alignment(States.of(mine), theirs, attended)
        result: Tensor = total
        return result


def _lists(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores in row order, without gaps, as (B, N)."""
    lists = scores.new_zeros(mask.shape)
    lists[mask] = scores
    return lists


# --- the student's form ----------------------------------------------------------------------


def full_student(encoder: Any, head: Head | None, seed: int) -> Any:
    """A sequence classifier over the student: from the teacher's head where it fits, else a new
    one."""
    torch.manual_seed(seed)
    model = classifier(encoder, head if _fits(head, encoder) else None)
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return model


def adapter_student(base: Base, name: str, head: Head | None, reduction: int) -> Any:
    """A new ranking adapter over the student, which stays as it is.

    Args:
        base: the student, saved in a folder.
    """
    model = adapter_stack(base, None, name, reduction)
    model.add_classification_head(name, num_labels=1, layers=2)
    if head is not None and _fits(head, base.model):
        linears = [part for part in model.heads[name] if isinstance(part, nn.Linear)]
        _fill(linears, head)
    return model


def _fits(head: Head | None, encoder: Any) -> bool:
    width = encoder.config.hidden_size
    return (
        head is not None
        and head.activation == "tanh"
        and [tuple(weight.shape) for weight, _ in head.layers] == [(width, width), (1, width)]
    )


@torch.no_grad()
def _fill(linears: Any, head: Head) -> None:
    for linear, (weight, bias) in zip(linears, head.layers, strict=True):
        linear.weight.copy_(weight)
        linear.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)
