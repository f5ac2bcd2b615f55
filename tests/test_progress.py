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
