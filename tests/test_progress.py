"""What the user sees: no text from outside commands the terminal."""

import pytest

from polyrank.progress import note, printable, say

HOSTILE = "\x1b[2J\x1b]0;title\x07 \x9b31m \x7f \r\b safe\ttab\nline"


def test_control_characters_are_shown_and_not_obeyed(capsys):
    note(HOSTILE)
    say(HOSTILE, 3, sep="\t")
    told = capsys.readouterr()
    for text in (told.out, told.err):
        assert not set(text) & {"\x1b", "\x07", "\x9b", "\x7f", "\r", "\b"}
        assert "safe\ttab\nline" in text


@pytest.mark.parametrize(
    "text", ["زبان فارسی", "ภาษาไทย", "中文 e\u0301", "👩\u200d🚀", "a\u2066b\u2069"]
)
def test_texts_stay_as_they_are(text):
    assert printable(text) == text


def test_a_line_a_minute_without_a_terminal(monkeypatch, capsys):
    from polyrank import progress

    clock = iter([0.0, 30.0, 61.0, 90.0, 130.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.bar("reranking", 1000) as drawn:
        for _ in range(4):
            drawn.advance(100)
    assert capsys.readouterr().err.splitlines() == [
        "polyrank: reranking: 200 of 1,000 after 1 min",
        "polyrank: reranking: 400 of 1,000 after 2 min",
    ]
