"""What a training warns of: text in another language, and measures that got worse."""

import pytest

from polyrank.training.loop.warnings import tell_foreign, tell_worse

ENGLISH = ["The children were playing near the river.", "It rained all day in the old town."]
RUSSIAN = ["Дети играли у реки весь день.", "В старом городе целый день шёл дождь."]


def test_text_in_another_language_is_told_with_what_to_do(capsys):
    tell_foreign([*ENGLISH, *RUSSIAN], "en")
    told = capsys.readouterr().err
    assert "2 of 4 texts" in told and "'ru'" in told and "polyrank corpus clean" in told
    tell_foreign(ENGLISH * 5 + RUSSIAN[:1], "en")  # a line or two are no reason
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("after", "worse"),
    [
        ({"perplexity": 9.0, "accuracy own": 0.6}, None),
        ({"perplexity": 11.0, "accuracy own": 0.6}, "perplexity"),
        ({"perplexity": 9.0, "accuracy own": 0.4}, "accuracy own"),
    ],
)
def test_a_measure_that_got_worse(after, worse, capsys):
    tell_worse({"perplexity": 10.0, "accuracy own": 0.5}, after)
    told = capsys.readouterr().err
    assert f"held-out {worse} got worse" in told if worse else told == ""
