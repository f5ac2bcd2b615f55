"""What explains a score adds up to it, and points at the right characters."""

import json

import pytest

from polyrank import explain
from polyrank.collections.records import Document, Query
from polyrank.errors import UsageError
from polyrank.evaluation.explain import Contribution, Explanation, Match, sentences
from polyrank.late_interaction.model import LateInteraction
from polyrank.rerankers.base import ListReranker

from ..late_interaction.conftest import late_zoo

__all__ = ["late_zoo"]


class Letters:
    """A pair's score is how many a's the document has."""

    def score(self, pairs):
        return [float(document.full_text.count("a")) for _, document in pairs]


def test_occlusion_by_hand():
    (found,) = explain(Letters(), "q", "Aaa aa. Bbb! Caa.")
    assert found.score == 6.0
    assert found.contributions == (
        Contribution((0, 7), 4.0),
        Contribution((8, 12), 0.0),
        Contribution((13, 17), 2.0),
    )
    assert found.spans() == [((0, 7), 4 / 6), ((13, 17), 2 / 6)]
    assert found.spans(0.5) == found.spans(most=1) == [((0, 7), 4 / 6)]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        ("  \n ", []),
        ("no end", ["no end"]),
        ('He said "Go." Then left.', ['He said "Go."', "Then left."]),
        ("水沸腾了。好！", ["水沸腾了。", "好！"]),
        ("पानी उबलता है। नदी लंबी है।", ["पानी उबलता है।", "नदी लंबी है।"]),
        ("یہ کیا ہے؟ پانی۔", ["یہ کیا ہے؟", "پانی۔"]),
        ("one\n\ntwo  ", ["one", "two"]),
        ("3.14 is pi. Yes.", ["3.14 is pi.", "Yes."]),
    ],
)
def test_sentences(text, expected):
    assert [text[start:end] for start, end in sentences(text)] == expected


def test_many_sentences_are_taken_together():
    text = "A b. " * 100
    found = sentences(text, most=8)
    assert len(found) == 8 and found[0][0] == 0 and found[-1][1] == len(text.rstrip())


def test_winning_tokens_that_touch_are_one_part():
    matches = (
        Match((0, 1), (0, 3), 0.5),
        Match((1, 2), (3, 5), 0.75),
        Match((2, 3), (6, 8), 0.25),
        Match((3, 4), (10, 11), 0.5),
        Match(None, None, 0.9),
    )
    found = Explanation(Query("q", "abcd"), Document("d", "boils to  x,y"), 2.9, matches)
    assert found.spans() == [((0, 11), 0.75)]
    assert found.spans(0.5) == [((0, 5), 0.75), ((10, 11), 0.5)]


@pytest.fixture(scope="module")
def model(tiny_base, late_zoo):
    return LateInteraction(tiny_base, "li", zoo=late_zoo)


@pytest.mark.parametrize("title", ["", "gh"])
def test_similarities_add_up_to_the_score_and_spans_hold_the_tokens(model, title):
    query = Query("q", "abc  fed", "en")
    document = Document("d", "bad cab  fed", title, language="tr")
    (found,) = explain(model, query, document)
    (score,) = model.score([(query, document)])
    assert found.score == pytest.approx(score, abs=1e-5)
    assert sum(match.similarity for match in found.matches) == pytest.approx(score, abs=1e-5)
    (vectors,) = model.encode_queries([query])
    assert len(found.matches) == len(vectors)
    spans = dict.fromkeys(match.query for match in found.matches if match.query)
    assert "".join(query.text[slice(*span)] for span in spans) == "abcfed"  # a token a letter
    (spans,) = model.document_spans([document])
    (vectors,) = model.encode_documents([document])
    assert len(spans) == len(vectors)
    letters = dict.fromkeys(span for span in spans if span)
    text = document.full_text
    assert "".join(text[slice(*span)] for span in letters) == f"{title}badcabfed"


def test_winners_are_the_most_similar_tokens(model):
    query, document = Query("q", "abc", "en"), Document("d", "cab dig", language="en")
    (found,) = explain(model, query, document)
    (asked,), (held,) = model.encode_queries([query]), model.encode_documents([document])
    (spans,) = model.document_spans([document])
    best = (asked @ held.T).argmax(dim=1).tolist()
    assert [match.document for match in found.matches] == [spans[place] for place in best]


def test_languages_are_identified_as_for_the_score(model):
    text = "Суунун кайноо температурасы канча экенин билесизби"
    (found,) = explain(model, text, text)
    assert found.query.language == found.document.language == "ky"
    json.dumps(found.record())


def test_a_list_as_a_whole_explains_nothing():
    class Whole(ListReranker):
        pass

    with pytest.raises(UsageError, match="list as a whole"):
        explain(Whole(), "q", "text")
