"""Marked spans: by hand, the ways in which markers break, and back again as a property."""

from __future__ import annotations

import pytest

from polyrank.translation.marked import Failure, Marked, mark, translate_marked, unmark


def test_markers_by_hand():
    item = Marked("Ann met Bob", ((0, 3), (8, 11)))
    assert mark(item) == "<1>Ann</1> met <2>Bob</2>"
    # the other order, blanks inside a marker and inside the span
    assert unmark("Bob: < 2 > Bob </ 2>, <1>Ann</1>", 2) == Marked(
        "Bob:  Bob , Ann", ((12, 15), (6, 9))
    )


@pytest.mark.parametrize(
    "spans",
    [((0, 11), (4, 7)), ((4, 7), (0, 11)), ((0, 3), (3, 7)), ((0, 3), (0, 7)), ((4, 7),) * 2],
)
def test_spans_come_back_as_they_were(spans):
    item = Marked("Ann met Bob", spans)
    kept = unmark(mark(item), len(spans))
    assert kept.text == item.text
    held = [item.text[start:end].strip() for start, end in spans]
    assert [kept.text[start:end] for start, end in kept.spans] == held


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("Ann met <2>Bob</2>", "<1> did not come back"),
        ("<1>Ann</1> met <2>Bob", "</2> did not come back"),
        ("<1>Ann</1> <1>met</1> <2>Bob</2>", "<1> came back twice"),
        ("</1>Ann<1> met <2>Bob</2>", "</1> came back before <1>"),
        ("<1> </1>Ann met <2>Bob</2>", "nothing came back between <1> and </1>"),
        ("<1>Ann</1> met <2>Bob</2> <3>x</3>", "<3> was not given"),
        ("<1>Ann <2>met</1> Bob</2>", "cross"),
    ],
)
def test_broken_markers_are_told(given, reason):
    with pytest.raises(ValueError, match=reason):
        unmark(given, 2)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (Marked("a <1> b", ((0, 1),)), "a marker of its own: <1>"),
        (Marked("ab", ((1, 1),)), "empty or outside"),
        (Marked("ab", ((0, 3),)), "empty or outside"),
        (Marked("abcd", ((0, 2), (1, 3))), "cross"),
    ],
)
def test_what_cannot_be_marked_fails_alone(item, reason):
    """And is not sent; the others are translated."""
    sent = []

    def upper(texts, source, target):
        sent.extend(texts)
        return [text.upper() for text in texts]

    good = Marked("ok", ((0, 2),))
    failure, whole = translate_marked(upper, [item, good], "en", "de")
    assert isinstance(failure, Failure) and reason in failure.reason
    assert whole == Marked("OK", ((0, 2),)) and sent == ["<1>ok</1>"]


def test_a_text_without_spans_goes_and_comes_as_it_is():
    """Markers in it are its own, and may be lost."""
    items = [Marked("see <2> and </1>"), Marked("a", ((0, 1),))]
    upper = lambda texts, *_: [text.upper().replace("<2>", "") for text in texts]  # noqa: E731
    assert translate_marked(upper, items, "en", "de") == [
        Marked("SEE  AND </1>"), Marked("A", ((0, 1),))
    ]  # fmt: skip
    assert mark(items[0]) == items[0].text and unmark(items[0].text, 0) == items[0]
