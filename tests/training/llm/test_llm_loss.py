"""The loss of a batch: by hand, and what it may not depend on."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from polyrank.training.llm.llm_loss import LLMLoss, logits_at
from polyrank.training.llm.sample import Reading, Sample, collated
from polyrank.training.losses import parse_loss


def _batch(questions, width, teacher=None, pad=0):
    mask = torch.zeros(len(questions), width, dtype=torch.bool)
    for row, samples in enumerate(questions):
        mask[row, : sum(len(sample.readings) for sample in samples) or width] = True
    given = torch.zeros(mask.shape) if teacher is None else teacher
    return {
        **collated(questions, pad),
        "mask": mask,
        "taught": torch.full((len(questions),), teacher is not None),
        "teacher": given,
        "stage": torch.tensor(0),
    }


def _gradients(model, loss, batch):
    model.zero_grad()
    value = loss(model, batch)
    value.backward()
    return value.item(), {n: p.grad.clone() for n, p in model.named_parameters()}


def test_logits_are_those_of_the_whole_forward(model):
    ids = torch.randint(3, 300, (2, 7), generator=torch.Generator().manual_seed(0))
    attended = torch.ones_like(ids)
    wanted = torch.zeros(2, 7, dtype=torch.bool)
    wanted[0, 2] = wanted[1, 6] = True
    logits, place = logits_at(model, ids, attended, wanted)
    whole = model(input_ids=ids).logits
    assert torch.allclose(logits[place[0, 2]], whole[0, 2], atol=1e-5)
    assert torch.allclose(logits[place[1, 6]], whole[1, 6], atol=1e-5)


def test_labels_by_hand(model):
    questions = [
        [
            Sample((5, 6, 7), readings=(Reading(0, 11, 12),)),
            Sample((5, 8), readings=(Reading(1, 11, 12),)),
        ]
    ]
    first = model(torch.tensor([[5, 6, 7]])).logits[0, -1]
    second = model(torch.tensor([[5, 8]])).logits[0, -1]
    margins = torch.stack([first[11] - first[12], second[11] - second[12]])
    expected = F.binary_cross_entropy_with_logits(margins, torch.tensor([1.0, 0.0]))
    loss = LLMLoss([parse_loss("pointwise")], 0.0)(model, _batch(questions, 2))
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)


def test_answers_by_hand(model):
    questions = [[Sample((5, 6), (7, 8))], [Sample((9,), (10,))]]
    first = model(torch.tensor([[5, 6, 7]])).logits[0].log_softmax(-1)
    second = model(torch.tensor([[9]])).logits[0].log_softmax(-1)
    expected = -(first[1, 7] + first[2, 8] + second[0, 10]) / 3
    loss = LLMLoss([None], 2.0)(model, _batch(questions, 1))
    assert loss.item() == pytest.approx(2 * expected.item(), abs=1e-5)


def test_a_stage_has_a_loss_of_its_own(model):
    questions = [
        [Sample((5, 6), readings=(Reading(0, 11),)), Sample((7,), readings=(Reading(1, 11),))]
    ]
    batch = _batch(questions, 2)
    both = LLMLoss([parse_loss("pointwise"), parse_loss("infonce")], 0.0)
    first = both(model, batch).item()
    second = both(model, {**batch, "stage": torch.tensor(1)}).item()
    assert first == LLMLoss([parse_loss("pointwise")], 0.0)(model, batch).item()
    assert second == LLMLoss([parse_loss("infonce")], 0.0)(model, batch).item()
    assert first != second


def test_without_a_loss_of_scores_first_is_plain_imitation(model, batches):
    """λ = 0: the gradient of cross-entropy over the answer's tokens, by transformers itself."""
    made = batches("letters")
    batch = made(0)
    _, ours = _gradients(model, LLMLoss([None], 1.0), batch)
    labels = batch["ids"].masked_fill(~batch["answered"], -100)
    model.zero_grad()
    model(input_ids=batch["ids"], attention_mask=batch["attended"], labels=labels).loss.backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(ours[name], parameter.grad, atol=1e-5), name


@pytest.mark.parametrize("objective", ["label", "letters", "evidence"])
def test_a_masked_token_changes_nothing(model, batches, objective):
    """What stands at padding, and after the answer, reaches neither loss nor gradient."""
    made = batches(objective)
    batch = made(0)
    loss = LLMLoss([parse_loss({"letters": "weighted_ranknet"}.get(objective, "pointwise"))], 1.0)
    value, gradients = _gradients(model, loss, batch)
    other = {**batch, "ids": batch["ids"].masked_fill(batch["attended"] == 0, 77)}
    wider = {
        **other,
        "ids": F.pad(other["ids"], (0, 5), value=9),
        "attended": F.pad(other["attended"], (0, 5)),
        "answered": F.pad(other["answered"], (0, 5)),
    }
    again, others = _gradients(model, loss, wider)
    assert again == pytest.approx(value, abs=1e-5)
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, others[name], atol=1e-5), name


def test_rows_without_scores_are_left_out_of_a_teachers_loss(model, batches, examples):
    untaught = [dataclasses.replace(example, teacher=None) for example in examples]
    loss = LLMLoss([parse_loss("ranknet")], 0.0)
    assert loss(model, batches("label", rows=untaught)(0)).item() == 0.0
    mixed = batches("label", rows=[examples[0], untaught[1]])(0)
    alone = batches("label", rows=[examples[0]], queries=1)(0)
    assert loss(model, mixed).item() == pytest.approx(loss(model, alone).item(), abs=1e-6)


def test_the_order_of_questions_changes_nothing(model, batches):
    made = batches("label", queries=3)
    loss = LLMLoss([parse_loss("infonce")], 0.0)
    asked = [samples for _, samples in made.unanswered(0)]  # labels have no answers
    batch = made(0)
    turned = {**batch, **collated(asked[::-1], made.objective.pad)}
    turned["mask"], turned["teacher"] = batch["mask"].flip(0), batch["teacher"].flip(0)
    assert loss(model, turned).item() == pytest.approx(loss(model, batch).item(), abs=1e-6)


def test_a_teachers_probabilities_are_what_evidence_compares_with(model, batches, examples):
    """(σ(z) − p)² over the candidates, by hand."""
    rows = [dataclasses.replace(examples[0], teacher=(1.0, 0.0, 0.25))]
    batch = batches("evidence", rows=rows, queries=1)(0)
    loss = LLMLoss([parse_loss("sigmoid_mse")], 0.0)(model, batch)
    scores = []
    for row, _, token, minus in batch["readings"].tolist():
        ids = batch["ids"][row, : batch["ends"][row]]
        logits = model(ids[None]).logits[0, -1]
        scores.append(torch.sigmoid(logits[token] - logits[minus]))
    order = batch["teacher"][0].sigmoid()
    assert sorted(round(p, 4) for p in order.tolist()) == [0.0, 0.25, 1.0]
    expected = sum((s - p) ** 2 for s, p in zip(scores, order, strict=True)) / 3
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
