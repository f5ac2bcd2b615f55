"""Phase 2: the student learns to rank as the teacher does, on judgements in the source language."""

from __future__ import annotations

import copy
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


class CrossEncoderTeacher:
    """Any cross-encoder of one logit.

    One that was fine-tuned from the student's base, over the same vocabulary and of the same shape,
    gives states and scores; any other gives scores alone, of texts that its own tokenizer reads.
    """

    def __init__(self, model: Any, tokenizer: Any, base: Base, trimmed: Base, kept: list[int]):
        config, like = model.config, base.model.config
        sizes = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads")
        self.aligned = tokenizer.get_vocab() == base.tokenizer.get_vocab() and all(
            getattr(config, name, None) == getattr(like, name) for name in sizes
        )
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
            pairs = batch["teacher_pairs"]
            logits = self.model.to(pairs["input_ids"].device)(**pairs).logits
            return None, logits.float().squeeze(-1)
        pairs = batch["pairs"]
        model = self.model.to(pairs["input_ids"].device)
        output = model(**pairs, output_hidden_states=True, output_attentions=True)
        return States.of(output), output.logits.float().squeeze(-1)


class PairBatches(Batches):
    """Batches of lists as for any ranking module, also encoded for a teacher that reads them its
    own way.

    Args:
        other: that teacher's tokenizer; None where it reads the student's ids.
    """

    def __init__(self, *arguments: Any, other: Any = None) -> None:
        super().__init__(*arguments)
        self._beside = None
        if other is not None:
            examples, passages, _, queries, negatives, length, seed = arguments
            self._beside = Batches(examples, passages, other, queries, negatives, length, seed)

    def __call__(self, step: int) -> Batch:
        batch = super().__call__(step)
        if self._beside is None:
            return batch
        return {**batch, "teacher_pairs": self._beside(step)["pairs"]}


class DistilledRankingLoss:
    """Hidden + attention distance + a score loss, with weight 1 each.

    Args:
        teacher: gives states (or None) and scores of a batch.
        loss: of (scores, teacher scores, mask), each (B, N).
    """

    def __init__(self, teacher: Any, loss: Any) -> None:
        self.teacher, self.loss = teacher, loss

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        theirs, targets = self.teacher(batch)
        mine = model(**batch["pairs"], output_hidden_states=True, output_attentions=True)
        mask = batch["mask"]
        total = self.loss(
            _lists(mine.logits.float().squeeze(-1), mask), _lists(targets, mask), mask
        )
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
