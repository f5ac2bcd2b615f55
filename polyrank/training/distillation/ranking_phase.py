"""Phase 2: the student learns to rank as the teacher does, on judgements in the source language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from polyrank.collections.records import Document
from polyrank.progress import note
from polyrank.training.distillation.ranking_teacher import RankingTeacher
from polyrank.training.distillation.recipe import Task
from polyrank.training.distillation.state_alignment import States, alignment
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.examples.negatives import Example
from polyrank.training.kinds import part_of
from polyrank.training.kinds.contract import STUDENT, StudentGround
from polyrank.training.loop.precision import full_precision, head_in_fp32
from polyrank.training.loop.processes import gather
from polyrank.training.loop.run import Lesson
from polyrank.training.loop.steps import Batch, Schedule
from polyrank.training.losses import parse_loss
from polyrank.training.ranking.ranking_batches import Batches
from polyrank.training.ranking.ranking_loss import as_lists, own_lists


@dataclass(frozen=True, eq=False)
class RankingData:
    """What phase 2 learns from, and whether its scores are the targets."""

    examples: list[Example]
    documents: dict[str, Document]
    scored: bool


def read_ranking_data(rows: JudgedRows, scored: bool) -> RankingData:
    """Rows in any form, see `rows.read_rows`.

    Args:
        scored: whether their scores are the targets; where not, those that are there are dropped,
            and told of.
    """
    examples, documents = rows.read(scored)
    there = sum(example.teacher is not None for example in examples)
    if there and not scored:
        note(f"the scores in {there} rows are not used, but the teacher's; or give --row-scores")
        examples = [replace(example, teacher=None) for example in examples]
    return RankingData(examples, documents, scored)


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

    Under autocast the student's encoder alone computes in bf16; both sides' scores are fp32.

    Args:
        teacher: gives states (or None) and scores of a batch; where a batch brings scores of its
            rows, those are the targets.
        loss: of (scores, teacher scores, mask), each (B, N).
    """

    def __init__(self, teacher: Any, loss: Any) -> None:
        self.teacher, self.loss = teacher, loss

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        own, mask = own_lists(batch), batch["mask"]
        with full_precision(mask.device):
            theirs, scores = self.teacher(own)
        with head_in_fp32(model):
            mine = model(**own["pairs"], output_hidden_states=True, output_attentions=True)
        with full_precision(mask.device):
            lists = gather(as_lists(mine.logits.float().squeeze(-1), own["mask"]))  # (B, N)
            if "teacher" in batch:
                targets = batch["teacher"]
            else:
                targets = gather(as_lists(scores, own["mask"]))
            total = self.loss(lists, targets, mask)
            if theirs is not None:
                attended = own["pairs"]["attention_mask"]
                total = total + alignment(States.of(mine), theirs, attended)
        result: Tensor = total
        return result


def ranking_lesson(
    data: RankingData, teacher: RankingTeacher, ground: StudentGround, task: Task
) -> Lesson:
    """What phase 2 trains, and with what.

    Args:
        data: whose examples have their negatives.
        ground: of the student.
    """
    batches = PairBatches(
        data.examples, data.documents, ground.base.tokenizer, task.batch_queries, task.negatives,
        task.length, ground.seed, teacher.prefixes, others=teacher.tokenizers,
    )  # fmt: skip
    loss = DistilledRankingLoss(teacher.teach, parse_loss(task.loss))
    schedule = Schedule(steps=task.steps, rate=task.peak_rate, warmup=0.1, seed=ground.seed)
    part = part_of(task.student, STUDENT)
    return Lesson(
        part.build(ground), batches, loss, schedule, part, ground,
        folder="ranking", checkpoints="ranking",
    )  # fmt: skip
