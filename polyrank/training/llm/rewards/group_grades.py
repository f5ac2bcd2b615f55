"""Grades of a group that rank well and are spread like the labels (GroupRank, arXiv 2511.11653)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

BAD_FORM, BAD_JSON = -0.5, -0.1  # as in the paper


def group_reward(
    text: str,
    names: Sequence[str],
    labels: Sequence[float],
    cutoff: int = 10,
    recall: float = 0.2,
    agreement: float = 0.1,
    tag: str | None = "answer",
) -> float:
    """nDCG@10 + .2 · Recall@10 + .1 · (1 − JS(P, Q)) of an answer of the right form.

    P and Q are the grades and the labels, each divided by its sum (all equal where that is 0), and
    JS is in bits, so that it lies in [0, 1]. After the paper, which prints the weights and not how
    P and Q are made. Equal grades keep the order of the prompt, as in ranking.

    An answer without the tags earns −.5, one with tags and without a grade of each document −.1.

    Args:
        text: the answer.
        names: of the documents, in the order of the prompt.
        labels: how relevant each is, 0 for not at all.
        cutoff: of nDCG and recall.
        recall, agreement: weights.
        tag: between which the JSON stands; None for an answer that is JSON alone.
    """
    inside = _inside(text, tag)
    if inside is None:
        return BAD_FORM
    grades = _grades(inside, names)
    if grades is None:
        return BAD_JSON
    order = sorted(range(len(names)), key=lambda place: -grades[place])[:cutoff]
    relevant = sum(label > 0 for label in labels)
    hit = sum(labels[place] > 0 for place in order) / relevant if relevant else 0.0
    close = 1 - jensen_shannon(_distribution(grades), _distribution(labels))
    return _ndcg(order, labels, cutoff) + recall * hit + agreement * close


def jensen_shannon(p: Sequence[float], q: Sequence[float]) -> float:
    """Jensen–Shannon divergence of two distributions, in bits.

    >>> jensen_shannon([1, 0], [0, 1]), jensen_shannon([0.5, 0.5], [0.5, 0.5])
    (1.0, 0.0)
    """
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (_divergence(p, middle) + _divergence(q, middle)) / 2


def _divergence(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(a * math.log2(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def _distribution(values: Sequence[float]) -> list[float]:
    total = sum(values)
    return [value / total if total else 1 / len(values) for value in values]


def _ndcg(order: Sequence[int], labels: Sequence[float], cutoff: int) -> float:
    """With gains 2^label − 1; 0 where nothing is relevant."""
    gained = _discounted([labels[place] for place in order])
    best = _discounted(sorted(labels, reverse=True)[:cutoff])
    return gained / best if best else 0.0


def _discounted(labels: Sequence[float]) -> float:
    return sum((2**label - 1) / math.log2(rank + 2) for rank, label in enumerate(labels))


def _inside(text: str, tag: str | None) -> str | None:
    if tag is None:
        return text.strip()
    match = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return match.group(1).strip() if match else None


def _grades(text: str, names: Sequence[str]) -> list[float] | None:
    """A grade from 0 to 10 for each document; None for anything else."""
    try:
        row = json.loads(text)
        values = [row[name] for name in names]
    except (ValueError, KeyError, TypeError):
        return None
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    if not whole or len(row) != len(names) or not all(0 <= value <= 10 for value in values):
        return None
    return [float(value) for value in values]
