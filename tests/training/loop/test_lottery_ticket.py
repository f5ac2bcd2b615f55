"""LT-SFT: selection, rewind and sparse phase by hand, and resumed in either phase."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from polyrank.errors import UsageError
from polyrank.training.loop import lottery_ticket
from polyrank.training.loop.lottery_ticket import Sparsity, train_sparse
from polyrank.training.loop.steps import Schedule


class Toy(nn.Module):
    """An 'encoder' of two tensors, LayerNorm weights among them, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Module()
        self.inner.encoder = nn.Module()
        self.inner.encoder.weight = nn.Parameter(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        self.inner.encoder.LayerNorm = nn.Parameter(torch.tensor([1.0, 1.0]))
        self.head = nn.Parameter(torch.tensor([5.0]))

    @property
    def base_model(self) -> nn.Module:
        return self.inner


PULL = torch.tensor([0.0, 3.0, -1.0, 2.0])  # gradient of the loss at each weight


def loss(model, batch):
    return (model.inner.encoder.weight * PULL).sum() + model.head.sum()


def make(step):
    return {"step": torch.tensor([step])}


def schedule(steps=4):
    return Schedule(steps=steps, rate=0.1, warmup=0.0, seed=1, bf16=False, save_every=1)


def test_selection_rewind_and_sparse_phase_by_hand(tmp_path):
    """AdamW moves by the rate, whatever the size of a constant gradient: the changes of the full
    phase are equal at the positions 1, 2, 3, so the tie goes to the lower two."""
    model = Toy()
    differences, facts = train_sparse(
        model, make, loss, schedule(), Sparsity(2, freeze_norms=True), tmp_path
    )
    # four steps with linear decay from .1: .1 + .075 + .05 + .025 = .25, against the gradient
    moved = differences["encoder.weight"]
    assert moved.indices.tolist() == [1, 2]
    assert moved.values.tolist() == pytest.approx([-0.25, 0.25], abs=1e-5)
    assert list(differences) == ["encoder.weight"]
    weight = model.inner.encoder.weight.tolist()
    assert weight == pytest.approx([1.0, 1.75, 3.25, 4.0], abs=1e-5)
    assert weight[0] == 1.0 and weight[3] == 4.0  # rewound exactly, not moved since
    assert model.head.item() == pytest.approx(4.75, abs=1e-5)  # .5 if it were not rewound
    assert (facts["steps"], facts["full_steps"], facts["k"]) == (4, 4, 2)
    assert facts["candidate_coordinates"] == 4


def test_iterations_share_k_and_keep_what_was_chosen(tmp_path):
    chosen = train_sparse(
        Toy(), make, loss, schedule(), Sparsity(3, iterations=2, freeze_norms=True), tmp_path
    )[0]["encoder.weight"]
    # one in the first round; it moved by .5 in the end, the two of the second round by .25
    assert chosen.indices.tolist() == [1, 2, 3]
    assert chosen.values.tolist() == pytest.approx([-0.5, 0.25, -0.25], abs=1e-5)


def test_l1_pulls_back_to_the_start(tmp_path):
    """Where the pull outweighs the gradient, the weight jitters about the start by less than a
    step instead of walking away."""
    strong = Sparsity(4, l1=70.0, freeze_norms=True)  # over 7 parameters: 10 against at most 3
    pulled = train_sparse(Toy(), make, loss, schedule(20), strong, tmp_path / "a")[0]
    free = train_sparse(
        Toy(), make, loss, schedule(20), Sparsity(4, freeze_norms=True), tmp_path / "b"
    )[0]
    moved = pulled["encoder.weight"].values.abs().max()
    assert moved < 0.2 < 1.0 < free["encoder.weight"].values.abs().max()


def test_no_hook_is_left_on_the_model(tmp_path):
    model = Toy()
    train_sparse(model, make, loss, schedule(1), Sparsity(2, l1=1.0), tmp_path)
    for parameter in model.parameters():
        parameter.grad = None
    loss(model, make(0)).backward()
    assert torch.equal(model.inner.encoder.weight.grad, PULL)  # neither pulled nor masked


@pytest.mark.parametrize(
    "sparsity", [Sparsity(7), Sparsity(0.01), Sparsity(2, iterations=3)], ids=str
)
def test_a_number_that_cannot_be_is_refused_before_training(tmp_path, sparsity):
    def never(step):
        raise AssertionError("trained")

    with pytest.raises(UsageError, match="coordinates cannot be chosen from 6 in"):
        train_sparse(Toy(), never, loss, schedule(), sparsity, tmp_path)


@pytest.mark.parametrize("phase", ["full", "sparse"])
def test_a_diverged_training_says_so(tmp_path, phase):
    """The batches of both phases are the same, but only the sparse one has a fourth step."""

    def lost(model, batch):
        late = int(batch["step"]) == (3 if phase == "sparse" else 1)
        return loss(model, batch) * (float("nan") if late else 1.0)

    with pytest.raises(UsageError, match="the training diverged"):
        train_sparse(Toy(), make, lost, schedule(4), Sparsity(2, full_steps=3), tmp_path)


def test_a_share_counts_candidates(tmp_path):
    _, facts = train_sparse(Toy(), make, loss, schedule(1), Sparsity(0.5), tmp_path)
    assert facts["k"] == 3  # of four weights and two norms


@pytest.mark.parametrize(
    "phase",
    [
        "sparse-1",
        *(pytest.param(x, marks=pytest.mark.slow) for x in ("full-0", "sparse-0", "full-1")),
    ],
)
def test_resumed_in_any_phase_equals_uninterrupted(tmp_path, monkeypatch, phase):
    sparsity = Sparsity(3, iterations=2)
    torch.manual_seed(0)
    batches = torch.randn(8, 4)

    def noisy(model, batch):
        weight = model.inner.encoder.weight
        pull = batches[int(batch["step"])]
        return ((weight - pull) ** 2).sum() + (model.inner.encoder.LayerNorm * weight[:2]).sum()

    def train(folder, resume=False):
        return train_sparse(Toy(), make, noisy, schedule(8), sparsity, folder, resume)[0]

    whole = train(tmp_path / "whole")

    class Killed(Exception):
        pass

    real_fit = lottery_ticket.fit

    def cut(model, make, loss, plan, work, resume, callbacks=()):
        if work.name != phase:
            return real_fit(model, make, loss, plan, work, resume, callbacks)

        def until(step):
            if step == 5:
                raise Killed
            return make(step)

        return real_fit(model, until, loss, plan, work, resume)

    monkeypatch.setattr(lottery_ticket, "fit", cut)
    with pytest.raises(Killed):
        train(tmp_path / "cut")
    monkeypatch.setattr(lottery_ticket, "fit", real_fit)
    resumed = train(tmp_path / "cut", resume=True)
    for name, difference in whole.items():
        assert torch.equal(difference.indices, resumed[name].indices)
        assert torch.equal(difference.values, resumed[name].values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "--k is 0"),
        ({"k": 2.5}, "--k is 2.5"),
        ({"k": float("nan")}, "--k is nan"),
        ({"k": float("inf")}, "--k is inf"),
        ({"k": 5, "candidates": "head"}, "unknown candidates 'head'"),
        ({"k": 5, "iterations": 0}, "--iterations must be 1 or more"),
        ({"k": 5, "l1": -1.0}, "--l1 not below 0"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UsageError, match=message):
        Sparsity(**options)
