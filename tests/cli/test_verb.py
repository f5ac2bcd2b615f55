"""What holds for every verb: numbers that are none are refused, by the option's name."""

from types import SimpleNamespace

import pytest
import typer

from polyrank.errors import UsageError

ROWS = ("--queries", "absent.jsonl", "--output", "m")


def verbs(command):
    """Every command beneath a group."""
    for each in getattr(command, "commands", {"": command}).values():
        yield from [each] if each is command else verbs(each)


def test_every_verb_is_checked():
    from polyrank.cli.app import app
    from polyrank.cli.verb import Verb

    found = list(verbs(typer.main.get_command(app)))
    assert len(found) > 40 and all(isinstance(verb, Verb) for verb in found)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused(value):
    from polyrank.cli.verb import refuse_endless

    options = [SimpleNamespace(name="min_probability", opts=["--min-probability"])]
    refuse_endless(options, {"min_probability": 0.5, "of_the_group": value})
    refuse_endless(options, {"min_probability": None})
    with pytest.raises(UsageError, match=f"--min-probability is {value}; give a finite number"):
        refuse_endless(options, {"min_probability": value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rate", "inf"), "--rate is inf; give a finite number"),
        (("--kind", "mask", "--k", "inf"), "--k is inf; give a finite number"),
        (("--rate", "0"), "rate is 0.0; give a number above 0"),  # which is not 'the usual one'
    ],
)
def test_it_is_refused_before_data_are_read(options, message, polyrank, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = polyrank("train", "ranking", *ROWS, *options)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []
