"""Units by the stated rules, by hand; spans that are within the text, whatever it is."""

from __future__ import annotations

import pytest

from polyrank.errors import UsageError
from polyrank.summaries.units import extract, texts_of, units_of


def split(text, language="en", fineness="clause"):
    return texts_of(text, units_of(text, language, fineness))


def test_sentences_and_their_clauses():
    text = "Dr. Smith went home early today, because he was far too tired. He slept, then."
    assert split(text, fineness="sentence") == [text[:62], text[63:]]
    assert split(text) == [
        "Dr. Smith went home early today,",
        "because he was far too tired.",
        "He slept, then.",  # one word behind the comma
    ]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("one two three four five; six seven eight nine ten", "en", 2),
        ("one two three four five – six seven eight nine ten", "en", 2),
        ("one two three four five-six seven eight nine ten", "en", 1),
        ("it cost 1,000 dollars in the end, as they said, more or less it did", "en", 2),
        ('"one two three four five," six seven eight nine ten', "en", 2),
        ("今天的天气非常好，我们去公园散步。好吗？", "zh", 3),
        ("واحد اثنان ثلاثة أربعة خمسة، ستة سبعة ثمانية تسعة عشرة", "ar", 2),
        ("", "en", 0),
        (" ... !\n", "en", 0),
        ("a b", None, 1),
        ("A b. C d, e. Fgh.\n\nIjk.  Fgh.", "ky", None),
    ],
)
def test_rules_in_several_scripts(text, language, expected):
    units = units_of(text, language)
    assert expected in (None, len(units))
    flat = [place for unit in units for place in unit]
    assert flat == sorted(flat) and all(start < end for start, end in units)
    assert all(piece == piece.strip() for piece in texts_of(text, units))
    kept = "".join(texts_of(text, units)).split()
    assert not units or "".join(kept) == "".join(text.split())  # nothing is lost but blanks


def test_an_extract_keeps_the_order_and_what_stands_between_neighbours():
    text = "One a.  Two b.\nThree c. Four d."
    units = ((0, 6), (8, 14), (15, 23), (24, 31))
    assert extract(text, units, (0, 1)) == "One a.  Two b."
    assert extract(text, units, (0, 2, 3)) == "One a. Three c. Four d."
    assert extract(text, units, ()) == ""


def test_another_fineness():
    with pytest.raises(UsageError, match="clause or sentence, not 'word'"):
        units_of("a", "en", "word")
