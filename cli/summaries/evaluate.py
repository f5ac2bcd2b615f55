"""polyrank summaries evaluate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from polyrank.progress import say, track

from ..options import AsJson
from ..rerankers import report
from . import options

if TYPE_CHECKING:
    from polyrank.summaries.report import SummaryReport


def evaluate(file: options.CandidatesFile, as_json: AsJson = False) -> None:
    """Measure candidates against references: the first, the one a reranker chose, the best one.

    ROUGE-1, -2 and -L are F-measures of the library rouge-score. 'first' is the candidate of the
    likeliest plan, 'oracle' the one of highest mean ROUGE, which no reranking passes. Diversity is
    the mean of 1 - ROUGE-1 over pairs of candidates.

    \b
    Example:
      polyrank summaries candidates --collection ntrex --language en --limit 3 --plans 4 \\
          --plan-units 1 --output candidates.jsonl
      polyrank summaries evaluate candidates.jsonl
    """
    from polyrank.installed import require
    from polyrank.notes import Notebook
    from polyrank.summaries.candidates import read_candidates, with_languages
    from polyrank.summaries.report import report_of

    require("summaries", "ROUGE")
    notebook = Notebook()
    sets = track(read_candidates(file, referenced=True), "measuring")
    found = report_of(with_languages(sets, notebook))
    report(notebook)
    if as_json:
        print(json.dumps(found.to_dict(), ensure_ascii=False, indent=2))
        return
    say("\n".join(_lines(found)))


def _lines(found: SummaryReport) -> list[str]:
    from polyrank.evaluation.text_tables import aligned, shown
    from polyrank.summaries.report import RERANKED

    rows = [["candidate", "ROUGE-1", "ROUGE-2", "ROUGE-L"]]
    for name, means in found.systems.items():
        by = f" by {found.by}" if name == RERANKED else ""
        rows.append([name + by, *(shown(value) for value in means)])
    return [
        *aligned(rows),
        f"{found.articles:,} articles, {found.candidates:.1f} candidates each, "
        f"diversity {shown(found.diversity)}",
    ]
