"""How a pair of languages is distilled: both phases, and which choices do not go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyrank.errors import UsageError
from polyrank.languages import tags
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.kinds import part_of, teaching_kinds
from polyrank.training.kinds.adapter import RANKING_REDUCTION
from polyrank.training.kinds.contract import STUDENT, Shape
from polyrank.training.loop.sparsity import DISTILLED, Sparsity

LEAST = 1e-6  # unigram probability, as published

Texts = Mapping[str, str | Path] | Sequence[str | Path]


@dataclass(frozen=True)
class General:
    """Phase 1.

    steps, batch_size, length, rate: optimizer steps, sequences a step, tokens a sequence, peak
    learning rate. balanced: cut both texts to the smaller one's number of sequences, and take the
    languages in turn.
    """

    steps: int = 600
    batch_size: int = 16
    length: int = 96
    rate: float = 5e-4
    balanced: bool = True


@dataclass(frozen=True)
class Task:
    """Phase 2.

    student: what is trained: 'full' (all parameters), 'mask' (LT-SFT) or 'adapter'.
    loss: of the scores, by name; 'soft_cross_entropy' alone is the paper's. steps, batch_queries,
    negatives, length, rate, mine: as for a ranking module. reduction: of an adapter. sparsity: of
    a mask.
    """

    student: str = "full"
    loss: str = "soft_cross_entropy+0.2*margin_mse"
    steps: int = 400
    batch_queries: int = 8
    negatives: int = 3
    length: int = 160
    rate: float | None = None
    mine: int = 4
    reduction: int = RANKING_REDUCTION
    sparsity: Sparsity = DISTILLED

    @property
    def peak_rate(self) -> float:
        """The rate, or the usual one of that student."""
        return part_of(self.student, STUDENT).rate if self.rate is None else self.rate

    @property
    def shape(self) -> Shape:
        """The options that only some students read."""
        return Shape(self.reduction, self.sparsity)


@dataclass(frozen=True)
class DistillationRecipe:
    """The options of `distill_bilingual`, which explains them, checked.

    Attributes:
        source, target: normalised.
        texts: language → its file, the source first.
        rows: ranking data; None to end after phase 1.

    Raises:
        UsageError: languages, modules, a student or a loss that there cannot be.
    """

    base: str
    source: str
    target: str
    texts: Mapping[str, Path]
    rows: JudgedRows | None = None
    ranking: str = "squad"
    teachers: tuple[str, ...] = ()
    scale: str = JudgedRows.scale
    row_scores: bool = False
    kind: str = "adapter"
    fallback: str = "error"
    factor: int = 2
    layers: str = "regular"
    min_probability: float = LEAST
    general: General = General()
    task: Task = Task()
    seed: int = 13

    def __post_init__(self) -> None:
        from polyrank.training.examples.teachers import check_teachers
        from polyrank.training.losses import parse_loss

        if self.kind not in teaching_kinds():
            named = " or ".join(f"{kind}s" for kind in teaching_kinds())
            raise UsageError(f"the teacher's modules are {named}, not '{self.kind}'")
        check_probability(self.min_probability)
        part_of(self.task.student, STUDENT)
        parse_loss(self.task.loss)
        check_teachers(self.teachers, self.scale, True, self.task.loss)


def check_probability(least: float) -> None:
    """Raise UsageError for a least probability of entries that are kept that is none."""
    if not 0 <= least < 1:
        raise UsageError(f"--min-probability is {least}; give a number from 0 to below 1")


def check_phase_2(given: bool, others: bool, row_scores: bool, scale: str) -> None:
    """Refuse options of phase 2 that would be ignored.

    Args:
        given: whether there are ranking data.
        others: whether there is any option beside them.

    Raises:
        UsageError: it says which.
    """
    if others and not given:
        raise UsageError(
            "--passages, --query-texts, --columns, --teacher, --teacher-scale and --row-scores go "
            "with --queries; without it phase 2 is left out"
        )
    if row_scores and scale != "raw":
        raise UsageError("--row-scores takes the scores in the rows; leave out --teacher-scale")


def by_language(texts: Texts, source: str, target: str) -> dict[str, Path]:
    """Language → its text, the source first.

    Raises:
        UsageError: one language twice, or texts of other languages.
    """
    if source == target:
        raise UsageError(f"source and target are both '{source}'; give two languages")
    if isinstance(texts, Mapping):
        given = {tags.normalise(tag): Path(path) for tag, path in texts.items()}
    else:
        given = dict(zip((source, target), map(Path, texts), strict=len(texts) == 2))
    if set(given) != {source, target}:
        raise UsageError(
            f"texts are of {', '.join(sorted(given))}; give one of '{source}' and one of '{target}'"
        )
    return {source: given[source], target: given[target]}
