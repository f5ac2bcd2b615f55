"""Phase 2: the student learns to rank as the teacher does, on judgements in the source language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from polyrank.base import load_base
from polyrank.collections.records import Document
from polyrank.modules.full import with_prefixes
from polyrank.modules.storage import PROBE
from polyrank.progress import note
from polyrank.training.distillation.ranking_teacher import RankingTeacher
from polyrank.training.distillation.settings import Task
from polyrank.training.distillation.state_alignment import States, alignment
from polyrank.training.distillation.student import adapter_student, full_student
from polyrank.training.examples.negatives import Example
from polyrank.training.examples.rows import read_rows
from polyrank.training.loop.lottery_ticket import train_sparse
from polyrank.training.loop.precision import full_precision, head_in_fp32
from polyrank.training.loop.steps import Batch, Schedule, fit
from polyrank.training.losses import parse_loss
from polyrank.training.ranking.ranking_batches import Batches


@dataclass(frozen=True, eq=False)
class RankingData:
    """What phase 2 learns from, where it was read from, and whether its scores are the targets."""

    examples: list[Example]
    documents: dict[str, Document]
    source: Path
    scored: bool


def read_ranking_data(
    queries: str | Path,
    passages: str | Path | None,
    rows: str,
    query_texts: str | Path | None,
    columns: Mapping[str, str] | None,
    source: str,
    scored: bool,
) -> RankingData:
    """Rows in any form, see `rows.read_rows`.

    Args:
        scored: whether their scores are the targets; where not, those that are there are dropped,
            and told of.
    """
    examples, documents = read_rows(queries, passages, rows, query_texts, columns, source, scored)
    there = sum(example.teacher is not None for example in examples)
    if there and not scored:
        note(f"the scores in {there} rows are not used, but the teacher's; or give --row-scores")
        examples = [replace(example, teacher=None) for example in examples]
    return RankingData(examples, documents, Path(queries), scored)


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
        mask = batch["mask"]
        with full_precision(mask.device):
            theirs, scores = self.teacher(batch)
        with head_in_fp32(model):
            mine = model(**batch["pairs"], output_hidden_states=True, output_attentions=True)
        with full_precision(mask.device):
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


def learn_ranking(
    student: Any,
    tokenizer: Any,
    teacher: RankingTeacher,
    data: RankingData,
    task: Task,
    name: str,
    work: Path,
    seed: int,
    resume: bool,
) -> tuple[Any, dict[str, Any], list[Batch]]:
    """All of phase 2.

    Args:
        student: its encoder, after phase 1.
        tokenizer: the trimmed one.
        data: whose examples have their negatives.
        name: of a ranking adapter.
        work: where checkpoints are, and the encoder below a ranking adapter, in `student`.

    Returns:
        The model, what the card says of its making, and inputs to compare its precisions over.
    """
    batches = PairBatches(
        data.examples, data.documents, tokenizer, task.batch_queries, task.negatives, task.length,
        seed, teacher.prefixes, others=teacher.tokenizers,
    )  # fmt: skip
    loss = DistilledRankingLoss(teacher.teach, parse_loss(task.loss))
    schedule = Schedule(steps=task.steps, rate=task.peak_rate, warmup=0.1, seed=seed)
    if task.student == "adapter":
        below = work / "student"
        if not (below / "config.json").is_file():
            student.save_pretrained(below)
            tokenizer.save_pretrained(below)
        base = load_base(str(below), attention="eager")
        model = adapter_student(base, name, teacher.head, task.reduction)
    else:
        model = full_student(student, teacher.head, seed)
    if task.student == "mask":
        sparsity, folder = task.sparsity, work / "ranking"
        _, facts = train_sparse(model, batches, loss, schedule, sparsity, folder, resume)
    else:
        facts = fit(model, batches, loss, schedule, work / "ranking", resume)
    recipe = {
        "student": task.student,
        "loss": loss.loss.name,
        "teacher": dict(teacher.origin),
        "queries": len(data.examples),
        **({"targets": "the scores in the rows"} if data.scored else {}),
        **{key: getattr(task, key) for key in ("batch_queries", "negatives", "length", "mine")},
        "rate": schedule.rate,
        **({"prefixes": list(teacher.prefixes)} if any(teacher.prefixes) else {}),
        **({"reduction": task.reduction} if task.student == "adapter" else {}),
        **facts,
    }
    if task.student != "adapter":
        with_prefixes(model.config, teacher.prefixes)
    probe = [batches(task.steps + step)["pairs"] for step in range(PROBE)]
    return model.cpu().eval(), recipe, probe
