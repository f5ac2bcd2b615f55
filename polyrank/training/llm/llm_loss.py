"""The loss of a language model that learns to rank: of its scores as lists, and of its answers.

    L = γ · CE(answers) + L_rank(scores, teacher)

as in FIRST (arXiv 2406.15657, eq. 4) and Prism (arXiv 2604.23734); either part may be absent. The
weight λ of the second is written into the loss: `10*weighted_ranknet`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from polyrank.training.llm.sample import NONE, own_questions
from polyrank.training.loop import processes
from polyrank.training.loop.precision import full_precision
from polyrank.training.loop.steps import Batch
from polyrank.training.losses import Loss


class LLMLoss:
    """Of one batch, see `sample`.

    Args:
        stages: the loss of scores at each stage; None where scores are not compared.
        generation: γ, the weight of imitating answers; 0 for not at all.
    """

    def __init__(self, stages: Sequence[Loss | None], generation: float) -> None:
        self.stages, self.generation = tuple(stages), generation

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        ranking = self.stages[int(batch["stage"])]
        own = own_questions(batch)
        read = _read_places(own) if ranking is not None else torch.zeros_like(own["answered"])
        said = _said_from(own["answered"]) if self.generation else torch.zeros_like(read)
        logits, place = logits_at(model, own["ids"], own["attended"], read | said)
        total = logits.new_zeros(())
        with full_precision(logits.device):
            if ranking is not None:
                lists = processes.gather(_scores(own, logits, place))  # (B, N)
                total = total + _ranking_loss(ranking, lists, batch)
            if self.generation:
                total = total + self.generation * _imitation(own, logits, place, said)
        return total


def logits_at(model: Any, ids: Tensor, attended: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The next token's logits at some positions only: the output matrix is most of a small model.

    Args:
        ids, attended: (S, L).
        wanted: True where logits are needed, (S, L).

    Returns:
        logits (K, V) in fp32, and where in them each position stands, (S, L).
    """
    with _only(model, wanted):
        logits = model(input_ids=ids, attention_mask=attended, use_cache=False).logits
    place = (wanted.flatten().cumsum(0) - 1).reshape(wanted.shape)
    return logits.float(), place


@contextmanager
def _only(model: Any, wanted: Tensor) -> Iterator[None]:
    """Inside, the model's output layer reads only the wanted positions, in fp32."""
    head = getattr(model, "module", model).get_output_embeddings()
    head.forward = partial(_head_at, head, wanted)
    try:
        yield
    finally:
        del head.forward


def _head_at(head: nn.Linear, wanted: Tensor, hidden: Tensor) -> Tensor:
    with full_precision(hidden.device):
        picked = hidden[wanted].float()  # (K, D)
        bias = None if head.bias is None else head.bias.float()
        return F.linear(picked, head.weight.float(), bias)


def _read_places(batch: Batch) -> Tensor:
    """The last position of each prompt that scores are read after, (S, L)."""
    places = torch.zeros_like(batch["answered"])
    rows = batch["readings"][:, 0]
    places[rows, batch["ends"][rows] - 1] = True
    return places


def _said_from(answered: Tensor) -> Tensor:
    """The positions before those of the answer, from which its tokens are said, (S, L)."""
    return F.pad(answered[:, 1:], (0, 1))


def _scores(batch: Batch, logits: Tensor, place: Tensor) -> Tensor:
    """The scores of candidates as lists, (B, N); 0 where none is read."""
    row, column, token, minus = batch["readings"].unbind(1)  # (R,) each
    at = place[row, batch["ends"][row] - 1]
    values = logits[at, token]
    values = values - torch.where(minus == NONE, 0.0, logits[at, minus.clamp(min=0)])
    lists = logits.new_zeros(batch["mask"].shape)
    return lists.index_put((batch["question"][row], column), values)


def _ranking_loss(loss: Loss, lists: Tensor, batch: Batch) -> Tensor:
    """The loss of the lists; of those with a teacher's scores alone, where it compares with them.

    Every reading of a batch has its loss: an objective that reads only some candidates of a
    question says so in the mask.
    """
    if not loss.needs_teacher:
        return loss(lists, None, batch["mask"])
    taught = batch["taught"]
    if not taught.any():
        return lists.sum() * 0.0
    return loss(lists[taught], batch["teacher"][taught], batch["mask"][taught])


def _imitation(batch: Batch, logits: Tensor, place: Tensor, said: Tensor) -> Tensor:
    """Cross-entropy of the answers' tokens, the mean over those of all processes."""
    targets = batch["ids"][batch["answered"]]  # (T,), in the order of `said`
    if not len(targets):
        return processes.shared_mean(logits.sum() * 0.0, 0)
    mean = F.cross_entropy(logits[place[said]], targets)
    return processes.shared_mean(mean, len(targets))
