"""What a comparison of runs found, as values, and as a table for a terminal, a paper, a machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from polyrank.evaluation.by_language import Languages
from polyrank.evaluation.text_tables import aligned, latex, markdown, shown

if TYPE_CHECKING:
    from polyrank.evaluation.comparing import Settings


@dataclass(frozen=True)
class Contrast:
    """One run against the baseline, on one measure, in one group of languages.

    Attributes:
        queries, units: how many queries were compared, and observations after averaging topics.
        value, baseline_value: means over units.
        low, high: ends of the bootstrap interval of the difference.
        p_value, p_corrected: of the test, alone and corrected over the table.
        effect: Cohen's d for paired values; None where it has no value.
        better, worse: units where the run is above, below the baseline; the others are equal.
    """

    languages: Languages
    measure: str
    system: str
    baseline: str
    queries: int
    units: int
    value: float
    baseline_value: float
    low: float
    high: float
    p_value: float
    p_corrected: float
    effect: float | None
    better: int
    worse: int

    @property
    def difference(self) -> float:
        """Run minus baseline."""
        return self.value - self.baseline_value


@dataclass(frozen=True)
class Comparisons:
    """All contrasts of a comparison.

    Attributes:
        left_out: judged queries that no compared run has, or not all of them.
    """

    rows: tuple[Contrast, ...]
    baseline: str
    settings: Settings
    left_out: int = 0

    def __str__(self) -> str:
        return self.text()

    def cells(self) -> list[list[str]]:
        """Header and body of the table, as text."""
        grouped = any(row.languages != Languages() for row in self.rows)
        correction = self.settings.correction
        header = ["languages"] * grouped + ["measure", "run", "value", "baseline", "difference"]
        header += [f"{self.settings.confidence * 100:g} % interval", "p"]
        header += [f"p ({correction})"] * (correction != "none")
        header += ["d", "better / worse", f"{self.settings.unit_plural}"]
        body = []
        for r in self.rows:
            cells = [str(r.languages)] * grouped + [r.measure, r.system]
            cells += [f"{r.value:.4f}", f"{r.baseline_value:.4f}", f"{r.difference:+.4f}"]
            cells += [f"[{r.low:+.4f}, {r.high:+.4f}]", f"{r.p_value:.4f}"]
            cells += [f"{r.p_corrected:.4f}"] * (correction != "none")
            share = f"{r.better / r.units:.0%} / {r.worse / r.units:.0%}"
            body.append([*cells, shown(r.effect, "+.2f"), share, str(r.units)])
        return [header, *body]

    def notes(self) -> list[str]:
        """What the figures are of, and what was left out."""
        s = self.settings
        test = "paired randomisation test" if s.test == "randomisation" else "paired t-test"
        notes = [f"against {self.baseline}; {test}, two-sided, seed {s.seed}"]
        if s.correction != "none":
            notes.append(
                f"{s.correction.capitalize()} over the {len(self.rows)} tests of the table"
            )
        averaged = sum(r.queries for r in self.rows) > sum(r.units for r in self.rows)
        if averaged:
            notes.append(
                "a topic asked in several languages is one observation, its mean over them"
            )
        if self.left_out:
            have = "not every run has" if s.missing == "intersect" else "no run has"
            notes.append(f"{self.left_out} judged queries that {have}, left out")
        if s.missing == "zero":
            notes.append("a query that a run lacks counts 0")
        sizes: dict[tuple[Languages, str], set[int]] = {}
        for r in self.rows:
            sizes.setdefault((r.languages, r.system), set()).add(r.queries)
        if any(len(row) > 1 for row in sizes.values()):
            notes.append("a measure that is undefined for a query of either run leaves it out")
        return notes

    def text(self) -> str:
        """The table in aligned plain text, notes below."""
        return "\n".join([*aligned(self.cells()), "", *self.notes()])

    def markdown(self) -> str:
        """The table in Markdown, notes below."""
        return "\n".join([*markdown(self.cells()), "", "; ".join(self.notes())])

    def latex(self) -> str:
        """A tabular of `booktabs`, notes as comments."""
        return "\n".join([*(f"% {note}" for note in self.notes()), *latex(self.cells())])

    def to_dict(self) -> dict[str, Any]:
        """Everything, in plain types."""
        rows = [
            {
                "query_language": row.languages.query,
                "document_language": row.languages.document,
                **{k: v for k, v in asdict(row).items() if k != "languages"},
                "difference": row.difference,
            }
            for row in self.rows
        ]
        return {
            "baseline": self.baseline,
            "settings": asdict(self.settings),
            "left_out": self.left_out,
            "rows": rows,
            "notes": self.notes(),
        }

    def json(self, indent: int | None = 2) -> str:
        """Everything, as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)

    def significant(self, level: float = 0.05) -> Sequence[Contrast]:
        """The contrasts whose corrected p-value is at most `level`."""
        return [row for row in self.rows if row.p_corrected <= level]
