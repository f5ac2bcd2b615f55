"""Pairwise comparisons to training rows: Bradley–Terry strengths as a teacher's scores."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyrank.collections.files import lacking, numbered_lines, parse_json
from polyrank.collections.records import Query
from polyrank.errors import DataError
from polyrank.training.examples.bradley_terry import bradley_terry
from polyrank.training.examples.negatives import Example

Wins = dict[tuple[str, str], float]  # (winner, loser) → how often


@dataclass(frozen=True)
class Labelled:
    """Rows of comparisons, and what was left out.

    Attributes:
        examples: the strongest passage as the positive (ties by id), the others as negatives,
            log-strengths as the teacher's scores.
        comparisons: that were read.
        disconnected: queries whose comparisons fall into parts that nothing connects. The largest
            part is kept (the first found, of equal ones), as no strength compares across parts.
        left_out: passages of the other parts.
    """

    examples: tuple[Example, ...]
    comparisons: int
    disconnected: int
    left_out: int

    def __str__(self) -> str:
        found = f"{len(self.examples)} rows of {self.comparisons} comparisons"
        if self.disconnected:
            found += (
                f"; the comparisons of {self.disconnected} queries are not connected: the largest "
                f"part of each was kept, and {self.left_out} passages were left out"
            )
        return found


def labelled(path: str | Path, queries: Mapping[str, Query], prior: float = 0.1) -> Labelled:
    """Training rows of a file of comparisons.

    Args:
        path: JSON lines of `query`, `winner`, `loser` (ids), optionally `weight`.
        queries: their texts.
        prior: of `bradley_terry`.

    Raises:
        DataError: a malformed line, with its number; without a prior, a query whose strengths have
            no bound is a UsageError.
    """
    tables: dict[str, Wins] = defaultdict(lambda: defaultdict(float))
    count = 0
    for number, line in numbered_lines(path):
        count += 1
        query, winner, loser, weight = _comparison(line, path, number)
        if query not in queries:
            raise DataError(path, number, f"'{query}' is not among the queries")
        tables[query][winner, loser] += weight
    examples, disconnected, left_out = [], 0, 0
    for query_id, wins in tables.items():
        items = sorted({i for pair in wins for i in pair})
        table = np.zeros((len(items), len(items)))
        for (winner, loser), weight in wins.items():
            table[items.index(winner), items.index(loser)] = weight
        found = bradley_terry(table, prior)
        kept = np.flatnonzero(found.parts == np.bincount(found.parts).argmax())
        disconnected += not found.connected
        left_out += len(items) - len(kept)
        order = sorted(kept, key=lambda i: (-found.logits[i], items[i]))
        examples.append(
            Example(
                queries[query_id],
                (items[order[0]],),
                tuple(items[i] for i in order[1:]),
                teacher=tuple(float(found.logits[i]) for i in order),
            )
        )
    return Labelled(tuple(examples), count, disconnected, left_out)


def _comparison(line: str, path: str | Path, number: int) -> tuple[str, str, str, float]:
    try:
        row = parse_json(line)
        query, winner, loser = (str(row[key]) for key in ("query", "winner", "loser"))
        weight = float(row.get("weight", 1))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            path, number, f"no comparison: {lacking(error)}; expected query, winner, loser"
        ) from error
    if winner == loser:
        raise DataError(path, number, f"'{winner}' is compared with itself")
    if not 0 < weight < math.inf:
        raise DataError(path, number, f"the weight is {weight}; it must be above 0")
    return query, winner, loser, weight
