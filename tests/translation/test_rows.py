"""Rows in another language: fields, spans, failures, back-translation."""

from __future__ import annotations

import pytest

from polyrank.errors import UsageError
from polyrank.translation.rows import Failed, RowTranslation


def swapping(texts, source, target):
    """Turns the words around, but not what is within them; what holds 'lost' loses its markers."""
    turned = [" ".join(reversed(text.split(" "))) for text in texts]
    return [text.replace("<1>", "") if "lost" in text else text for text in turned]


def test_rows_by_hand():
    rows = [
        {"_id": 1, "title": "a b", "text": "Ann met Bob", "spans": [[0, 3], [8, 11]], "x": 7},
        {"_id": 2, "text": "lost it", "spans": [[5, 7]]},
        {"_id": 3, "text": "no spans", "answers": ["a b", "c"], "title": "t"},
    ]
    fields = ("title", "text", "answers")
    first, second, third = RowTranslation(swapping, "en", "de", fields)(rows)
    assert first == {
        "_id": 1, "title": "b a", "text": "Bob met Ann", "spans": [[8, 11], [0, 3]], "x": 7,
        "language": "de",
    }  # fmt: skip
    assert isinstance(second, Failed)
    assert second.record() == {
        **rows[1], "given": "it</1> lost", "reason": "the marker <1> did not come back",
    }  # fmt: skip
    assert third == {
        "_id": 3, "text": "spans no", "answers": ["b a", "c"], "title": "t", "language": "de",
    }  # fmt: skip


def test_there_and_back():
    rows = [{"text": "Ann met Bob", "spans": [[0, 3]]}, {"text": "lost", "spans": [[0, 4]]}]
    whole, failed = RowTranslation(swapping, "en", "de", back=True)(rows)
    assert whole == {"text": "Ann met Bob", "spans": [[0, 3]], "language": "en"}
    assert isinstance(failed, Failed)


def test_rows_that_are_none():
    with pytest.raises(UsageError, match=r"spans of row '7' are \[\[0\]\]"):
        list(RowTranslation(swapping, "en", "de")([{"_id": "7", "text": "a", "spans": [[0]]}]))
    with pytest.raises(UsageError, match="'text' of row '7' is 3, not a text"):
        list(RowTranslation(swapping, "en", "de")([{"_id": "7", "text": 3}]))
    for row, reason in (
        ({"_id": "7", "x": "a"}, "row '7' has no field 'title' or 'text'; it has _id, x"),
        ({"_id": "7", "title": "a", "spans": [[0, 1]]}, "spans of row '7' are in 'text'"),
        ({"_id": "7", "text": "a", "spans": None}, "spans of row '7' are None"),
        ({"_id": "7", "text": "a", "spans": [[0, True]]}, "spans of row '7' are"),
        ({"_id": "7", "text": "a", "spans": "ab"}, "spans of row '7' are 'ab'"),
    ):
        with pytest.raises(UsageError, match=reason):
            list(RowTranslation(swapping, "en", "de")([row]))
    (row,) = RowTranslation(swapping, "en", "de")([{"title": "a b", "spans": []}])
    assert row == {"title": "b a", "spans": [], "language": "de"}
