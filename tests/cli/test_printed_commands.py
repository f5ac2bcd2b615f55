"""The commands that error messages tell a user to run are commands that there are."""

import shlex

import pytest
import typer

from polyrank.modules.card import train_command


@pytest.mark.parametrize(
    ("role", "kind"), [("language", "adapter"), ("ranking", "adapter"), ("ranking", "full")]
)
def test_a_train_command_parses(role, kind):
    from polyrank.cli.app import app

    words = shlex.split(train_command("tiny", role, kind, "ky"))
    assert words[:3] == ["polyrank", "train", role]
    command = typer.main.get_command(app).commands["train"].commands[role]
    parsed = command.make_context(role, words[3:])  # raises on an unknown or a missing option
    assert parsed.params["output"].name == "ky"


@pytest.mark.parametrize("kind", ["adapter", "mask", "full"])
def test_a_command_for_late_interaction_trains_that_kind(kind):
    from polyrank.cli.app import app

    words = shlex.split(train_command("tiny", "ranking", kind, "li", late=True))
    command = typer.main.get_command(app).commands["train"].commands["late-interaction"]
    parsed = command.make_context("late-interaction", words[3:]).params
    assert parsed["output"].parent.name == kind
    asked = {"recipe": parsed["recipe"], "kind": parsed["kind"]}
    expected = {"recipe": "colbert-xm" if kind == "full" else "modular"}
    assert asked == {**expected, "kind": None if kind == "full" else kind}


@pytest.mark.parametrize("kind", ["adapter", "mask"])
def test_a_base_for_retrieval_learns_languages_from_pairs(kind, tmp_path, monkeypatch):
    from polyrank.cli.app import app

    from polyrank.base import BaseCard
    from polyrank.base.card import write_base_card

    words = shlex.split(train_command("e5-small", "language", kind, "ti"))
    command = typer.main.get_command(app).commands["train"].commands["language"]
    parsed = command.make_context("language", words[3:]).params
    assert parsed["parallel"].name == "PAIRS.tsv" and parsed["text"] is None
    assert "--text ti.txt" in train_command("tiny", "language", kind, "ti")
    assert "--parallel" in train_command("tiny", "language", kind, "ti", vectors=True)
    folder = tmp_path / "zoo" / "tiny" / "base"
    folder.mkdir(parents=True)
    write_base_card(BaseCard(vectors=True), folder)
    monkeypatch.setenv("POLYRANK_ZOO", str(tmp_path / "zoo"))
    assert "--parallel" in train_command("tiny", "language", kind, "ti")
    (folder / "polyrank_base.json").write_text("{")  # the message that this hint is in stays
    assert "--text" in train_command("tiny", "language", kind, "ti")
