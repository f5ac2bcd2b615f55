"""Candidates made, kept, reranked and measured; values by hand where there are some."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import pytest

from polyrank.errors import DataError, UsageError
from polyrank.notes import Notebook
from polyrank.rerankers.base import ListReranker, best_first
from polyrank.summaries.abstractor import Written
from polyrank.summaries.articles import Article
from polyrank.summaries.candidates import (
    Candidate,
    CandidateSet,
    read_candidates,
    row_of,
    with_languages,
)
from polyrank.summaries.central import Central
from polyrank.summaries.making import Making
from polyrank.summaries.ranking_rows import ranking_rows
from polyrank.summaries.report import report_of
from polyrank.summaries.reranking import by_likelihood, by_reranker, question_of
from polyrank.training.losses.rank_gap_hinge import rank_gap_hinge

TEXT = "Red fish swim. Blue birds fly high. Green frogs jump."
UNITS = ((0, 14), (15, 35), (36, 53))
TEXTS = ("Red fish swim.", "Blue birds fly high.", "Green frogs jump.")


@pytest.fixture
def found():
    """Three extracts, in the order of their plans' scores; the reference is nearest the second."""
    article = Article("a", TEXT, "en", "blue birds jump")
    made = [Candidate(i, (i,), text, {"plan": -1.0 - i}) for i, text in enumerate(TEXTS)]
    return CandidateSet(article, UNITS, tuple(made))


class Longest(ListReranker):
    """Longer documents rank higher; keeps what it was asked."""

    def rank_request(self, request):
        self.asked = request.query
        return best_first(request, [float(len(one.text)) for one in request.documents])

    def identity(self):
        return {}


def test_extracts_of_the_most_central_units(tiny_base):
    article = Article("a", TEXT, "en", "")
    notebook = Notebook()
    making = Making(Central(tiny_base, 2, "cpu"), fineness="sentence", plans=9)
    (made,) = making([article, Article("b", " ... ", "en")], notebook)
    assert made.units == UNITS and made.by == ""
    assert {one.plan for one in made.candidates} == set(combinations(range(3), 2))
    texts = {one.plan: one.text for one in made.candidates}
    assert texts[0, 1] == TEXT[:35] and texts[0, 2] == "Red fish swim. Green frogs jump."
    scores = [one.scores["plan"] for one in made.candidates]
    assert scores == sorted(scores, reverse=True)
    assert [one.number for one in made.candidates] == [0, 1, 2]
    assert notebook.notes.of_kind("empty").total() == 1


def test_units_that_are_cut_are_counted(tiny_base):
    central, long = Central(tiny_base, 1, "cpu"), "red " * tiny_base.card.reads
    units = ((0, 3), (0, len(long)), (4, 7))
    central.steps(Article("a", long, "en"), units)
    assert central.notebook.notes.of_kind("cut").total() == 1


def test_the_same_text_is_one_candidate(tiny_base):
    def writer(text, units, plans):
        return [
            [Written("same", -1.0), Written(f"{plan}" * (plan == (2,)), -2.0)] for plan in plans
        ]

    notebook = Notebook()
    planner = Central(tiny_base, 1, "cpu")
    (made,) = Making(planner, writer, "sentence", 3)([Article("a", TEXT, "en")], notebook)
    assert [one.text for one in made.candidates] == ["same", "(2,)"]
    assert made.candidates[1].scores["abstractor"] == -2.0
    assert notebook.notes.of_kind("other").total() == 4


def test_an_article_of_which_nothing_is_written_is_left_out(tiny_base):
    def writer(text, units, plans):
        return [[Written("" if text == TEXT else "said", -1.0)] for _ in plans]

    notebook, planner = Notebook(), Central(tiny_base, 1, "cpu")
    articles = [Article("a", TEXT, "en"), Article("b", TEXT[15:], "en")]
    (made,) = Making(planner, writer, "sentence", 3)(articles, notebook)
    assert made.id == "b" and set(made.candidates[0].scores) == {"plan", "abstractor"}
    assert notebook.notes["articles of which nothing was written are left out"] == 1


def test_a_language_that_is_not_named_is_identified(tiny_base):
    """A Russian headline is a word of its article; as English it would have none."""
    text = "Вчера вечером в городе прошёл сильный дождь. Сегодня солнечно и довольно тепло."
    notebook = Notebook()
    making = Making(Central(tiny_base, 1, "cpu"), None, "sentence", 2)
    articles = [Article("a", text, None, "сильный дождь"), Article("b", TEXT, "en")]
    (made, named) = making(articles, notebook)
    assert (made.article.language, named.article.language) == ("ru", "en")
    assert list(notebook.notes.items()) == [("language identified as 'ru'", 1)]
    unnamed = replace(made, article=articles[0])
    (found,) = with_languages([unnamed], notebook)
    assert found == made and notebook.notes.of_kind("identified").total() == 2
    assert report_of([found]).systems["oracle"].one == pytest.approx(2 * (2 / 7) / (1 + 2 / 7))
    (mute,) = with_languages([replace(unnamed, article=Article("c", "12 + 3"))], notebook)
    assert mute.article.language is None
    assert notebook.notes.of_kind("unidentified").total() == 1


@pytest.mark.parametrize("wrong", [{"temperature": float("nan")}, {"temperature": float("inf")},
                                   {"temperature": 0}, {"seed": -1}])  # fmt: skip
def test_what_nothing_can_be_drawn_with(wrong):
    with pytest.raises(UsageError, match="give a finite temperature"):
        Making(None, **wrong)


def test_drawn_plans_follow_the_seed_and_the_article(tiny_base):
    central = Central(tiny_base, 1, "cpu")

    def plans(seed, identity):
        making = Making(central, None, "sentence", 2, sampled=True, seed=seed)
        (made,) = making([Article(identity, TEXT, "en")], Notebook())
        return [one.plan for one in made.candidates]

    assert plans(1, "a") == plans(1, "a")
    assert len({tuple(plans(seed, name)) for seed in (1, 2, 3) for name in "ab"}) > 1


def test_what_is_written_is_read_again(found, tmp_path):
    path = tmp_path / "candidates.jsonl"
    other = replace(found.reordered("plan"), article=replace(found.article, id="b"))
    path.write_text(row_of(found) + row_of(other))
    assert list(read_candidates(path, referenced=True, scored="plan")) == [found, other]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, "'text' or 'reference' is not a text"),
        ({"units": [[0, 99]]}, "'units' are not within the text"),
        ({"candidates": []}, "no candidates"),
        ({"candidates": 3}, "not a row of candidates"),
        ({"reference": " "}, "'a' has no reference summary"),
        ({"candidates": [{"number": 0, "plan": [7], "text": "", "scores": {}}]}, "plan .7. names"),
        ({"candidates": [{"number": 0, "plan": [], "text": "x", "scores": {"plan": 1e999}}]},
         "not finite"),
        ({"candidates": [{"number": 0, "plan": [], "text": "x", "scores": {"plan": 10**400}}]},
         "not finite"),
        ({"candidates": [{"number": 0, "plan": [], "text": "x", "scores": {"plan": True}}]},
         "True is not a number"),
        ({"candidates": [{"number": 1.7, "plan": [], "text": "x", "scores": {"plan": 1}}]},
         "1.7 is not a whole number"),
        ({"candidates": [{"number": 0, "plan": [1.7], "text": "x", "scores": {"plan": 1}}]},
         "1.7 is not a whole number"),
        ({"units": [[0, float("inf")]]}, "inf is not a whole number"),
        ({"units": [[0, 10**400]]}, "'units' are not within the text"),
        ({"units": [], "candidates": [{"number": 0, "plan": [], "text": "x",
                                       "scores": {"plan": 1}}]}, "there are no 'units'"),
        ({"_id": None}, "the field '_id' is null"),
        ({"_id": ""}, "the id '' is empty"),
        ({"_id": 1.5}, "the id 1.5 is neither"),
        ({"language": "qqqq"}, "unknown language 'qqqq'"),
        ({}, "the id 'a' is already on line 1"),
        ({"candidates": [{"number": 0, "plan": [], "text": "x", "scores": {"a": 1}}]},
         "no score 'plan', but a"),
        ({"candidates": [{"number": 0}]}, "no field 'plan'"),
    ],
)  # fmt: skip
def test_rows_that_are_none(found, tmp_path, change, message):
    path = tmp_path / "candidates.jsonl"
    path.write_text(row_of(found) + json.dumps({**json.loads(row_of(found)), **change}) + "\n")
    with pytest.raises(DataError, match=f"candidates.jsonl:2: .*{message}"):
        list(read_candidates(path, referenced=True, scored="plan"))


def test_a_reranker_is_asked_with_the_beginning(found):
    reranker = Longest()
    (again,) = by_reranker([found], reranker, 2)
    assert reranker.asked.text == TEXT[:35] and reranker.asked.language == "en"
    assert [one.number for one in again.candidates] == [1, 2, 0]
    assert again.by == "reranker" and again.candidates[0].scores == {"plan": -2.0, "reranker": 20.0}
    assert question_of(found, 0) == TEXT


def test_likelihoods_reorder_and_ties_keep_the_number(found):
    (again,) = by_likelihood([found], lambda article, texts: [-3.0, -1.0, -1.0])
    assert [one.number for one in again.candidates] == [1, 2, 0]
    assert again.reordered("plan").candidates[0].number == 0


def test_the_report_by_hand(found):
    """Of 'blue birds jump': the second extract has 2 of 4 words and 3, the third 1 of 3 and 3."""
    plain = report_of([found])
    assert list(plain.systems) == ["first", "oracle"]
    assert list(plain.systems["first"]) == [0, 0, 0]
    one, two = 2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3), 2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2)
    assert list(plain.systems["oracle"]) == pytest.approx([one, two, one])
    assert plain.diversity == 1 and plain.candidates == 3 and plain.articles == 1
    (last,) = by_likelihood([found], lambda article, texts: [-3.0, -2.0, -1.0])
    reranked = report_of([found, last])
    assert reranked.by == "likelihood"
    assert reranked.systems["reranked"].one == pytest.approx((0 + 1 / 3) / 2)


def test_rows_for_training_have_the_order_of_rouge(found, tmp_path):
    """As 'train ranking' reads them; the loss is 0 where the scores keep the order, wide apart."""
    import torch

    from polyrank.training.examples.foreign_rows import flagembedding

    notebook = Notebook()
    alike = CandidateSet(found.article, UNITS, found.candidates[:1])
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(ranking_rows([found, alike], notebook, 1)))
    assert notebook.notes.total() == 1
    gathered = flagembedding(path, "en")
    (example,) = gathered.examples.values()
    assert example.query.text == TEXTS[0]
    assert [gathered.passages[i].text for i in example.candidates] == [TEXTS[i] for i in (1, 2, 0)]
    one, two = 2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3), 0.4
    third = 1 / 3
    assert example.teacher == pytest.approx(((2 * one + two) / 3, 2 * third / 3, 0), abs=1e-6)
    scores, teacher = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([example.teacher])
    mask = torch.ones(1, 3, dtype=torch.bool)
    assert rank_gap_hinge(scores, teacher, mask, 0.5) == 0
    assert rank_gap_hinge(scores.flip(1), teacher, mask, 0.5) == pytest.approx((1.5 + 1.5 + 3) / 3)
