"""The plan that an extractive model is taught: found greedily against the reference."""

from __future__ import annotations

from polyrank.summaries.articles import Article
from polyrank.summaries.rouge import rouge
from polyrank.summaries.units import Span, extract

Plan = tuple[int, ...]  # units by their number from 0, ascending


def oracle_plan(article: Article, units: tuple[Span, ...], longest: int) -> Plan:
    """Units are added one at a time, each time the one that raises ROUGE most, until none does
    (Nallapati et al. 2017, arXiv 1611.04230).

    ROUGE is the mean of ROUGE-1, -2 and -L of the units in the order of the article. Of equal ones
    the first is taken.

    Args:
        units: of the article's text.
        longest: units of a plan at most.

    Returns:
        The plan; () where no unit shares a word with the reference.
    """
    plan: Plan = ()
    reached = 0.0
    while len(plan) < longest:
        grown = [tuple(sorted((*plan, u))) for u in range(len(units)) if u not in plan]
        worth = [
            rouge(extract(article.text, units, one), article.reference, article.language).mean
            for one in grown
        ]
        if not worth or max(worth) <= reached:
            break
        reached = max(worth)
        plan = grown[worth.index(reached)]
    return plan
