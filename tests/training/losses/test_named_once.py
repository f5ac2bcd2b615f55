"""A loss is named in one place: with a row it is listed, parsed, suggested and trained with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from polyrank.errors import UsageError
from polyrank.training.language import language_objective
from polyrank.training.losses import LOSSES, by_name, catalogue, parse_loss
from polyrank.training.losses.named import Named
from polyrank.training.losses.sums import Parameter


def squared_hinge(scores, teacher, mask, margin=1.0):
    """max(0, margin − s⁺ + s⁻)², the mean over existing negatives."""
    violation = (margin - scores[:, :1] + scores[:, 1:]).clamp(min=0).square()
    return violation[mask[:, 1:]].mean()


NEW = Named(
    "hinge", squared_hinge, "a margin of its own", "here", parameters={"margin": Parameter(1.0)}
)


@pytest.fixture
def new_loss(monkeypatch):
    monkeypatch.setitem(by_name.LOSSES, NEW.name, NEW)


def test_a_new_row_is_listed_parsed_and_computed(new_loss):
    assert "hinge(margin=1)\tlabels\ta margin of its own\there" in catalogue().splitlines()
    loss = parse_loss("0.5*Hinge(margin=2)+infonce")
    assert loss.name == "0.5*hinge(margin=2)+infonce" and not loss.needs_teacher
    assert parse_loss("squared-hinge").name == "hinge"  # by its function's name
    scores, mask = torch.tensor([[3.0, 2.0, 9.0]]), torch.tensor([[True, True, False]])
    assert parse_loss("hinge(margin=2)")(scores, None, mask) == 1.0  # (2 - 3 + 2)²
    with pytest.raises(UsageError, match="Did you mean 'hinge'"):
        parse_loss("hinges")
    with pytest.raises(UsageError, match="has no parameter 'width=1'; it has: margin"):
        parse_loss("hinge(width=1)")


def test_the_command_line_lists_it(new_loss, capsys):
    from polyrank.cli.train.losses import losses

    losses()
    assert "\nhinge(margin=1)\t" in capsys.readouterr().out


def test_a_new_language_loss_is_listed_and_parsed(monkeypatch):
    row = language_objective.Named("pairs", "far apart", "here", compare=lambda aligned: None)
    monkeypatch.setitem(language_objective.LOSSES, "apart", row)
    assert "apart\tpairs\tfar apart\there" in language_objective.catalogue().splitlines()
    objective = language_objective.parse_objective("0.1*apart+mlm", text=True, pairs=True)
    assert str(objective) == "0.1*apart+masked" and objective.aligned


def test_the_names_are_the_rows():
    for losses in (LOSSES, language_objective.LOSSES):
        assert losses and all(re.fullmatch(r"[a-z_]+", name) for name in losses)
    assert all(name == named.name for name, named in LOSSES.items())
    page = Path(__file__).parents[3] / "docs" / "guides" / "train-a-ranking-module.md"
    told = re.search(r"`--loss` takes one of (\d+) losses", page.read_text(encoding="utf-8"))
    assert told and int(told[1]) == len(LOSSES)
