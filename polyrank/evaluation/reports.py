"""What an evaluation found, as values, and as a table for a terminal, a paper or a machine."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Any

from polyrank.evaluation.text_tables import aligned, markdown, shown

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Comparison:
    """One measure of a run beside a baseline, over the same queries.

    `difference` is run minus baseline, `low` to `high` its 95 % bootstrap interval, `p_value` of
    the two-sided randomisation test, `p_holm` corrected for the report's number of measures;
    `better` and `worse` count queries; `queries` is how many were compared: those where both runs
    define the measure.
    """

    baseline: float
    difference: float
    low: float
    high: float
    p_value: float
    p_holm: float
    better: int
    worse: int
    queries: int


@dataclass(frozen=True)
class Report:
    """Measures of a run; `print` shows a table.

    Attributes:
        mean: measure → mean over all judged queries.
        per_query: measure → query id → value.
        missing: judged queries that the run lacks; they count 0.
        unjudged: queries of the run without judgements; they are left out.
        comparison: measure → comparison; empty without a baseline.
        undefined: measure → judged queries for which it is undefined; its mean is over the others.
        left_out: judged queries that were left out because a run lacks them, as was asked.
        found: whether any ranked document is judged; where not, the ids may not fit.
    """

    mean: dict[str, float]
    per_query: dict[str, dict[str, float]] = field(repr=False)
    missing: list[str] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    comparison: dict[str, Comparison] = field(default_factory=dict)
    undefined: dict[str, list[str]] = field(default_factory=dict)
    found: bool = True
    left_out: int = 0

    @property
    def queries(self) -> int:
        """How many judged queries there are; each mean is over those where it is defined."""
        for name, values in self.per_query.items():
            return len(values) + len(self.undefined.get(name, ()))
        return 0

    def __getitem__(self, measure: str) -> float:
        return self.mean[measure]

    def __str__(self) -> str:
        return self.text()

    def rows(self) -> list[list[str]]:
        """Header and body of the table, as text."""
        if not self.comparison:
            return [["measure", "value"], *([m, shown(v)] for m, v in self.mean.items())]
        header = ["measure", "value", "baseline", "difference", "95 % interval", "p"]
        several = len(self.mean) > 1
        header += ["p (Holm)"] * several + ["better / worse"]
        body = []
        for name, value in self.mean.items():
            c = self.comparison[name]
            cells = [name, shown(value), f"{c.baseline:.4f}", f"{c.difference:+.4f}"]
            cells += [f"[{c.low:+.4f}, {c.high:+.4f}]", f"{c.p_value:.4f}"]
            cells += [f"{c.p_holm:.4f}"] * several + [f"{c.better} / {c.worse}"]
            body.append(cells)
        return [header, *body]

    def notes(self) -> list[str]:
        """How many queries, and which did not take part as a reader would assume."""
        notes = [f"{self.queries} judged queries"]
        if self.missing:
            notes.append(f"{some(self.missing)} missing from the run, counted as 0")
        if self.unjudged:
            notes.append(f"{some(self.unjudged)} in the run without judgements, left out")
        if self.left_out:
            notes.append(f"{self.left_out} judged queries that not every run has, left out")
        alike: dict[tuple[str, ...], list[str]] = {}
        for name, ids in self.undefined.items():
            alike.setdefault(tuple(ids), []).append(name)
        for some_ids, names in alike.items():
            notes.append(
                f"{', '.join(names)} undefined for {some(list(some_ids))}, left out of the mean"
            )
        for name, compared in self.comparison.items():
            if compared.queries < self.queries:
                notes.append(f"{name} is compared over the {compared.queries} where both define it")
        if not self.found:
            notes.append("no ranked document is judged: check that the ids are of one collection")
        return notes

    def text(self) -> str:
        """The table in aligned plain text, notes below."""
        return "\n".join([*aligned(self.rows()), "", *self.notes()])

    def markdown(self) -> str:
        """The table in Markdown, notes below."""
        return "\n".join([*markdown(self.rows()), "", "; ".join(self.notes())])

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
        mean = {name: None if isnan(value) else value for name, value in self.mean.items()}
        return {"queries": self.queries, **asdict(self), "mean": mean}

    def json(self, indent: int | None = 2) -> str:
        """Everything, as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)


def some(ids: list[str], most: int = 3) -> str:
    """'5 queries (a, b, c, …)'."""
    shown = ", ".join(ids[:most]) + (", …" if len(ids) > most else "")
    return f"{len(ids)} {'query' if len(ids) == 1 else 'queries'} ({shown})"
