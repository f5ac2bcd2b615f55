import pytest

from polyrank.corpus.shingles import shingles


def test_shingles_by_hand():
    assert shingles("abcdef") == (["abcde", "bcdef"], 2)
    assert shingles("ab") == (["ab"], 1)
    assert shingles("12, 34!") == ([], 0)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("abcdef", 0),
        ("aaaaaaaaa", 0.8),  # five times "aaaaa": four of five repeat
        ("no no no no", 1 - 3 / 7),  # "no no", "o no ", " no n", each again but the last
        ("", 0),
    ],
)
def test_repetition_by_hand(text, share):
    assert shingles(text).repetition == pytest.approx(share)


def test_case_punctuation_digits_and_composition_do_not_count():
    assert shingles("Суу 100° кайнайт.") == shingles("суу 99° кайнайт!")
    assert shingles("caf\u00e9 noir") == shingles("cafe\u0301 NOIR")
