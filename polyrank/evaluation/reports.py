"""What an evaluation found, as values, and as a table for a terminal, a paper or a machine."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Comparison:
    """One measure of a run beside a baseline, over the same queries.

    `difference` is run minus baseline, `low` to `high` its 95 % bootstrap interval, `p_value` of
    the two-sided randomisation test, `p_holm` corrected for the report's number of measures;
    `better` and `worse` count queries.
    """

    baseline: float
    difference: float
    low: float
    high: float
    p_value: float
    p_holm: float
    better: int
    worse: int


@dataclass(frozen=True)
class Report:
    """Measures of a run; `print` shows a table.

    Attributes:
        mean: measure → mean over all judged queries.
        per_query: measure → query id → value.
        missing: judged queries that the run lacks; they count 0.
        unjudged: queries of the run without judgements; they are left out.
        comparison: measure → comparison; empty without a baseline.
    """

    mean: dict[str, float]
    per_query: dict[str, dict[str, float]] = field(repr=False)
    missing: list[str] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    comparison: dict[str, Comparison] = field(default_factory=dict)

    @property
    def queries(self) -> int:
        """How many judged queries the means are over."""
        return len(next(iter(self.per_query.values()), {}))

    def __getitem__(self, measure: str) -> float:
        return self.mean[measure]

    def __str__(self) -> str:
        return self.text()

    def rows(self) -> list[list[str]]:
        """Header and body of the table, as text."""
        if not self.comparison:
            return [["measure", "value"], *([m, f"{v:.4f}"] for m, v in self.mean.items())]
        header = ["measure", "value", "baseline", "difference", "95 % interval", "p"]
        several = len(self.mean) > 1
        header += ["p (Holm)"] * several + ["better / worse"]
        body = []
        for name, value in self.mean.items():
            c = self.comparison[name]
            cells = [name, f"{value:.4f}", f"{c.baseline:.4f}", f"{c.difference:+.4f}"]
            cells += [f"[{c.low:+.4f}, {c.high:+.4f}]", f"{c.p_value:.4f}"]
            cells += [f"{c.p_holm:.4f}"] * several + [f"{c.better} / {c.worse}"]
            body.append(cells)
        return [header, *body]

    def notes(self) -> list[str]:
        """How many queries, and which did not take part as a reader would assume."""
        notes = [f"{self.queries} judged queries"]
        if self.missing:
            notes.append(f"{_some(self.missing)} missing from the run, counted as 0")
        if self.unjudged:
            notes.append(f"{_some(self.unjudged)} in the run without judgements, left out")
        return notes

    def text(self) -> str:
        """The table in aligned plain text, notes below."""
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        ]
        return "\n".join([*lines, "", *self.notes()])

    def markdown(self) -> str:
        """The table in Markdown, notes below."""
        header, *body = (f"| {' | '.join(row)} |" for row in self.rows())
        rule = f"|---|{'---:|' * (len(self.rows()[0]) - 1)}"
        return "\n".join([header, rule, *body, "", "; ".join(self.notes())])

    def table(self) -> Table:
        """The table for `rich`."""
        from rich.table import Table

        header, *body = self.rows()
        table = Table(caption="; ".join(self.notes()))
        for i, name in enumerate(header):
            table.add_column(name, justify="right" if i else "left")
        for row in body:
            table.add_row(*(cell.replace("[", r"\[") for cell in row))
        return table

    def to_dict(self) -> dict[str, Any]:
        """Everything, in plain types."""
        return {"queries": self.queries, **asdict(self)}

    def json(self, indent: int | None = 2) -> str:
        """Everything, as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)


def _some(ids: list[str], most: int = 3) -> str:
    """'5 queries (a, b, c, …)'."""
    shown = ", ".join(ids[:most]) + (", …" if len(ids) > most else "")
    return f"{len(ids)} {'query' if len(ids) == 1 else 'queries'} ({shown})"
