"""What a language model learns from: prompts, the answers to imitate, and the logits to read.

A batch is flat: every prompt with its answer is a row, whatever question it belongs to.

    ids, attended   (S, L)  prompt, then answer, padded on the right
    answered        (S, L)  True where a token is one that the model is to say
    ends            (S,)    tokens of each prompt
    question        (S,)    which question of the batch a row is about
    readings        (R, 4)  row, column, token, token to subtract or −1; one a score
    mask            (B, N)  which candidates exist
    taught          (B,)    which questions have scores of a teacher
    teacher         (B, N)  those scores; 0 elsewhere
    stage           ()      which loss of the recipe
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polyrank.training.loop import processes
from polyrank.training.loop.steps import Batch

Ids = tuple[int, ...]
NONE = -1  # no token to subtract


@dataclass(frozen=True)
class Reading:
    """A candidate's score: the logit of `token` right after the prompt, less that of `minus`.

    column: the candidate's place in the question's list, the positive's being 0.
    """

    column: int
    token: int
    minus: int | None = None


@dataclass(frozen=True)
class Sample:
    """A prompt, and what the model learns after it.

    answer: to imitate; none where empty. readings: the scores that are read.
    shown, names: the places of the documents in the question's list, in the order of the prompt,
        and what the prompt calls them.
    text: the prompt before it became tokens.
    """

    prompt: Ids
    answer: Ids = ()
    readings: tuple[Reading, ...] = ()
    shown: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    text: str = ""


def collated(questions: Sequence[Sequence[Sample]], pad: int) -> dict[str, Tensor]:
    """The samples of a batch's questions as tensors: the first six of the batch."""
    rows = [sample for samples in questions for sample in samples]
    length = max(len(row.prompt) + len(row.answer) for row in rows)
    ids = torch.full((len(rows), length), pad)
    attended = torch.zeros(len(rows), length, dtype=torch.int64)
    answered = torch.zeros(len(rows), length, dtype=torch.bool)
    for place, row in enumerate(rows):
        begin, end = len(row.prompt), len(row.prompt) + len(row.answer)
        ids[place, :end] = torch.tensor((*row.prompt, *row.answer))
        attended[place, :end] = 1
        answered[place, begin:end] = True
    readings = [
        (place, reading.column, reading.token, NONE if reading.minus is None else reading.minus)
        for place, row in enumerate(rows)
        for reading in row.readings
    ]
    owners = [place for place, samples in enumerate(questions) for _ in samples]
    return {
        "ids": ids,
        "attended": attended,
        "answered": answered,
        "ends": torch.tensor([len(row.prompt) for row in rows]),
        "question": torch.tensor(owners),
        "readings": torch.tensor(readings, dtype=torch.int64).reshape(-1, 4),
    }


def own_questions(batch: Batch) -> Batch:
    """The rows of this process's share of the questions."""
    if not processes.together():
        return batch
    first, last = processes.bounds(len(batch["mask"]))
    mine = (batch["question"] >= first) & (batch["question"] < last)  # (S,)
    new_place = mine.cumsum(0) - 1
    readings = batch["readings"][mine[batch["readings"][:, 0]]].clone()
    readings[:, 0] = new_place[readings[:, 0]]
    own = {name: batch[name][mine] for name in ("ids", "attended", "answered", "ends")}
    question = batch["question"][mine] - first
    return {**own, "question": question, "readings": readings, "mask": batch["mask"][first:last]}
