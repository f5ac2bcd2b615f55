"""Plan models learn what can be learned, resume to the same weights, and refuse what is useless."""

from __future__ import annotations

import pytest
import torch

from polyrank.errors import Interrupted, UsageError
from polyrank.summaries.articles import Article
from polyrank.summaries.planner import TrainedPlanner
from polyrank.summaries.search import beam
from polyrank.summaries.units import units_of
from polyrank.training.plans.examples import collated
from polyrank.training.plans.recipe import PlanRecipe
from polyrank.training.plans.train_plan import train_plan_model

WORDS = ("water", "ice", "river", "stone", "wind", "fire")
SIZES = {"fineness": "sentence", "longest": 2, "inner": 16, "batch_size": 8, "rate": 0.02}


def articles(count=20, told=2):
    """Articles of four sentences, of which the reference is the last but one."""
    made = []
    for number in range(count):
        names = [WORDS[(number + i) % 6] + "abcdef"[(number // 6 + i) % 6] for i in range(4)]
        sentences = [f"the {name} is here." for name in names]
        made.append(Article(str(number), " ".join(sentences), "en", names[told]))
    return made


def test_it_learns_which_sentence_is_told(tiny_bert, tmp_path):
    card = train_plan_model(articles(), tmp_path / "plan", str(tiny_bert), steps=40, **SIZES)
    assert card.figures["perplexity after"] < 1.3 < card.figures["perplexity before"]
    assert card.recipe["articles learned from"] == 18 and card.longest == 2
    assert not (tmp_path / "plan.work").exists()
    planner, fineness = TrainedPlanner.load(tmp_path / "plan", str(tiny_bert), device="cpu")
    assert (planner.longest, fineness) == (2, "sentence")
    article = articles(21)[20]
    units = units_of(article.text, "en", fineness)
    plans = beam(planner.steps(article, units), 4, planner.longest)
    assert plans[0].plan == (2,) and len(plans) == 4


def test_what_is_left_out_is_counted(tiny_bert, tmp_path, capsys):
    told = articles(17)
    without = [Article(f"w{n}", told[0].text, "en", " " * n) for n in range(3)]
    foreign = [Article(f"f{n}", told[0].text, "en", "nothing") for n in range(2)]
    card = train_plan_model(
        [*without, *told, *foreign], tmp_path / "plan", str(tiny_bert), steps=1, **SIZES
    )
    said = capsys.readouterr().err
    assert "articles without a reference, which teach nothing (3 times)" in said
    assert "articles that share no word with their reference, which teach nothing (2 times)" in said
    assert card.recipe["articles learned from"] + card.figures["held-out articles"] == 17


def test_a_stopped_run_goes_on_to_the_same_weights(tiny_bert, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    from polyrank.training.plans import train_plan

    asked = {**SIZES, "steps": 6}
    train_plan_model(articles(), tmp_path / "whole", str(tiny_bert), **asked)
    loss, calls = train_plan.shared_loss, []

    def stopping(model, batch):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return loss(model, batch)

    schedule = train_plan.Schedule
    monkeypatch.setattr(train_plan, "Schedule", lambda **kw: schedule(**kw, save_every=2))
    monkeypatch.setattr(train_plan, "shared_loss", stopping)
    with pytest.raises(Interrupted, match="step 4"):
        train_plan_model(articles(), tmp_path / "part", str(tiny_bert), **asked)
    with pytest.raises(UsageError, match="rate was 0.02, is 0.1"):
        train_plan_model(
            articles(), tmp_path / "part", str(tiny_bert), **{**asked, "rate": 0.1}, resume=True
        )
    train_plan_model(articles(), tmp_path / "part", str(tiny_bert), **asked, resume=True)
    assert len(calls) == 5 + 2
    one, other = (load_file(tmp_path / name / "plan.safetensors") for name in ("whole", "part"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_what_teaches_nothing(tiny_bert, tmp_path):
    without = [Article(one.id, one.text, "en") for one in articles(12)]
    with pytest.raises(UsageError, match="0 articles have a reference"):
        train_plan_model(without, tmp_path / "plan", str(tiny_bert))
    foreign = [Article(one.id, one.text, "en", "nothing") for one in articles(12)]
    with pytest.raises(UsageError, match="only 0 of 12 articles share a word"):
        train_plan_model(foreign, tmp_path / "plan", str(tiny_bert), fineness="sentence")
    with pytest.raises(UsageError, match="not 'word'"):
        PlanRecipe("any", (), fineness="word")
    with pytest.raises(UsageError, match="1 or more"):
        PlanRecipe("any", (), longest=0)
    for wrong in ({"seed": -1}, {"rate": float("nan")}, {"rate": float("inf")}):
        with pytest.raises(UsageError, match="0 or more"):
            PlanRecipe("any", (), **wrong)


def test_batches_are_padded():
    from polyrank.training.plans.examples import PlanBatches, PlanExample

    examples = [PlanExample(torch.ones(2, 3), (1,)), PlanExample(torch.ones(4, 3), (0, 2, 3))]
    batch = collated(examples)
    assert batch["plans"].tolist() == [[1, -1, -1], [0, 2, 3]]
    assert batch["live"].sum(dim=1).tolist() == [2, 4] and batch["vectors"].shape == (2, 4, 3)
    batches = PlanBatches(examples, 5, 1)
    assert torch.equal(batches(3)["plans"], batches(3)["plans"])
