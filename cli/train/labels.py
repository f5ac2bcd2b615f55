"""polyrank train labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyrank.progress import note


def labels(
    comparisons: Annotated[
        Path, typer.Argument(help="JSON lines: query, winner, loser (ids), optionally weight.")
    ],
    queries: Annotated[Path, typer.Option(help="Their texts: .jsonl or .tsv.")],
    output: Annotated[Path, typer.Option(help="JSON lines for --queries of a training.")],
    prior: Annotated[
        float, typer.Option(min=0, help="Wins and losses that every passage is given; 0 for none.")
    ] = 0.1,
) -> None:
    """Turn pairwise comparisons into training rows, with Bradley-Terry strengths as scores.

    The strongest passage of a query becomes its positive, the others its negatives. Passages that
    no chain of comparisons connects with most of the others are left out and counted.

    \b
    Example:
      printf '%s\\n' '{"_id":"q1","text":"When does ice melt?"}' > asked.jsonl
      printf '%s\\n' '{"query":"q1","winner":"p1","loser":"p2"}' \\
          '{"query":"q1","winner":"p1","loser":"p3"}' > comparisons.jsonl
      polyrank train labels comparisons.jsonl --queries asked.jsonl --output labelled.jsonl
    """
    from polyrank.collections.text_files import read_queries
    from polyrank.training.examples.comparisons import labelled
    from polyrank.training.examples.negatives import write_examples

    found = labelled(comparisons, read_queries(queries), prior)
    write_examples(output, found.examples)
    note(f"wrote {output}: {found}")
