"""What a user chooses about both phases, and which choices do not go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polyrank.errors import UsageError
from polyrank.languages import tags
from polyrank.training.loop.lottery_ticket import Sparsity

STUDENTS = ("full", "mask", "adapter")
RATES = {"full": 3e-4, "mask": 1e-4, "adapter": 5e-4}  # full: chosen on SQuAD dev; others not
SPARSE = Sparsity(k=0.08, candidates="encoder")  # density as published

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
    reduction: int = 2
    sparsity: Sparsity = SPARSE

    @property
    def peak_rate(self) -> float:
        """The rate, or the usual one of that student."""
        return RATES[self.student] if self.rate is None else self.rate


def check_options(source: str, target: str, kind: str, student: str) -> None:
    """Refuse languages, modules or a student that there cannot be.

    Raises:
        UsageError: it says which.
    """
    if source == target:
        raise UsageError(f"source and target are both '{source}'; give two languages")
    if kind not in ("adapter", "mask"):
        raise UsageError(f"the teacher's modules are adapters or masks, not '{kind}'")
    if student not in STUDENTS:
        raise UsageError(f"a student is one of {', '.join(STUDENTS)}, not '{student}'")


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
        UsageError: texts of other languages.
    """
    if isinstance(texts, Mapping):
        given = {tags.normalise(tag): Path(path) for tag, path in texts.items()}
    else:
        given = dict(zip((source, target), map(Path, texts), strict=len(texts) == 2))
    if set(given) != {source, target}:
        raise UsageError(
            f"texts are of {', '.join(sorted(given))}; give one of '{source}' and one of '{target}'"
        )
    return {source: given[source], target: given[target]}
