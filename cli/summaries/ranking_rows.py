"""polyrank summaries ranking-rows."""

from __future__ import annotations

from pathlib import Path

from polyrank.progress import note, track

from ..rerankers import report
from . import options


def ranking_rows(
    file: options.CandidatesFile,
    output: options.Rows = Path("-"),
    question_units: options.Asked = 3,
) -> None:
    """Write rows that teach a ranking module to order candidates by their ROUGE.

    A row has the question that 'summaries rerank' asks, the candidate of highest mean ROUGE as the
    positive, the others as negatives, and the ROUGE of each as the teacher's score.

    \b
    Example:
      polyrank summaries candidates --collection afriqa --language en --limit 4 --plans 4 \\
          --plan-units 1 --output candidates.jsonl
      polyrank summaries ranking-rows candidates.jsonl --output rows.jsonl
      polyrank train ranking --queries rows.jsonl --loss "rank_gap_hinge(margin=0.1)" --steps 2 \\
          --batch-queries 2 --output modules/summaries
    """
    from polyrank.collections.files import writing
    from polyrank.installed import require
    from polyrank.notes import Notebook
    from polyrank.summaries.candidates import read_candidates, with_languages
    from polyrank.summaries.ranking_rows import ranking_rows as rows_of

    require("summaries", "ROUGE")
    notebook, count = Notebook(), 0
    sets = track(read_candidates(file, referenced=True), "measuring")
    with writing(output) as rows:
        for line in rows_of(with_languages(sets, notebook), notebook, question_units):
            rows.write(line)
            count += 1
    report(notebook)
    note(f"{count:,} rows")
