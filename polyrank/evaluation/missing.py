"""Runs over different queries: refused, unless the user says how to treat them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from polyrank.errors import UsageError

CHOICES = ("refuse", "zero", "intersect")


def same_queries(
    runs: Mapping[str, Collection[str]], query_ids: Sequence[str], missing: str = "refuse"
) -> set[str]:
    """The judged queries over which runs are compared.

    A query that every run lacks is left out. An arm that stopped half-way, counted as 0 where it
    never ran, would look significantly worse; so runs that differ in their queries are refused.

    Args:
        runs: name → the ids of the queries that it has.
        query_ids: those that are judged.
        missing: 'refuse'; 'zero' keeps what any run has; 'intersect' what all have.

    Raises:
        UsageError: for different queries under 'refuse', or when none remain.
    """
    if missing not in CHOICES:
        raise UsageError(f"missing is {missing!r}; use one of {', '.join(CHOICES)}")
    judged = {name: {i for i in query_ids if i in run} for name, run in runs.items()}
    some = set().union(*judged.values())
    every = some.intersection(*judged.values())
    if missing == "refuse" and some != every:
        lines = []
        for name, ids in judged.items():
            lacking = [i for i in query_ids if i in some - ids]
            if lacking:
                shown = ", ".join(lacking[:3]) + (", …" if len(lacking) > 3 else "")
                lines.append(f"{name} lacks {len(lacking)} of {len(some)} judged queries ({shown})")
        raise UsageError(
            "the runs have different queries and cannot be compared:\n  "
            + "\n  ".join(lines)
            + "\nRun what is missing, or say how to count it: missing 'intersect' compares where "
            "all runs have a query, 'zero' counts 0 where one does not "
            "(on the command line --missing intersect or --missing zero)."
        )
    kept = every if missing == "intersect" else some
    if not kept:
        raise UsageError("the runs have no judged query in common")
    return kept
