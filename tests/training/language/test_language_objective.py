"""What a language module is trained for: sums as text, and what they need."""

import pytest

from polyrank.errors import UsageError
from polyrank.training.language.language_objective import LOSSES, catalogue, parse_objective


@pytest.mark.parametrize(
    ("loss", "text", "pairs", "written"),
    [
        (None, True, False, "masked"),
        (None, False, True, "distance+0.3*contrast"),
        (None, True, True, "distance+0.3*contrast+0.1*masked"),
        ("mlm + align", True, True, "masked+distance+0.3*contrast"),
        ("0.5*align+tokens(temperature=0.1)", False, True,
         "0.5*distance+0.15*contrast+tokens(temperature=0.1)"),
        ("contrast(temperature=0.05)+TLM", False, True, "contrast+translation"),
    ],
)  # fmt: skip
def test_what_is_written_is_read_back(loss, text, pairs, written):
    objective = parse_objective(loss, text, pairs)
    assert str(objective) == written
    assert parse_objective(written, text, pairs) == parse_objective(str(objective), text, pairs)


@pytest.mark.parametrize(
    ("loss", "text", "pairs", "message"),
    [
        (None, False, False, "give --text, --parallel or both"),
        ("align", True, True, "does not read --text; leave it out"),
        ("mlm", True, True, "does not read --parallel; leave it out"),
        ("align+mlm", False, True, "learns from text; give --text FILE"),
        ("align", True, False, "learns from pairs; give --parallel FILE"),
        ("align+distance", False, True, "names 'distance' twice"),
        ("mask", True, False, "unknown loss 'mask'. Did you mean 'masked'?"),
        ("distance(temperature=2)", False, True, "'distance' has no parameter"),
        ("distance+", False, True, "cannot be read at"),
        ("0*distance", False, True, "give one above 0"),
    ],
)
def test_what_does_not_fit_says_what_would(loss, text, pairs, message):
    with pytest.raises(UsageError) as error:
        parse_objective(loss, text, pairs)
    assert message in str(error.value)


def test_what_is_needed():
    both = parse_objective("align+0.1*mlm", True, True)
    assert both.masked and both.aligned and "contrast" in both and "tokens" not in both
    assert not parse_objective("tlm", False, True).aligned


def test_all_are_listed():
    assert all(any(row.startswith(name) for row in catalogue().splitlines()) for name in LOSSES)


@pytest.mark.parametrize(
    ("loss", "aligned"), [("masked", False), ("tlm", False), ("align", True), ("tokens", True)]
)
def test_which_losses_keep_translations_together(loss, aligned):
    on_text = loss == "masked"
    assert parse_objective(loss, text=on_text, pairs=not on_text).aligned is aligned
