"""Vectors of units, the pointer network, its loss and its folder."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log

import pytest
import torch

from polyrank.errors import ModuleError
from polyrank.notes import Notebook
from polyrank.summaries import planner
from polyrank.summaries.plan_folder import PlanCard, load_plan_model, save_plan_model
from polyrank.summaries.plan_model import PlanModel, plan_loss
from polyrank.summaries.planner import by_model
from polyrank.summaries.unit_vectors import UnitEncoder

TEXT = "the water boils.  ice melts at once. the river is long and it is cold, so they say to us."
UNITS = ((0, 16), (18, 36), (37, 70), (71, 89))


@pytest.fixture
def model():
    torch.manual_seed(3)
    made = PlanModel(6, 8).eval()
    for parameter in (made.begin, made.end):
        torch.nn.init.normal_(parameter)
    return made


def test_vectors_of_units_are_means_of_their_tokens(carded_base):
    """Token by token, from one text that fits into a window."""
    units = UNITS[:2]
    prefix = carded_base.card.passage_prefix
    found = UnitEncoder(carded_base, Notebook(), "cpu")(TEXT, units)
    inputs = carded_base.tokenizer(
        prefix + TEXT[:36], return_offsets_mapping=True, return_tensors="pt"
    )
    offsets = inputs.pop("offset_mapping")[0].tolist()
    with torch.inference_mode():
        states = carded_base.model(**inputs).last_hidden_state[0]
    for vector, (start, end) in zip(found, units, strict=True):
        first, last = start + len(prefix), end + len(prefix)
        own = [i for i, (a, b) in enumerate(offsets) if b > a and first < b <= last]
        assert vector.numpy() == pytest.approx(states[own].mean(dim=0).numpy(), abs=1e-5)


def test_a_long_text_is_read_in_windows(carded_base):
    notebook = Notebook()
    encode = UnitEncoder(carded_base, notebook, "cpu")
    found = encode(TEXT * 9, UNITS)
    assert len(list(encode._windows(TEXT, UNITS))) > 1
    assert found.shape == (4, 32) and found.abs().sum(dim=1).min() > 0
    assert not notebook.notes
    long = "water " * 40
    assert encode(long, ((0, len(long) - 1),)).isfinite().all()
    assert notebook.notes.of_kind("cut").total() == 1


def test_what_stands_between_units_takes_room(carded_base):
    """Each unit's window is its own, as if the others were not there."""
    notebook = Notebook()
    encode = UnitEncoder(carded_base, notebook, "cpu")
    between = " - " * (encode.limit // 2)
    text = between.join(TEXT[start:end] for start, end in UNITS)
    units, start = [], 0
    for first, last in UNITS:
        units.append((start, start + last - first))
        start = units[-1][1] + len(between)
    found = encode(text, units)
    assert not notebook.notes
    for vector, (start, end) in zip(found, units, strict=True):
        (alone,) = encode(text[start:end], ((0, end - start),))
        assert vector.numpy() == pytest.approx(alone.numpy(), abs=1e-5) and alone.abs().sum() > 0


def test_units_that_are_cut_are_counted(carded_base, monkeypatch):
    notebook = Notebook()
    encode = UnitEncoder(carded_base, notebook, "cpu")
    monkeypatch.setattr(encode, "_windows", lambda text, units: iter([(0, len(units))]))
    words = encode.limit  # the prefix and the ends take some of them
    text = "water " * words
    encode(text, ((0, 12), (12, len(text) - 12), (len(text) - 12, len(text))))
    assert notebook.notes.of_kind("cut").total() == 2  # the middle in part, the last whole


def test_steps_are_probabilities_of_what_may_come(model):
    vectors = torch.randn(2, 4, 6)
    live = torch.tensor([[True] * 4, [True, True, False, False]])
    plans = torch.tensor([[0, 2], [1, -1]])
    found = model(vectors, live, plans).exp()  # (2, 3, 5)
    assert found[:, :2].sum(dim=-1).flatten().tolist() == pytest.approx([1] * 4)
    possible = (found > 0).tolist()
    assert possible[0][0] == [True, True, True, True, False]  # no plan is empty
    assert possible[0][1] == [False, True, True, True, True]
    assert possible[0][2] == [False, False, False, True, True]
    assert possible[1][:2] == [[True, True] + [False] * 3, [False] * 4 + [True]]


def test_padding_changes_nothing(model):
    vectors, plans = torch.randn(1, 3, 6), torch.tensor([[0, 2]])
    alone = model(vectors, torch.ones(1, 3, dtype=torch.bool), plans)
    wide = torch.cat([vectors, torch.full((1, 2, 6), 9.0)], dim=1)
    live = torch.tensor([[True] * 3 + [False] * 2])
    padded = model(wide, live, torch.tensor([[0, 2, -1]]))
    assert torch.allclose(padded[:, :3, [0, 1, 2, 5]], alone, atol=1e-6)
    losses = plan_loss(alone, plans), plan_loss(padded, torch.tensor([[0, 2, -1]]))
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-6)


def test_the_loss_by_hand():
    """A plan (1,) of two units: −(log .25 + log .5) / 2; behind its end nothing counts."""
    steps = torch.tensor([[[0.75, 0.25, 0.0], [0.0, 0.5, 0.5], [0.3, 0.3, 0.4]]]).log()
    found = plan_loss(steps, torch.tensor([[1, -1]]))
    assert found.item() == pytest.approx(1.5 * log(2), abs=1e-6)


def test_the_gradient_is_finite(model):
    vectors = torch.randn(2, 3, 6)
    live = torch.tensor([[True] * 3, [True, False, False]])
    plans = torch.tensor([[0, 1, 2], [0, -1, -1]])
    plan_loss(model(vectors, live, plans), plans).mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_a_planner_continues_what_is_begun(model):
    vectors = torch.randn(4, 6)
    live = torch.ones(1, 4, dtype=torch.bool)
    whole = model(vectors[None], live, torch.tensor([[0, 2]]))[0]
    steps = by_model(model, vectors)
    for begun, row in (((), 0), ((0,), 1), ((0, 2), 2)):
        assert steps([begun])[0] == pytest.approx(whole[row].detach().numpy(), abs=1e-5)


def test_units_are_read_once_and_plans_go_in_batches(model, monkeypatch):
    monkeypatch.setattr(planner, "AT_ONCE", 2)
    vectors, plans = torch.randn(4, 6), [(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)]
    whole = model(vectors.expand(5, -1, -1), torch.ones(5, 4, dtype=torch.bool),
                  torch.tensor(plans))  # fmt: skip
    calls = []
    model.units.register_forward_hook(lambda *_: calls.append(1))
    steps = by_model(model, vectors)
    steps([()])
    assert steps(plans) == pytest.approx(whole[:, -1].detach().numpy(), abs=1e-5)
    assert len(calls) == 1


def test_a_folder_holds_the_model_and_what_it_is_for(tiny_folder, tiny_base, tmp_path):
    torch.manual_seed(1)
    model = PlanModel(32, 8)
    card = PlanCard(tiny_base.name, tiny_base.fingerprint, "sentence", 4, 32, 8)
    written = save_plan_model(model, tmp_path / "plan", card)
    again, read, base = load_plan_model(tmp_path / "plan", str(tiny_folder))
    assert read == written and base.fingerprint == tiny_base.fingerprint
    assert all(torch.equal(t, again.state_dict()[n]) for n, t in model.state_dict().items())

    other = replace(card, base_fingerprint=replace(tiny_base.fingerprint, weights="0"))
    save_plan_model(model, tmp_path / "other", other)
    with pytest.raises(ModuleError, match="was made for base"):
        load_plan_model(tmp_path / "other", str(tiny_folder))
    with pytest.raises(ModuleError, match="no polyrank_plan.json"):
        load_plan_model(tmp_path)
    (tmp_path / "plan" / "plan.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModuleError, match="was altered"):
        load_plan_model(tmp_path / "plan", str(tiny_folder))
    path = tmp_path / "other" / "polyrank_plan.json"
    path.write_text(json.dumps({"format_version": 9}))
    with pytest.raises(ModuleError, match="cannot be read"):
        load_plan_model(tmp_path / "other")
