"""ROUGE, diversity and oracle plans by hand."""

from __future__ import annotations

import math

import pytest

from polyrank.summaries.articles import Article
from polyrank.summaries.oracle import oracle_plan
from polyrank.summaries.rouge import diversity, rouge


def test_rouge_by_hand():
    """4 of 4 and 4 of 6 words, 2 of 3 and 2 of 5 pairs, 'the cat the mat' in a row."""
    found = rouge("the cat the mat", "the cat sat on the mat", "en")
    one, two, longest = 2 * 1 * (4 / 6) / (1 + 4 / 6), 2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5), 0.8
    assert list(found) == pytest.approx([one, two, longest])
    assert found.mean == pytest.approx((one + two + longest) / 3)


def test_english_is_stemmed_and_other_languages_keep_their_letters():
    assert rouge("boiling waters", "boils water", "en").one == 1
    assert rouge("boiling waters", "boils water", "de").one == 0
    assert rouge("суу кайнайт", "Суу муздайт", "ky").one == 0.5
    assert rouge("суу кайнайт", "Суу муздайт").one == 0.5
    assert rouge("北京市", "北京", "zh").one == pytest.approx(2 * 1 * (2 / 3) / (1 + 2 / 3))
    assert rouge("北京", "上海", "zh") == rouge("", "上海", "zh")


def test_diversity_by_hand():
    """The pairs have ROUGE-1 of 1, 0 and 0."""
    assert diversity(["a b", "b a", "c d"], "de") == pytest.approx(2 / 3)
    assert math.isnan(diversity(["a b"]))


def test_the_oracle_adds_what_raises_rouge_and_stops():
    text = "red green. blue. yellow black. white."
    units = ((0, 10), (11, 16), (17, 30), (31, 37))
    article = Article("a", text, "de", "blue yellow black")
    assert oracle_plan(article, units, 3) == (1, 2)  # found as 2, then 1; a third only dilutes
    assert oracle_plan(article, units, 1) == (2,)
    assert oracle_plan(Article("a", text, "de", "purple"), units, 3) == ()
