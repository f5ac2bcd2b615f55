"""Rows that a ranking module learns from: candidates in the order of their ROUGE."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from polyrank.notes import Notebook
from polyrank.summaries.candidates import CandidateSet
from polyrank.summaries.reranking import ASKED, question_of
from polyrank.summaries.rouge import rouge


def ranking_rows(
    sets: Iterable[CandidateSet], notebook: Notebook, asked: int = ASKED
) -> Iterator[str]:
    """Lines in the form of FlagEmbedding, which 'polyrank train ranking' reads: the question that
    `by_reranker` asks, the candidate of highest ROUGE, the others, and the ROUGE of each.

    Losses that read a teacher, such as `rank_gap_hinge`, take these scores. An article whose
    candidates all have one score teaches no order and is left out.

    Args:
        sets: with references.
        notebook: gets what was left out.
        asked: units of the question.
    """
    for found in sets:
        article = found.article
        scored = [
            (round(rouge(one.text, article.reference, article.language).mean, 6), one.text)
            for one in sorted(found.candidates, key=lambda one: one.number)
        ]
        scored.sort(key=lambda pair: -pair[0])
        (best, text), *others = scored
        if not others or best == others[-1][0]:
            notebook.add("other", "articles whose candidates have no order are left out")
            continue
        row = {
            "id": article.id,
            "query": question_of(found, asked),
            "pos": [text],
            "neg": [other for _, other in others],
            "pos_scores": [best],
            "neg_scores": [score for score, _ in others],
        }
        yield json.dumps(row, ensure_ascii=False) + "\n"
