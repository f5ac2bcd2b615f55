"""Several rerankers beside one another: size, speed, quality, loyalty to one of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from polyrank.collections.records import Collection, Run, ScoredDocument
from polyrank.errors import UsageError
from polyrank.evaluation.loyalty import MEASURES, loyalty
from polyrank.evaluation.measures import evaluate
from polyrank.machine import machine
from polyrank.progress import bar
from polyrank.rerankers.base import Request, Reranker, Scorer, as_reranker, requests_of


@dataclass(frozen=True)
class Named:
    """A reranker with the name of its row.

    parameters: of its weights; None asks the reranker's `size()`, where it has one.
    megabytes: of its weights and tokenizer on disk; None where that is not known.
    """

    name: str
    reranker: Reranker | Scorer
    parameters: int | None = None
    megabytes: float | None = None


@dataclass(frozen=True)
class Row:
    """One reranker's figures.

    Attributes:
        parameters: of its weights; None where unknown.
        megabytes: (10⁶ bytes) of its weights and tokenizer on disk, as stored; None where unknown.
        megabytes_held: of its weights in memory, in the precision that it computes in; None where
            the reranker has no `size()`.
        pairs_per_second: the median of the repeats; `slowest` and `fastest` are their ends.
        quality: mean of the report's measure; None without judgements.
        loyalty: 'label', 'probability', 'regression', 'tau' → value; None for the teacher itself.
    """

    name: str
    parameters: int | None
    megabytes: float | None
    megabytes_held: float | None
    pairs_per_second: float
    slowest: float
    fastest: float
    quality: float | None
    loyalty: dict[str, float | None] | None


@dataclass(frozen=True)
class SideBySide:
    """A report; it prints as a table of Markdown."""

    rows: tuple[Row, ...]
    measure: str
    teacher: str | None
    queries: int
    pairs: int
    repeats: int
    machine: str

    def __str__(self) -> str:
        heads = [
            "reranker",
            "parameters",
            "MB on disk",
            "in memory",
            "pairs/s",
            self.measure,
            *MEASURES,
        ]
        lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
        for row in self.rows:
            shown = row.loyalty or {}
            cells = [
                row.name,
                "-" if row.parameters is None else f"{row.parameters / 1e6:.1f} M",
                *("-" if m is None else f"{m:.1f}" for m in (row.megabytes, row.megabytes_held)),
                f"{row.pairs_per_second:.1f} ({row.slowest:.1f} to {row.fastest:.1f})",
                *(_cell(v) for v in (row.quality, *(shown.get(m) for m in MEASURES))),
            ]
            lines.append(f"| {' | '.join(cells)} |")
        to = f"; loyalty to {self.teacher}" if self.teacher else ""
        return "\n".join(
            [
                *lines,
                "",
                f"{self.queries} queries, {self.pairs} pairs, {self.repeats} passes each in turn, "
                f"on {self.machine}{to}",
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, in plain types."""
        return asdict(self)

    def json(self) -> str:
        """Everything, as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)


def side_by_side(
    rerankers: Sequence[Named],
    collection: Collection,
    first_stage: Run,
    teacher: str | None = None,
    measure: str = "nDCG@10",
    repeats: int = 3,
    clock: Callable[[], float] = time.perf_counter,
    progress: bool = True,
) -> SideBySide:
    """Rerank the same candidates with each, in turn, `repeats` times.

    The first query is scored once before the clock starts, so that what is loaded on first use is
    not timed. Passes alternate between the rerankers, so that a slow minute hits all.

    Args:
        first_stage: candidates that the collection has.
        teacher: the name of the row that the others' loyalty is to; None for no loyalty.
        measure: a name of `ir_measures`; left out where the collection has no judgements of these
            queries.

    Raises:
        UsageError: no rerankers, a name twice, an unknown teacher, or a foreign first stage.
    """
    names = [one.name for one in rerankers]
    if not names or len(set(names)) != len(names) or repeats < 1:
        raise UsageError("a side-by-side report needs rerankers of different names, and a repeat")
    if teacher is not None and teacher not in names:
        raise UsageError(f"the teacher '{teacher}' is none of {', '.join(names)}")
    requests = _requests(collection, first_stage)
    pairs = sum(len(request.documents) for request in requests)
    runs: dict[str, Run] = {}
    speeds: dict[str, list[float]] = {name: [] for name in names}
    with bar("reranking", len(requests) * repeats * len(names), progress) as drawn:
        for one in rerankers:
            _rank(one, requests[0])
        for _ in range(repeats):
            for one in rerankers:
                seconds, run = 0.0, {}
                for request in requests:
                    started = clock()
                    run[request.query.id] = _rank(one, request)
                    seconds += clock() - started
                    drawn.advance()
                speeds[one.name].append(pairs / seconds)
                runs.setdefault(one.name, run)
    judged = [j for j in collection.qrels if j.query_id in first_stage]
    rows = []
    for one in rerankers:
        found = None
        if teacher is not None and one.name != teacher:
            found = loyalty(runs[one.name], runs[teacher])
        told: Any = getattr(one.reranker, "size", None)
        counted, held = told() if callable(told) else (None, None)
        rows.append(
            Row(
                one.name,
                counted if one.parameters is None else one.parameters,
                one.megabytes,
                held and held / 1e6,
                median(speeds[one.name]),
                min(speeds[one.name]),
                max(speeds[one.name]),
                evaluate(runs[one.name], judged, measure).mean[measure] if judged else None,
                None if found is None else {m: found[m] for m in MEASURES},
            )
        )
    return SideBySide(tuple(rows), measure, teacher, len(requests), pairs, repeats, machine())


def _requests(collection: Collection, first_stage: Run) -> list[Request]:
    requests = list(requests_of(collection, first_stage))
    if not requests:
        raise UsageError("the first stage has no candidates")
    return requests


def _rank(one: Named, request: Request) -> list[ScoredDocument]:
    (ranking,) = as_reranker(one.reranker).rank_all([request])
    return list(ranking.hits)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
