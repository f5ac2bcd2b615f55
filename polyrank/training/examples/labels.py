"""Labels without people: training rows whose scores are those of rerankers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polyrank.base import DEFAULT_BASE, load_base
from polyrank.collections.files import writing
from polyrank.collections.records import Document
from polyrank.errors import DataError, UsageError
from polyrank.rerankers.mean import averaged
from polyrank.training.examples.label_forms import FORMS, joined_ranks
from polyrank.training.examples.negatives import Example, row_of, sample
from polyrank.training.examples.teachers import check_teachers, columns_of, identities_of

MEAN, RANKS = "mean", "ranks"


@dataclass(frozen=True)
class Labelling:
    """How scores become labels.

    Attributes:
        teachers: names, see `teachers`; also 'bm25' and 'dense'.
        form: a name of `FORMS`.
        join: 'mean' of the teachers' scores, or 'ranks': of two, the one that judges passages one
            by one first, their joined ranks.
        scale: for a mean, what is done to each teacher's scores of a question first.
        beta: for joined ranks, the weight of the first teacher.

    Raises:
        UsageError: values that do not fit together.
    """

    teachers: tuple[str, ...]
    form: str = "scores"
    join: str = MEAN
    scale: str = "raw"
    beta: float = 0.5

    def __post_init__(self) -> None:
        if self.join == RANKS and len(self.teachers) != 2:
            raise UsageError(
                "--join ranks takes two teachers: first one that judges passages one by one, then "
                f"one that sees the list; {len(self.teachers)} given"
            )
        if not 0 <= self.beta <= 1:
            raise UsageError(f"beta is {self.beta:g}; give a weight from 0 to 1")
        check_teachers(self.teachers, self.scale, True, self.form)

    def joined(self, columns: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
        """One question's scores from those of the teachers."""
        if self.join == RANKS:
            point, listed = columns
            return joined_ranks(point, listed, self.beta)
        return averaged(columns, self.scale)


def write_labels(
    examples: Sequence[Example],
    passages: Mapping[str, Document],
    labelling: Labelling,
    source: str,
    output: Path,
    count: int | None = None,
    seed: int = 13,
    zoo: str | Path | None = None,
) -> int:
    """Score the candidates of rows, and write them as training rows.

    Each teacher's scores are kept in `<output>.work` until the end, so that a stopped run goes on.
    Every row says in `labelled_by` which teachers it is from, with what their scores depend on.

    Args:
        examples: rows, whose own scores are replaced.
        passages: id → passage.
        source: language of the rows.
        count: of rows, drawn by the seed; None for all.

    Returns:
        The number of rows.

    Raises:
        DataError: no rows.
        ModuleError, UsageError: a teacher that cannot be loaded, or other weights than those that
            the kept scores are from.
    """
    chosen = list(examples) if count is None else sample(examples, count, seed)
    if not chosen:
        raise DataError(output, None, "there are no rows to label")
    work = Path(f"{output}.work")
    work.mkdir(parents=True, exist_ok=True)
    base, plain = load_base(DEFAULT_BASE), [replace(each, teacher=None) for each in chosen]
    columns = columns_of(labelling.teachers, plain, dict(passages), base, work, source, zoo)
    joined = [labelling.joined(each) for each in zip(*columns, strict=True)]
    by = {
        "form": labelling.form,
        "join": labelling.join,
        "teachers": identities_of(work, len(labelling.teachers)),
    }
    with writing(output) as file:
        for example, scores in zip(plain, FORMS[labelling.form](joined), strict=True):
            row = {**row_of(replace(example, teacher=scores)), "labelled_by": by}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    for cache in work.iterdir():
        cache.unlink()
    work.rmdir()
    return len(chosen)
