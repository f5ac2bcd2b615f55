"""Cross-encoders as teachers of phase 2: one that is like the base, any other, or several."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polyrank.base import Base
from polyrank.encoders.tokens import position_limit
from polyrank.errors import UsageError
from polyrank.modules.adapter.tensors import Head
from polyrank.modules.full import head_of
from polyrank.rerankers.cross_encoder import read_classifier
from polyrank.rerankers.identity import weights_of
from polyrank.rerankers.mean import averaged
from polyrank.training.distillation.state_alignment import States
from polyrank.training.distillation.vocabulary import trimmed_embeddings
from polyrank.training.loop.steps import Batch


@dataclass(frozen=True, eq=False)
class Judge:
    """A teacher in one piece, and what tells its weights."""

    name: str
    model: Any
    tokenizer: Any
    weights: str


def read_judge(name: str, length: int) -> Judge:
    """A cross-encoder of one logit.

    Args:
        name: a folder or Hub id.
        length: tokens of a pair, which it must be able to read.

    Raises:
        UsageError: its positions are fewer.
        ModuleError, HubError: it is missing, or no such model.
    """
    model, tokenizer = read_classifier(name, attention="eager")
    if length > (longest := position_limit(model.config)):
        raise UsageError(
            f"--pair-length {length} is more than the teacher '{name}' reads: {longest}"
        )
    return Judge(name, model, tokenizer, weights_of(name, model))


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
        scale: what is done to each teacher's scores of a query first, see `averaged`.
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
