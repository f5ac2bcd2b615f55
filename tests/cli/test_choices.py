"""Options that take one of some names have the library's."""

import typer
from polyrank.cli import options
from polyrank.cli.choices import Choice
from typer.testing import CliRunner

from polyrank.composition.plan import FALLBACKS, ROUTINGS
from polyrank.modules.kinds import language_kinds


class Colour(Choice, names=("red", "near-red", "none")):  # type: ignore[call-arg]
    """Of a toy option."""


def test_a_choice_is_an_enum_of_the_names():
    assert [colour.value for colour in Colour] == ["red", "near-red", "none"]
    assert Colour.near_red is Colour("near-red") and Colour.none.name == "none"
    assert {Colour.red: 1}[Colour("red")] == 1


def test_typer_shows_the_names_and_refuses_others():
    app = typer.Typer(rich_markup_mode=None, add_completion=False)

    @app.command()
    def paint(colour: Colour = Colour.near_red) -> None:
        print(colour.value)

    shown = CliRunner().invoke(app, ["--help"]).output
    assert "red|near-red|none" in shown and "[default: near-red]" in shown
    assert CliRunner().invoke(app, ["--colour", "red"]).output == "red\n"
    refused = CliRunner().invoke(app, ["--colour", "blue"])
    assert refused.exit_code == 2 and "'blue' is not one of 'red', 'near-red', 'none'" in (
        refused.output
    )


def test_names_that_the_options_repeat_are_those_of_the_library():
    assert options.ROUTINGS == ROUTINGS and options.FALLBACKS == FALLBACKS
    assert options.language_kinds() == language_kinds()
