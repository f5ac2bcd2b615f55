"""What a ranker learns from: rows with judgements, mined negatives, and teachers' scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.training.examples.forms import AUTO

if TYPE_CHECKING:
    from polyrank.base import Base
    from polyrank.collections.records import Document
    from polyrank.training.examples.negatives import Example
    from polyrank.training.losses import Loss


@dataclass(frozen=True)
class JudgedRows:
    """Rows with judgements, and what is added to them.

    Attributes:
        queries: JSON lines of `_id`, `text`, `pos`, optionally `neg`, `answers`, `pos_score` with
            `neg_scores`; or another project's rows, see `rows.read_rows`.
        passages: JSON lines of `_id`, `title`, `text`, or a .tsv; None where rows carry texts.
        form: of `queries`, 'auto' to recognise it.
        query_texts, columns: of some forms, see `rows.read_rows`.
        source: language of the judgements.
        mine: negatives mined per question from BM25 and as many from the base; 0 for none.
        teachers: cross-encoders whose mean scores are distilled; none to take those in the rows.
        scale: what is done to each teacher's scores of a query first.
    """

    queries: str | Path
    passages: str | Path | None = None
    form: str = AUTO
    query_texts: str | Path | None = None
    columns: Mapping[str, str] | None = None
    source: str = "en"
    mine: int = 4
    teachers: tuple[str, ...] = ()
    scale: str = "raw"

    def check(self, loss: Loss) -> None:
        """Refuse teachers that a loss has no use for.

        Raises:
            UsageError: also an unknown scale, or a teacher twice.
        """
        from polyrank.training.examples.teachers import check_teachers

        check_teachers(self.teachers, self.scale, loss.needs_teacher, loss.name)

    def read(self, scored: bool) -> tuple[list[Example], dict[str, Document]]:
        """Examples and passages.

        Args:
            scored: whether every row must have scores.

        Raises:
            DataError: a malformed row, or one without its passages or scores.
        """
        from polyrank.training.examples.rows import read_rows

        return read_rows(
            self.queries, self.passages, self.form, self.query_texts, self.columns, self.source,
            scored,
        )  # fmt: skip

    @property
    def taught(self) -> dict[str, Any]:
        """What settings and card say of the teachers."""
        if not self.teachers:
            return {}
        return {"teacher": " + ".join(self.teachers), "teacher scale": self.scale}

    def settings(self) -> dict[str, Any]:
        """What a resumed run must have the same."""
        from polyrank.training.examples.rows import existing
        from polyrank.training.loop.steps import digest

        return {
            "source": self.source,
            **self.taught,
            "data": digest(*existing(self.queries, self.passages, self.query_texts)),
            **({"columns": dict(self.columns)} if self.columns else {}),
        }

    def prepared(
        self,
        read: list[Example],
        documents: dict[str, Document],
        base: Base | None,
        work: Path,
        count: int,
        seed: int,
        zoo: str | Path | None = None,
    ) -> list[Example]:
        """`count` of the examples, with negatives and scores; kept in `work` for a resumed run.

        Args:
            base: what mines negatives, and what teachers may share; None where nothing is mined
                and nobody teaches.
        """
        from polyrank.training.examples.negatives import sample
        from polyrank.training.examples.prepared import prepared
        from polyrank.training.loop import processes

        with processes.main_first():
            return prepared(
                sample(read, count, seed), documents, base, work, self.mine, Path(self.queries),
                self.teachers, self.source, zoo, self.scale,
            )  # fmt: skip
